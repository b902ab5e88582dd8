//! Restatement horizons: for how long after a bucket closes its numbers may still change.
//!
//! Platforms keep two clocks. What was delivered (impressions, clicks, spend) settles within days. Conversions settle
//! when the attribution window has passed, or on a date that a contract names.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::bucket::{day_end, local_date};
use crate::measure::{Measure, MeasureGroup};
use crate::zone::Zone;

const DAY_S: i64 = 86_400;
/// The longest month.
const MONTH_DAYS: i64 = 31;
const MAX_DAYS: i64 = 400;

/// For how long after a bucket closes one of its numbers may change. Stored as seconds, or as `month_end + 40d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Horizon {
    /// A length, in seconds.
    Seconds(i64),
    /// Until so many days after the end of the bucket's month, as affiliate networks lock their sales.
    MonthEnd {
        /// The days after the month.
        days: u16,
    },
}

/// A text that is no horizon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not a horizon: a length such as 30d, 12h, 900s or 2592000, or a rule such as \"month_end + 40d\"")]
pub struct HorizonError;

impl Horizon {
    /// Nothing changes once it is said.
    pub const NONE: Self = Self::Seconds(0);

    /// Whether it lies within 0 and 400 days.
    pub fn is_in_range(self) -> bool {
        (0..=MAX_DAYS * DAY_S).contains(&self.longest_s())
    }

    /// The longest that it can be after any bucket, in seconds.
    pub fn longest_s(self) -> i64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::MonthEnd { days } => (MONTH_DAYS + i64::from(days)) * DAY_S,
        }
    }

    /// When the numbers of a bucket settle that ends at `end`, by the calendar of `zone`. `None` past the end of time.
    /// A bucket that ends later never settles earlier.
    pub fn settles_at(self, end: DateTime<Utc>, zone: Zone) -> Option<DateTime<Utc>> {
        match self {
            Self::Seconds(seconds) => end.checked_add_signed(TimeDelta::try_seconds(seconds)?),
            Self::MonthEnd { days } => {
                // The bucket's last instant lies in its month.
                let last = local_date(end.checked_sub_signed(TimeDelta::nanoseconds(1))?, zone);
                Some(day_end(last_of_month(last)?.checked_add_days(Days::new(days.into()))?, zone))
            }
        }
    }

    /// The last instant such that every bucket that ends up to it has settled at `now`.
    pub fn settled_through(self, now: DateTime<Utc>, zone: Zone) -> Option<DateTime<Utc>> {
        match self {
            Self::Seconds(seconds) => now.checked_sub_signed(TimeDelta::try_seconds(seconds)?),
            Self::MonthEnd { .. } => {
                let earliest = now.checked_sub_signed(TimeDelta::try_seconds(self.longest_s())?)?;
                let mut month = local_date(earliest, zone).with_day(1)?;
                let mut through = day_end(month.pred_opt()?, zone);
                loop {
                    let end = day_end(last_of_month(month)?, zone);
                    if self.settles_at(end, zone).is_none_or(|settles_at| settles_at > now) {
                        return Some(through);
                    }
                    through = end;
                    month = month.checked_add_months(Months::new(1))?;
                }
            }
        }
    }
}

fn last_of_month(date: NaiveDate) -> Option<NaiveDate> {
    date.with_day(1)?.checked_add_months(Months::new(1))?.pred_opt()
}

impl fmt::Display for Horizon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}s"),
            Self::MonthEnd { days } => write!(f, "month_end + {days}d"),
        }
    }
}

impl FromStr for Horizon {
    type Err = HorizonError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.trim().strip_prefix("month_end") {
            let rest = rest.trim();
            if rest.is_empty() {
                return Ok(Self::MonthEnd { days: 0 });
            }
            let days = rest.strip_prefix('+').and_then(|rest| rest.trim().strip_suffix('d')).ok_or(HorizonError)?;
            return Ok(Self::MonthEnd { days: days.parse().map_err(|_| HorizonError)? });
        }
        let text = text.trim();
        let units = [("d", DAY_S), ("h", 3_600), ("m", 60), ("s", 1)];
        let (number, unit_s) = units
            .iter()
            .find_map(|(unit, unit_s)| text.strip_suffix(unit).map(|number| (number, *unit_s)))
            .unwrap_or((text, 1));
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<i64> = is_number.then(|| number.parse().ok()).flatten();
        number.and_then(|number| number.checked_mul(unit_s)).map(Self::Seconds).ok_or(HorizonError)
    }
}

/// As it is stored: seconds as a number, a rule as a text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Seconds(i64),
    Rule(String),
}

impl Serialize for Horizon {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seconds(seconds) => Stored::Seconds(*seconds),
            Self::MonthEnd { .. } => Stored::Rule(self.to_string()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Horizon {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Stored::deserialize(deserializer)? {
            Stored::Seconds(seconds) => Ok(Self::Seconds(seconds)),
            Stored::Rule(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

/// The horizons of a source, by what a number measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Horizons {
    /// Of impressions, clicks, spend, video views and sends.
    pub delivery: Horizon,
    /// Of every other measure.
    pub conversions: Horizon,
    /// Of single measures, where they differ; left out where none does.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<Measure, Horizon>,
}

impl Default for Horizons {
    fn default() -> Self {
        Self::uniform(Horizon::NONE)
    }
}

impl Horizons {
    /// One horizon for every measure.
    pub fn uniform(horizon: Horizon) -> Self {
        Self { delivery: horizon, conversions: horizon, measures: BTreeMap::new() }
    }

    /// The horizon of a measure.
    pub fn of(&self, measure: Measure) -> Horizon {
        self.measures.get(&measure).copied().unwrap_or(match measure.group() {
            MeasureGroup::Delivery => self.delivery,
            MeasureGroup::Conversions => self.conversions,
        })
    }

    /// All of them, with the name of the member that each stands in.
    pub fn by_member(&self) -> impl Iterator<Item = (&'static str, Horizon)> {
        let groups = [("delivery", self.delivery), ("conversions", self.conversions)];
        groups.into_iter().chain(self.measures.iter().map(|(measure, horizon)| (measure.name(), *horizon)))
    }

    /// The longest that any number may take to settle, in seconds.
    pub fn longest_s(&self) -> i64 {
        self.by_member().map(|(_, horizon)| horizon.longest_s()).max().unwrap_or_default()
    }

    /// Leaves out single measures that have the horizon of their group.
    pub(super) fn normalise(&mut self) {
        let (delivery, conversions) = (self.delivery, self.conversions);
        self.measures.retain(|measure, horizon| {
            *horizon
                != match measure.group() {
                    MeasureGroup::Delivery => delivery,
                    MeasureGroup::Conversions => conversions,
                }
        });
    }
}
