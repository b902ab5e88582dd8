//! Everything a log can hold: what projections match on.

use crate::campaign::CampaignEvent;
use crate::observation::ObservationsRecorded;
use crate::source::SourceEvent;
use crate::statement::StatementsRecorded;
use crate::sync::SyncEvent;
use crate::workspace::WorkspaceOpened;
use crate::{campaign, observation, source, statement, sync, workspace};

#[cfg(test)]
mod tests;

/// A decoded event of any stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Of the workspace itself.
    Workspace(WorkspaceOpened),
    /// Of a campaign.
    Campaign(CampaignEvent),
    /// Of a source.
    Source(SourceEvent),
    /// A batch of observations.
    Observations(ObservationsRecorded),
    /// A batch of statements.
    Statements(StatementsRecorded),
    /// Of a source's run.
    Sync(SyncEvent),
}

impl Event {
    /// Reads a payload in its current version. `None` when no stream of ours has this type.
    pub fn from_json(stream_type: &str, payload: &str) -> Option<Result<Self, serde_json::Error>> {
        Some(match stream_type {
            workspace::STREAM_TYPE => serde_json::from_str(payload).map(Self::Workspace),
            campaign::STREAM_TYPE => serde_json::from_str(payload).map(Self::Campaign),
            source::STREAM_TYPE => serde_json::from_str(payload).map(Self::Source),
            observation::STREAM_TYPE => serde_json::from_str(payload).map(Self::Observations),
            statement::STREAM_TYPE => serde_json::from_str(payload).map(Self::Statements),
            sync::STREAM_TYPE => serde_json::from_str(payload).map(Self::Sync),
            _ => return None,
        })
    }
}
