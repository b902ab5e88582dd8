//! Statements: what a pull source says a total is, as of now. The newest (`stated_at`, then position) wins.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::bucket::{Bucket, Grain};
use crate::ids::{CampaignId, SourceId};
use crate::measure::Measure;
use crate::money::Currency;
use crate::zone::Zone;

pub use crate::catalogue::STATEMENT_STREAM as STREAM_TYPE;

/// A batch of what one source states, in one grain and zone: only what differs from what it stated last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StatementsRecorded {
    /// The source that says so.
    pub source: SourceId,
    /// The currency of every money value in it.
    pub currency: Currency,
    /// How long each bucket is.
    pub grain: Grain,
    /// The zone whose days and hours the buckets are.
    pub time_zone: Zone,
    /// What was said.
    pub statements: Vec<Statement>,
}

/// What one campaign's totals are in one bucket. Measures that it does not name stay as they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Statement {
    /// The campaign.
    pub campaign: CampaignId,
    /// The bucket, by its local day or its first instant.
    pub bucket: Bucket,
    /// As of when the source says so. Of two statements about the same the one with the later instant holds.
    pub stated_at: DateTime<Utc>,
    /// The totals, as integers in each measure's unit: things, millionths of a conversion, micros of the currency.
    pub measures: BTreeMap<Measure, i64>,
}
