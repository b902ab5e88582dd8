//! What a source is after its events. No rules here: an event that happened is applied, whatever it says.

use serde::{Deserialize, Serialize};

use super::event::{SourceDefinition, SourceEvent};
use crate::ids::SourceId;

/// A source as its events left it. The default is one that was never registered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What it is, once it was registered.
    pub details: Option<SourceDetails>,
}

/// What a registered source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDetails {
    /// Its id.
    pub source: SourceId,
    /// What it was registered as.
    pub definition: SourceDefinition,
}

impl Source {
    /// Takes in what happened.
    pub fn apply(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::SourceRegistered { source, definition, at: _ } => {
                self.details = Some(SourceDetails { source, definition });
            }
        }
    }
}
