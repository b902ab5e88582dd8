//! A change of a source's settings from a date on.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::definition::{SourceDefinition, SourceRole, UnknownCampaigns};
use super::horizon::Horizons;
use super::series::Series;
use crate::breakdown::SourceDimension;
use crate::channel::Channel;
use crate::measure::Measure;

/// The settings of a source that a command changes. What it leaves out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SourceChange {
    /// The channel that it reports on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// Its role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<SourceRole>,
    /// The roles of single measures: all of them, including those that stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure_roles: Option<BTreeMap<Measure, SourceRole>>,
    /// The measures that it states: all of them, including those that stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measures: Option<BTreeSet<Measure>>,
    /// How many seconds after a bucket closes its numbers usually arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_delay_s: Option<i64>,
    /// For how long after a bucket closes its numbers may still change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub horizons: Option<Horizons>,
    /// For a push source: how many seconds after a bucket closes it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_after_s: Option<i64>,
    /// For such a source: how many seconds after it was last heard of it is late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_after_s: Option<i64>,
    /// How many seconds after it happened it may send an observation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observation_window_s: Option<i64>,
    /// What becomes of an item that names an external id that no campaign has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_campaigns: Option<UnknownCampaigns>,
    /// The dimensions by which it states totals: all of them, including those that stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<Vec<SourceDimension>>,
    /// The series that begins, with another zone or currency; or the one that goes on in another zone, where days mean
    /// nothing to what is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
}

impl SourceChange {
    /// The definition after the change.
    pub fn apply(&self, definition: &SourceDefinition) -> SourceDefinition {
        let mut changed = definition.clone();
        let Self {
            channel,
            role,
            measure_roles,
            measures,
            expected_delay_s,
            horizons,
            complete_after_s,
            quiet_after_s,
            observation_window_s,
            unknown_campaigns,
            dimensions,
            series,
        } = self.clone();
        changed.channel = channel.unwrap_or(changed.channel);
        changed.role = role.unwrap_or(changed.role);
        changed.measure_roles = measure_roles.unwrap_or(changed.measure_roles);
        changed.measures = measures.unwrap_or(changed.measures);
        changed.expected_delay_s = expected_delay_s.unwrap_or(changed.expected_delay_s);
        changed.horizons = horizons.unwrap_or(changed.horizons);
        changed.complete_after_s = complete_after_s.or(changed.complete_after_s);
        changed.quiet_after_s = quiet_after_s.or(changed.quiet_after_s);
        changed.observation_window_s = observation_window_s.or(changed.observation_window_s);
        changed.unknown_campaigns = unknown_campaigns.unwrap_or(changed.unknown_campaigns);
        changed.dimensions = dimensions.unwrap_or(changed.dimensions);
        if let Some(Series { id: _, time_zone, currency }) = series {
            (changed.time_zone, changed.currency) = (time_zone, currency);
        }
        changed.normalise();
        changed
    }
}
