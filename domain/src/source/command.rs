//! The commands of a source.

use chrono::{DateTime, NaiveDate, Utc};

use super::change::SourceChange;
use super::definition::SourceDefinition;
use super::series::NextSeries;
use crate::ids::SourceId;

/// A command to a source. `at` is the time of the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceCommand {
    /// Register it.
    Register {
        /// Its id.
        source: SourceId,
        /// Its definition.
        definition: SourceDefinition,
        /// The time of the command.
        at: DateTime<Utc>,
    },
    /// Change settings for buckets from a date on.
    Change {
        /// The settings, without a series: whether one begins is decided.
        change: SourceChange,
        /// The zone and the currency.
        series: NextSeries,
        /// The first date of which they hold, in the zone that holds then; left out: the date of the command.
        from: Option<NaiveDate>,
        /// When.
        at: DateTime<Utc>,
    },
    /// End it.
    End {
        /// The first instant of which nothing is expected; left out: the instant of the command.
        ends_at: Option<DateTime<Utc>>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Bring it back.
    Resume {
        /// The first local date of which something is expected again; left out: the date of the command.
        from: Option<NaiveDate>,
        /// When.
        at: DateTime<Utc>,
    },
}
