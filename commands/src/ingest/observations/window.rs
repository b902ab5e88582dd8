//! The acceptance window of a source: the greatest age of its observations. Item ids are kept for as long, so that
//! duplicates are found. What is older comes in a backfill, whose items lie before its edge.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use domain::item::{ItemError, ItemErrorCode, MAX_CLOCK_SKEW, truncate_to_millis};
use domain::observation::{Backfill, ObservationInput};
use domain::source::{MAX_OBSERVATION_WINDOW_DAYS, SourceDefinition, observation_window_s};
use event_store::ItemPeriods;

/// The range of times that a source's observations may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct AcceptanceWindow {
    now: DateTime<Utc>,
    length: TimeDelta,
}

impl AcceptanceWindow {
    /// The window of a batch whose items were received at `received_at`. It is wider by the time that they waited, as
    /// far back as ids are kept.
    pub(super) fn of(source: &SourceDefinition, received_at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let length = TimeDelta::seconds(observation_window_s(source));
        let waited = (now - received_at).max(TimeDelta::zero());
        let longest = TimeDelta::days(MAX_OBSERVATION_WINDOW_DAYS.into());
        Self { now, length: length.max((length + waited).min(longest)) }
    }

    /// The instant at which it begins.
    pub(super) fn start(self) -> DateTime<Utc> {
        truncate_to_millis(self.now - self.length)
    }

    pub(super) fn length_days(self) -> i64 {
        self.length.num_days()
    }

    pub(super) fn first_day(self) -> NaiveDate {
        (self.now - self.length).date_naive()
    }

    pub(super) fn last_day(self) -> NaiveDate {
        (self.now + MAX_CLOCK_SKEW).date_naive()
    }

    /// The periods of receipt within which an id is unique for as long.
    pub(super) fn id_periods(self) -> ItemPeriods {
        ItemPeriods::at(self.now, self.length)
    }

    /// The periods of receipt within which a message counts once for a recipient: the longest window of any source.
    pub(super) fn first_time_periods(self) -> ItemPeriods {
        ItemPeriods::at(self.now, TimeDelta::days(MAX_OBSERVATION_WINDOW_DAYS.into()))
    }

    /// Whether it contains a UTC day.
    pub(super) fn holds(self, day: NaiveDate) -> bool {
        (self.first_day()..=self.last_day()).contains(&day)
    }

    /// All of its UTC days.
    pub(super) fn days(self) -> impl Iterator<Item = NaiveDate> {
        let last = self.last_day();
        self.first_day().iter_days().take_while(move |day| *day <= last)
    }

    /// Rejects an observation that is too old.
    pub(super) fn check(self, occurred_at: DateTime<Utc>) -> Result<(), ItemError> {
        if occurred_at < self.now - self.length {
            return Err(self.too_old("occurred_at"));
        }
        Ok(())
    }

    /// Rejects an original of a day that is too old.
    pub(super) fn check_day(self, day: NaiveDate) -> Result<(), ItemError> {
        if day < self.first_day() { Err(self.too_old("adjusts")) } else { Ok(()) }
    }

    fn too_old(self, field: &str) -> ItemError {
        let days = self.length_days();
        ItemError::at(
            ItemErrorCode::TooOld,
            field,
            format!(
                "is more than {days} days old; this source accepts observations up to {days} days old, and a backfill \
                 older ones"
            ),
        )
    }
}

/// Rejects an item that does not lie before the edge of its backfill.
pub(super) fn check_history(backfill: &Backfill, input: &ObservationInput) -> Result<(), ItemError> {
    if input.counts_at() < backfill.before {
        return Ok(());
    }
    let field = if input.is_correction() { "adjusts" } else { "occurred_at" };
    let edge = backfill.before.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let detail = format!("does not lie before {edge}, the edge of this backfill: send it without `backfill`");
    Err(ItemError::at(ItemErrorCode::InWindow, field, detail))
}
