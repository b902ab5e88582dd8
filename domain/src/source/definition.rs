//! What a source is: its definition.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use strum::VariantArray;

use super::horizon::Horizons;
use crate::breakdown::SourceDimension;
use crate::channel::Channel;
use crate::measure::Measure;
use crate::money::Currency;
use crate::zone::Zone;

/// Whether a source pushes observations or sends statements of totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, VariantArray)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// Sends observations.
    Push,
    /// Sends statements.
    Pull,
}

/// Whether a source's numbers count toward totals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, VariantArray)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SourceRole {
    /// Counts toward totals.
    Primary,
    /// Shown beside totals and never added.
    Reference,
}

/// What the ids of a source's observations are unique within, beside the source and the type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, VariantArray)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IdScope {
    /// The UTC day on which it happened, as sent.
    #[default]
    Day,
    /// The time for which the source may send observations, whatever day they say.
    Window,
}

impl IdScope {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Window => "window",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    fn is_day(&self) -> bool {
        *self == Self::Day
    }
}

/// What becomes of an item that names a campaign that nobody has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UnknownCampaigns {
    /// The item is rejected.
    #[default]
    Reject,
    /// The campaign is created.
    Create,
}

impl UnknownCampaigns {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Create => "create",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    fn is_reject(&self) -> bool {
        *self == Self::Reject
    }
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
    /// The measures that it states; left out where that is learned from what it states.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub measures: BTreeSet<Measure>,
    /// The platform that it reads, by its name in our table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The zone of its days.
    pub time_zone: Zone,
    /// The currency of its money, as ISO 4217 writes it.
    pub currency: Currency,
    /// How many seconds after a bucket closes its numbers usually arrive.
    pub expected_delay_s: i64,
    /// For how long after a bucket closes its numbers may still change.
    pub horizons: Horizons,
    /// For a push source that never says that it is complete: how many seconds after a bucket closes it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_after_s: Option<i64>,
    /// For such a source: how many seconds after it was last heard of it is late, and completes no further; left out:
    /// a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_after_s: Option<i64>,
    /// The first local date of which anything is expected; left out: of every date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_from: Option<NaiveDate>,
    /// How many seconds after it happened it may send an observation; left out: the longest horizon, within 7 and 90
    /// days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation_window_s: Option<i64>,
    /// What the ids of its observations are unique within; left out: the day.
    #[serde(default, skip_serializing_if = "IdScope::is_day")]
    pub id_scope: IdScope,
    /// What becomes of an item that names an external id that no campaign has; left out: it is rejected.
    #[serde(default, skip_serializing_if = "UnknownCampaigns::is_reject")]
    pub unknown_campaigns: UnknownCampaigns,
    /// The dimensions by which it states totals, those whose rows make totals in the order in which they do; left out
    /// where there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<SourceDimension>,
}

impl SourceDefinition {
    /// Whether numbers count alike under both: on the same channel, in the same roles, as of the same measures.
    pub fn counts_like(&self, other: &Self) -> bool {
        self.channel == other.channel
            && self.role == other.role
            && self.measure_roles == other.measure_roles
            && self.measures == other.measures
    }

    /// The role of one of its measures.
    pub fn role_of(&self, measure: Measure) -> SourceRole {
        self.measure_roles.get(&measure).copied().unwrap_or(self.role)
    }
}
