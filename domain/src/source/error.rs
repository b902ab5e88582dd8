//! Rejections by a source: one variant for each rule.

use chrono::NaiveDate;
use thiserror::Error;

use super::horizon::Horizon;
use crate::breakdown::MAX_SOURCE_DIMENSIONS;
use crate::observation::Dimension;
use crate::rule_codes::rule_codes;
use crate::text::TextError;

/// A broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SourceError {
    /// Its name is not one line of 1 to 100 characters.
    #[error("the name {0}")]
    Name(TextError),
    /// A platform that is not in the table.
    #[error("the platform is not known; leave it out, and give expected_delay_s and horizons")]
    UnknownPlatform,
    /// An expected delay below 0 or above 31 days.
    #[error("the expected delay of {seconds} s lies outside of 0 to 2678400 s, which is 31 days")]
    ExpectedDelay {
        /// The delay.
        seconds: i64,
    },
    /// A horizon below 0 or above 400 days.
    #[error("the horizon {horizon} of {member} lies outside of 0 to 400 days")]
    Horizon {
        /// Of which measures.
        member: &'static str,
        /// The horizon.
        horizon: Horizon,
    },
    /// A pull source says by its runs how far it is complete.
    #[error("complete_after_s belongs to push sources; a pull source is complete when a run says so")]
    CompleteAfterOfPull,
    /// A time to completeness below 0 or above 31 days.
    #[error("complete_after_s of {seconds} s lies outside of 0 to 2678400 s, which is 31 days")]
    CompleteAfter {
        /// The time.
        seconds: i64,
    },
    /// Silence matters only of a source that completes by the clock.
    #[error("quiet_after_s belongs to a source with complete_after_s")]
    QuietAfterAlone,
    /// A time of silence below a quarter of an hour or above 31 days.
    #[error("quiet_after_s of {seconds} s lies outside of 900 to 2678400 s, which is 31 days")]
    QuietAfter {
        /// The time.
        seconds: i64,
    },
    /// An observation window below 7 or above 90 days.
    #[error("the observation window of {seconds} s lies outside of 604800 to 7776000 s, which is 7 to 90 days")]
    ObservationWindow {
        /// The window.
        seconds: i64,
    },
    /// Only observations have ids.
    #[error("id_scope belongs to push sources; what a pull source states is known by its bucket")]
    IdScopeOfPull,
    /// Only totals are stated by dimension; observations name theirs one by one.
    #[error("dimensions belong to pull sources; observations name theirs one by one")]
    DimensionsOfPush,
    /// More dimensions than a source may declare.
    #[error("at most {MAX_SOURCE_DIMENSIONS} dimensions are taken")]
    TooManyDimensions,
    /// A dimension that is declared twice.
    #[error("dimensions has {0} twice")]
    RepeatedDimension(Dimension),
    /// An expected start outside of the dates that we keep.
    #[error("expected_from must lie in the years 1970 to 2199")]
    ExpectedFromOutOfRange,
    /// A change from a date outside of those that we keep.
    #[error("from must lie in the years 1970 to 2199")]
    FromOutOfRange,
    /// An end outside of the years that we keep.
    #[error("at must lie in the years 1970 to 2199")]
    EndOutOfRange,
    /// A later change of zone or currency, which one of the two alone would undo in part.
    #[error("the time zone or currency is another from {next} on: give both, or a later date")]
    SeriesFollows {
        /// The date from which it is another.
        next: NaiveDate,
    },
    /// Zones so far apart that days of the later one begin before those of the one before it.
    #[error("from lies so near another change of the zone that its day begins before that one")]
    SeriesOutOfOrder,
    /// Only a source that has ended can resume.
    #[error("the source has not ended, so it cannot resume")]
    NotEnded,
    /// Only a registered source can be changed.
    #[error("the source is not registered")]
    NotRegistered,
    /// It was registered before as something else.
    #[error("the source is registered already, with another {field}")]
    ConflictingDefinition {
        /// The first part that differs.
        field: &'static str,
    },
}

impl SourceError {
    /// The field of the command that broke the rule, if it was one field.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Name(_) => Some("name"),
            Self::UnknownPlatform => Some("platform"),
            Self::ExpectedDelay { .. } => Some("expected_delay_s"),
            Self::Horizon { .. } => Some("horizons"),
            Self::CompleteAfterOfPull | Self::CompleteAfter { .. } => Some("complete_after_s"),
            Self::QuietAfterAlone | Self::QuietAfter { .. } => Some("quiet_after_s"),
            Self::ObservationWindow { .. } => Some("observation_window_s"),
            Self::IdScopeOfPull => Some("id_scope"),
            Self::DimensionsOfPush | Self::TooManyDimensions | Self::RepeatedDimension(_) => Some("dimensions"),
            Self::ExpectedFromOutOfRange => Some("expected_from"),
            Self::FromOutOfRange | Self::SeriesFollows { .. } | Self::SeriesOutOfOrder => Some("from"),
            Self::EndOutOfRange => Some("at"),
            Self::NotEnded | Self::NotRegistered => None,
            Self::ConflictingDefinition { field } => Some(field),
        }
    }
}

rule_codes!(SourceError {
    Self::Name(_) => "invalid-name",
    Self::UnknownPlatform => "unknown-platform",
    Self::ExpectedDelay { .. } => "expected-delay-out-of-range",
    Self::Horizon { .. } => "restatement-horizon-out-of-range",
    Self::CompleteAfterOfPull => "complete-after-of-pull",
    Self::CompleteAfter { .. } => "complete-after-out-of-range",
    Self::QuietAfterAlone => "quiet-after-alone",
    Self::QuietAfter { .. } => "quiet-after-out-of-range",
    Self::ObservationWindow { .. } => "observation-window-out-of-range",
    Self::IdScopeOfPull => "id-scope-of-pull",
    Self::DimensionsOfPush => "dimensions-of-push",
    Self::TooManyDimensions => "too-many-dimensions",
    Self::RepeatedDimension(_) => "repeated-dimension",
    Self::ExpectedFromOutOfRange => "expected-from-out-of-range",
    Self::FromOutOfRange => "from-out-of-range",
    Self::SeriesFollows { .. } => "series-follows",
    Self::SeriesOutOfOrder => "series-out-of-order",
    Self::EndOutOfRange => "end-out-of-range",
    Self::NotEnded => "source-not-ended",
    Self::NotRegistered => "source-not-registered",
    Self::ConflictingDefinition { .. } => "source-exists",
});
