//! What a system left behind: the whole log of a workspace and its read tables, read past the program.

mod event; // one event of the log
mod load; // both, from the database

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::measure::Measure;
use uuid::Uuid;

pub use event::{Correction, Event, Row, StatementRow, What};
pub use load::{load, settled};

/// The log of one workspace and what the live epoch made of it, of one moment.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The log's head.
    pub head: i64,
    /// All of its events, by position.
    pub events: Vec<Event>,
    /// What readers see.
    pub tables: Tables,
}

/// The rows of the live epoch.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// How far they go.
    pub applied: i64,
    /// Why they go no further, if they cannot.
    pub stopped: Option<String>,
    /// The campaigns.
    pub campaigns: BTreeMap<Uuid, CampaignRow>,
    /// The sums of observations.
    pub increments: BTreeMap<Cell, i128>,
    /// What corrections did, by the position and place of each in the log.
    pub corrections: BTreeMap<(i64, i32), CorrectionRow>,
    /// The last statements.
    pub statements: BTreeMap<StatementKey, LastWord>,
}

/// A campaign as the tables have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CampaignRow {
    /// Its name.
    pub name: String,
    /// What was decided of it last.
    pub state: String,
    /// How many events it has.
    pub version: i64,
    /// The position of the last one.
    pub position: i64,
}

/// What observations are summed by.
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

/// What one correction did.
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
    /// Count and value from then on.
    pub total: (i64, Option<i64>),
}

/// What one statement replaces another by.
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

/// What holds of a statement's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastWord {
    /// The total.
    pub value: i128,
    /// As of when.
    pub stated_at: DateTime<Utc>,
    /// The event that says so.
    pub position: i64,
}
