//! What a source can be asked to do.

use chrono::{DateTime, Utc};

use super::event::SourceDefinition;
use crate::ids::SourceId;

/// A command to a source. `at` is when it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceCommand {
    /// Make it known.
    Register {
        /// Its id.
        source: SourceId,
        /// What it is.
        definition: SourceDefinition,
        /// When.
        at: DateTime<Utc>,
    },
}
