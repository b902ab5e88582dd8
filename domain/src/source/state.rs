//! The state of a source after its events. There are no rules here: an event that happened is applied, whatever it
//! contains.

use serde::{Deserialize, Serialize};

use super::event::{SourceDefinition, SourceEvent};
use crate::ids::SourceId;

/// A source after its events. The default is one that was never registered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its details, once it was registered.
    pub details: Option<SourceDetails>,
}

/// The details of a registered source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDetails {
    /// Its id.
    pub source: SourceId,
    /// Its definition.
    pub definition: SourceDefinition,
}

impl Source {
    /// Applies an event.
    pub fn apply(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::SourceRegistered { source, definition, at: _ } => {
                self.details = Some(SourceDetails { source, definition });
            }
        }
    }
}
