//! What can have happened to a source.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::channel::Channel;
use crate::event::{EventType, catalogue};
use crate::ids::SourceId;
use crate::measure::Measure;
use crate::money::Currency;
use crate::zone::Zone;

/// Whether a source pushes what happened or is asked for totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Sends observations.
    Push,
    /// Sends statements.
    Pull,
}

/// Whether a source's numbers count toward totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Counts.
    Primary,
    /// Is shown beside them and never added.
    Reference,
}

impl SourceKind {
    /// The name on the wire and in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
        }
    }
}

impl Role {
    /// The name on the wire and in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Reference => "reference",
        }
    }
}

/// Everything that is known of a source by its registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDefinition {
    /// Its name, unique in the workspace.
    pub name: String,
    /// The channel that it reports on.
    pub channel: Channel,
    /// Push or pull.
    pub kind: SourceKind,
    /// Its role, for every measure that `measure_roles` does not name.
    pub role: Role,
    /// Roles of single measures.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measure_roles: BTreeMap<Measure, Role>,
    /// The zone of its days.
    pub time_zone: Zone,
    /// The currency of its money.
    pub currency: Currency,
    /// How long after a bucket closes its numbers usually arrive.
    pub expected_delay_s: i64,
    /// How long after a bucket closes it may still change what it said.
    pub restatement_horizon_s: i64,
}

impl SourceDefinition {
    /// The role of one of its measures.
    pub fn role_of(&self, measure: Measure) -> Role {
        self.measure_roles.get(&measure).copied().unwrap_or(self.role)
    }
}

/// An event of a source, stored under its variant's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceEvent {
    /// Registered under a name.
    SourceRegistered {
        /// Its id.
        source: SourceId,
        /// What it is.
        definition: SourceDefinition,
        /// When.
        at: DateTime<Utc>,
    },
}

impl SourceEvent {
    /// What type of event it is.
    pub fn kind(&self) -> EventType {
        match self {
            Self::SourceRegistered { .. } => catalogue::SOURCE_REGISTERED,
        }
    }
}

impl DomainEvent for SourceEvent {
    fn event_type(&self) -> String {
        self.kind().name.to_owned()
    }

    fn event_version(&self) -> String {
        self.kind().version().to_string()
    }
}
