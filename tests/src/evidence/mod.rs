//! The final state of a system: the log of a workspace and its read tables, read directly from the database.

mod event; // one event of the log
mod load; // the log and the tables, from the database

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::measure::Measure;
use uuid::Uuid;

pub use event::{Correction, Event, Row, StatementRow, What};
pub use load::{load, settled};

/// The log of one workspace and the rows of its live epoch, from one snapshot.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The log's head.
    pub head: i64,
    /// All of its events, by position.
    pub events: Vec<Event>,
    /// The read tables.
    pub tables: Tables,
}

/// The rows of the live epoch.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// The position up to which they are applied.
    pub applied: i64,
    /// The reason for a stop, if there is one.
    pub stopped: Option<String>,
    /// The campaigns.
    pub campaigns: BTreeMap<Uuid, CampaignRow>,
    /// The sums of observations.
    pub increments: BTreeMap<Cell, i128>,
    /// The effects of corrections, by the position and index of each in the log.
    pub corrections: BTreeMap<(i64, i32), CorrectionRow>,
    /// The latest statements.
    pub statements: BTreeMap<StatementKey, LastWord>,
}

/// A campaign in the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignRow {
    /// Its name.
    pub name: String,
    /// Its last state.
    pub state: String,
    /// The number of its events.
    pub version: i64,
    /// The position of its last event.
    pub position: i64,
}

/// The key of a sum of observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The campaign.
    pub campaign: Uuid,
    /// The source.
    pub source: Uuid,
    /// The quarter of an hour.
    pub bucket: DateTime<Utc>,
    /// The measure.
    pub measure: Measure,
}

/// The effect of one correction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectionRow {
    /// The campaign.
    pub campaign: Uuid,
    /// The source.
    pub source: Uuid,
    /// The correction's id.
    pub id: String,
    /// The original's id.
    pub of: String,
    /// The differences in count and value.
    pub changes: (i64, Option<i64>),
    /// Count and value after it.
    pub total: (i64, Option<i64>),
}

/// The key by which one statement replaces another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatementKey {
    /// The campaign.
    pub campaign: Uuid,
    /// The source.
    pub source: Uuid,
    /// The day, in UTC.
    pub day: NaiveDate,
    /// The measure.
    pub measure: Measure,
}

/// The latest statement of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastWord {
    /// The total.
    pub value: i128,
    /// The instant as of which it was stated.
    pub stated_at: DateTime<Utc>,
    /// The position of its event.
    pub position: i64,
}
