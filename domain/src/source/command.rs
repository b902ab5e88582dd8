//! The commands of a source.

use chrono::{DateTime, Utc};

use super::event::SourceDefinition;
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
}
