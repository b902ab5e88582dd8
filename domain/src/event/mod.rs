//! Every event that a log can hold: its types, their versions and their decoding.

use serde::Serialize;

use crate::campaign::CampaignEvent;
use crate::catalogue::{self, EventType};
use crate::observation::ObservationsRecorded;
use crate::source::SourceEvent;
use crate::statement::StatementsRecorded;
use crate::sync::SyncEvent;
use crate::workspace::WorkspaceEvent;

mod decode;
#[cfg(test)]
mod tests;

pub use decode::{DecodeError, upcast};

/// A decoded event of any stream. Written as its payload.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// An event of the workspace itself.
    Workspace(WorkspaceEvent),
    /// An event of a campaign.
    Campaign(CampaignEvent),
    /// An event of a source.
    Source(SourceEvent),
    /// A batch of observations.
    Observations(ObservationsRecorded),
    /// A batch of statements.
    Statements(StatementsRecorded),
    /// An event of a source's run.
    Sync(SyncEvent),
}

impl Event {
    /// The type of the event.
    pub fn event_type(&self) -> EventType {
        match self {
            Self::Workspace(event) => event.kind(),
            Self::Campaign(event) => event.kind(),
            Self::Source(event) => event.kind(),
            Self::Observations(_) => catalogue::OBSERVATIONS_RECORDED,
            Self::Statements(_) => catalogue::STATEMENTS_RECORDED,
            Self::Sync(event) => event.kind(),
        }
    }
}
