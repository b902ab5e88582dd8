//! `read.rollup_15m`, `read.rollup_hourly` and `read.rollup_daily`: pushed observations, summed into UTC buckets of 15
//! minutes, hours and days. `source_id` is the series that the event names: the source itself, unless it moved on to
//! another.
//!
//! Neither a sum nor a maximum depends on batches: `changed_at` is the latest `recorded_at` of the events that touched
//! the cell; a backfill's events count as recorded at its edge. The 15-minute buckets of a batch are folded once. They
//! are rolled up to hours, and those to days, when they are written. This is exact, because a sum of sums is a sum, and
//! a maximum of maxima is a maximum.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::bucket::{Grain, quarter_hour_s, utc_bucket};
use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use domain::measure::Measure;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use super::insert_hint::InsertHint;
use super::months::{self, RetentionBound};
use super::observed::observed_campaign;
use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast, downcast_ref};

/// The sums of pushed observations. Nearly every observation looks up a cell, so keys are small: numbers stand for
/// series and for buckets.
#[derive(Debug, Default)]
pub(super) struct Rollups {
    feeds: HashMap<SeriesKey, u32, foldhash::fast::RandomState>,
    sums: HashMap<CellKey, Sum, foldhash::fast::RandomState>,
    /// The number of the series, by campaign of the current batch.
    numbers: Vec<Option<u32>>,
    written: InsertHint,
}

/// One series of a source, and one campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct SeriesKey {
    workspace: i32,
    campaign: CampaignId,
    series: SourceId,
}

/// The compact key of a cell within a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CellKey {
    feed: u32,
    /// Seconds from 1970 to the start of the 15 minutes.
    bucket: i64,
    measure: Measure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Cell {
    workspace: i32,
    campaign: CampaignId,
    series: SourceId,
    bucket: DateTime<Utc>,
    measure: Measure,
}

/// The sum of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) value: i128,
    pub(super) changed_at: DateTime<Utc>,
}

impl Sum {
    /// Adds another sum.
    pub(super) fn add(&mut self, more: Self) {
        self.value += more.value;
        self.changed_at = self.changed_at.max(more.changed_at);
    }
}

impl View for Rollups {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        let batch = match &recorded.event {
            Event::Observations(batch) => batch,
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Statements(_) | Event::Sync(_) => {
                return Ok(());
            }
        };
        let changed_at = batch.changed_at(recorded.recorded_at);
        self.numbers.clear();
        self.numbers.resize(batch.campaigns.len(), None);
        for observation in &batch.observations {
            let campaign = observed_campaign(batch, observation)?;
            let feed = match self.numbers[observation.campaign] {
                Some(number) => number,
                None => self.number(SeriesKey { workspace: recorded.workspace, campaign, series: batch.series() }),
            };
            self.numbers[observation.campaign] = Some(feed);
            let bucket = quarter_hour_s(observation.occurred_at);
            for (measure, value) in observation.increments() {
                let more = Sum { value: i128::from(value), changed_at };
                self.add(CellKey { feed, bucket, measure }, more);
            }
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        let later = downcast::<Self>(later);
        let numbers: HashMap<u32, u32> =
            later.feeds.into_iter().map(|(feed, number)| (number, self.number(feed))).collect();
        for (slot, sum) in later.sums {
            if let Some(&feed) = numbers.get(&slot.feed) {
                self.add(CellKey { feed, ..slot }, sum);
            }
        }
    }

    fn resume_after(&mut self, before: Option<&dyn View>) {
        self.written = match before {
            None => InsertHint::Nothing,
            Some(view) => downcast_ref::<Self>(view).map_or(InsertHint::Unknown, Self::all_written),
        };
    }

    fn pending_rows(&self) -> usize {
        self.sums.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.sums.is_empty() {
                return Ok(());
            }
            let tables = ["rollup_15m", "rollup_hourly", "rollup_daily"];
            let quarters = self.cells();
            let buckets = quarters.iter().map(|(cell, _)| cell.bucket);
            let [by_quarter, by_hour, by_day] = months::prepare(epoch, tables, buckets, conn).await?;
            let hours = roll_up(&quarters, Grain::Hour);
            let days = roll_up(&hours, Grain::Day);
            write_quarters(epoch, &Rows::of(&quarters, by_quarter, self.written), conn).await?;
            write_hours(epoch, &Rows::of(&hours, by_hour, self.written), conn).await?;
            write_days(epoch, &Rows::of(&days, by_day, self.written), conn).await?;
            Ok(())
        })
    }
}

impl Rollups {
    fn number(&mut self, feed: SeriesKey) -> u32 {
        let next = u32::try_from(self.feeds.len()).unwrap_or(u32::MAX);
        *self.feeds.entry(feed).or_insert(next)
    }

    fn add(&mut self, slot: CellKey, more: Sum) {
        self.sums.entry(slot).and_modify(|sum| sum.add(more)).or_insert(more);
    }

    /// The insert hint once these rows are written.
    fn all_written(&self) -> InsertHint {
        self.written.and(self.sums.keys().filter_map(|slot| DateTime::from_timestamp(slot.bucket, 0)))
    }

    /// The cells in key order, so that neighbours in the index are written together.
    fn cells(&self) -> Vec<(Cell, Sum)> {
        let feeds: HashMap<u32, SeriesKey> = self.feeds.iter().map(|(feed, number)| (*number, *feed)).collect();
        let cell = |(slot, sum): (&CellKey, &Sum)| {
            let SeriesKey { workspace, campaign, series } = *feeds.get(&slot.feed)?;
            let bucket = DateTime::from_timestamp(slot.bucket, 0)?;
            Some((Cell { workspace, campaign, series, bucket, measure: slot.measure }, *sum))
        };
        let mut cells: Vec<(Cell, Sum)> = self.sums.iter().filter_map(cell).collect();
        cells.sort_unstable_by_key(|(cell, _)| *cell);
        cells
    }
}

/// Rolls cells in key order up to coarser buckets. Cells of one coarser bucket are adjacent, whatever their measures.
/// So a bucket is complete when the next one begins.
fn roll_up(cells: &[(Cell, Sum)], grain: Grain) -> Vec<(Cell, Sum)> {
    let mut coarser = Vec::new();
    let mut open: BTreeMap<Cell, Sum> = BTreeMap::new();
    for &(cell, sum) in cells {
        let cell = Cell { bucket: utc_bucket(grain, cell.bucket), ..cell };
        let place = |cell: Cell| (cell.workspace, cell.campaign, cell.series, cell.bucket);
        if open.first_key_value().is_some_and(|(first, _)| place(*first) != place(cell)) {
            coarser.extend(std::mem::take(&mut open));
        }
        open.entry(cell).and_modify(|before| before.add(sum)).or_insert(sum);
    }
    coarser.extend(open);
    coarser
}

/// Rows that are certainly new, and the others.
#[derive(Debug, Default)]
struct Rows {
    new: Columns,
    others: Columns,
}

impl Rows {
    fn of(cells: &[(Cell, Sum)], kept: RetentionBound, written: InsertHint) -> Self {
        let mut rows = Self::default();
        for (cell, sum) in cells.iter().filter(|(cell, _)| kept.holds(cell.bucket)) {
            if written.is_certainly_new(cell.bucket) { &mut rows.new } else { &mut rows.others }.push(cell, sum);
        }
        rows
    }
}

/// The columns of the rows, all of the same length.
#[derive(Debug, Default)]
struct Columns {
    workspaces: Vec<i32>,
    campaigns: Vec<Uuid>,
    sources: Vec<Uuid>,
    buckets: Vec<DateTime<Utc>>,
    measures: Vec<&'static str>,
    /// As text: no integer of PostgreSQL holds an `i128`.
    values: Vec<String>,
    changed: Vec<DateTime<Utc>>,
}

impl Columns {
    fn push(&mut self, cell: &Cell, sum: &Sum) {
        self.workspaces.push(cell.workspace);
        self.campaigns.push(cell.campaign.0);
        self.sources.push(cell.series.0);
        self.buckets.push(cell.bucket);
        self.measures.push(cell.measure.name());
        self.values.push(sum.value.to_string());
        self.changed.push(sum.changed_at);
    }
}

/// One INSERT into one of the tables.
macro_rules! insert {
    ($into:literal, $on_conflict:literal, $epoch:ident, $rows:expr, $conn:ident) => {
        if !$rows.workspaces.is_empty() {
            sqlx::query!(
                "INSERT INTO " + $into + " AS i (epoch, workspace, campaign_id, source_id, bucket,
                                                 measure, value, changed_at)
                 SELECT $1, n.workspace, n.campaign_id, n.source_id, n.bucket, n.measure, n.value::numeric, n.changed_at
                 FROM unnest($2::integer[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::text[], $7::text[],
                             $8::timestamptz[])
                      AS n (workspace, campaign_id, source_id, bucket, measure, value, changed_at) " + $on_conflict,
                $epoch,
                &$rows.workspaces,
                &$rows.campaigns,
                &$rows.sources,
                &$rows.buckets,
                &$rows.measures as _,
                &$rows.values,
                &$rows.changed
            )
            .execute(&mut *$conn)
            .await?;
        }
    };
}

/// Writes rows to one of the tables: the new ones, then those that may exist.
macro_rules! write_to {
    ($name:ident, $into:literal) => {
        async fn $name(epoch: i32, rows: &Rows, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
            insert!($into, "", epoch, rows.new, conn);
            insert!(
                $into,
                "ON CONFLICT (epoch, workspace, campaign_id, source_id, bucket, measure) DO UPDATE
                 SET value = i.value + excluded.value, changed_at = greatest(i.changed_at, excluded.changed_at)",
                epoch,
                rows.others,
                conn
            );
            Ok(())
        }
    };
}

write_to!(write_quarters, "read.rollup_15m");
write_to!(write_hours, "read.rollup_hourly");
write_to!(write_days, "read.rollup_daily");
