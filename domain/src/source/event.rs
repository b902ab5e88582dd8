//! The events of a source.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::catalogue::{self, EventType};
use crate::channel::Channel;
use crate::ids::SourceId;
use crate::measure::Measure;
use crate::money::Currency;
use crate::zone::Zone;

/// Whether a source pushes observations or sends statements of totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Sends observations.
    Push,
    /// Sends statements.
    Pull,
}

/// Whether a source's numbers count toward totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SourceRole {
    /// Counts toward totals.
    Primary,
    /// Shown beside totals and never added.
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

impl SourceRole {
    /// The name on the wire and in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Reference => "reference",
        }
    }
}

/// The definition of a source, from its registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SourceDefinition {
    /// Its name, unique in the workspace.
    pub name: String,
    /// The channel that it reports on.
    pub channel: Channel,
    /// Whether it sends observations or statements.
    pub kind: SourceKind,
    /// Its role, for every measure that `measure_roles` does not name.
    pub role: SourceRole,
    /// Roles of single measures; left out where there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measure_roles: BTreeMap<Measure, SourceRole>,
    /// The zone of its days.
    pub time_zone: Zone,
    /// The currency of its money, as ISO 4217 writes it.
    pub currency: Currency,
    /// How many seconds after a bucket closes its numbers usually arrive.
    pub expected_delay_s: i64,
    /// For how many seconds after a bucket closes it may still change its numbers.
    pub restatement_horizon_s: i64,
}

impl SourceDefinition {
    /// The role of one of its measures.
    pub fn role_of(&self, measure: Measure) -> SourceRole {
        self.measure_roles.get(&measure).copied().unwrap_or(self.role)
    }
}

/// An event of a source, stored under its variant's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum SourceEvent {
    /// A source was registered: one connector's feed, and what its numbers mean.
    SourceRegistered {
        /// Its id.
        source: SourceId,
        /// Its definition.
        definition: SourceDefinition,
        /// When the command was received, by our clock.
        at: DateTime<Utc>,
    },
}

impl SourceEvent {
    /// The type of the event.
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
