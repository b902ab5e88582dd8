//! `read.increments`, `read.hourly_increments` and `read.daily_increments`: pushed observations, summed into UTC buckets of 15
//! minutes, hours and days.
//!
//! A sum does not depend on batches, nor does a maximum: `changed_at` is the latest `recorded_at` of the events that touched
//! the cell. The quarters of a batch are folded once, and added up to hours, and those to days, when they are written: an
//! hour of sums and maxima is what its quarters come to.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::bucket::{Grain, quarter_hour, utc_bucket};
use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use domain::measure::Measure;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use super::months::{self, Kept};
use super::observed::observed_campaign;
use crate::engine::{Recorded, Refusal, View, WriteError};

#[derive(Debug, Default)]
pub(super) struct Increments(HashMap<Cell, Sum>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Cell {
    workspace: i32,
    campaign: CampaignId,
    source: SourceId,
    bucket: DateTime<Utc>,
    measure: Measure,
}

/// What a cell comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) value: i128,
    pub(super) changed_at: DateTime<Utc>,
}

impl Sum {
    /// Both together.
    pub(super) fn add(&mut self, more: Self) {
        self.value += more.value;
        self.changed_at = self.changed_at.max(more.changed_at);
    }
}

impl View for Increments {
    fn absorb(&mut self, recorded: &Recorded<'_>) -> Result<(), Refusal> {
        let batch = match &recorded.event {
            Event::Observations(batch) => batch,
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Statements(_) | Event::Sync(_) => {
                return Ok(());
            }
        };
        for observation in &batch.observations {
            let campaign = observed_campaign(batch, observation)?;
            let bucket = quarter_hour(observation.occurred_at);
            for (measure, value) in observation.increments() {
                let cell = Cell { workspace: recorded.workspace, campaign, source: batch.source, bucket, measure };
                let more = Sum { value: i128::from(value), changed_at: recorded.recorded_at };
                self.0.entry(cell).and_modify(|sum| sum.add(more)).or_insert(more);
            }
        }
        Ok(())
    }

    fn rows(&self) -> usize {
        self.0.len()
    }

    fn write<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.0.is_empty() {
                return Ok(());
            }
            let tables = ["increments", "hourly_increments", "daily_increments"];
            let buckets = self.0.keys().map(|cell| cell.bucket);
            let [by_quarter, by_hour, by_day] = months::prepare(epoch, tables, buckets, conn).await?;
            // In key order, so that neighbours in the index are written together.
            let mut quarters: Vec<(Cell, Sum)> = self.0.iter().map(|(cell, sum)| (*cell, *sum)).collect();
            quarters.sort_unstable_by_key(|(cell, _)| *cell);
            let hours = added_up(&quarters, Grain::Hour);
            let days = added_up(&hours, Grain::Day);
            upsert_quarters(epoch, &Columns::of(&quarters, by_quarter), conn).await?;
            upsert_hours(epoch, &Columns::of(&hours, by_hour), conn).await?;
            upsert_days(epoch, &Columns::of(&days, by_day), conn).await?;
            Ok(())
        })
    }
}

/// Cells in key order, in coarser buckets. Cells of one of them stand together, whatever their measures: it is closed when
/// the next one begins.
fn added_up(cells: &[(Cell, Sum)], grain: Grain) -> Vec<(Cell, Sum)> {
    let mut coarser = Vec::new();
    let mut open: BTreeMap<Cell, Sum> = BTreeMap::new();
    for &(cell, sum) in cells {
        let cell = Cell { bucket: utc_bucket(grain, cell.bucket), ..cell };
        let place = |cell: Cell| (cell.workspace, cell.campaign, cell.source, cell.bucket);
        if open.first_key_value().is_some_and(|(first, _)| place(*first) != place(cell)) {
            coarser.extend(std::mem::take(&mut open));
        }
        open.entry(cell).and_modify(|before| before.add(sum)).or_insert(sum);
    }
    coarser.extend(open);
    coarser
}

/// The columns of the rows, each as long as the others.
#[derive(Debug, Default)]
struct Columns {
    workspaces: Vec<i32>,
    campaigns: Vec<Uuid>,
    sources: Vec<Uuid>,
    buckets: Vec<DateTime<Utc>>,
    measures: Vec<String>,
    /// As text: no integer of PostgreSQL holds an `i128`.
    values: Vec<String>,
    changed: Vec<DateTime<Utc>>,
}

impl Columns {
    fn of(cells: &[(Cell, Sum)], kept: Kept) -> Self {
        let mut columns = Self::default();
        for (cell, sum) in cells.iter().filter(|(cell, _)| kept.holds(cell.bucket)) {
            columns.workspaces.push(cell.workspace);
            columns.campaigns.push(cell.campaign.0);
            columns.sources.push(cell.source.0);
            columns.buckets.push(cell.bucket);
            columns.measures.push(cell.measure.name().to_owned());
            columns.values.push(sum.value.to_string());
            columns.changed.push(sum.changed_at);
        }
        columns
    }
}

/// One upsert of rows into one of the tables.
macro_rules! upsert {
    ($name:ident, $into:literal) => {
        async fn $name(epoch: i32, rows: &Columns, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
            sqlx::query!(
                "INSERT INTO " + $into + " AS i (epoch, workspace, campaign_id, source_id, bucket, measure, value, changed_at)
                 SELECT $1, n.workspace, n.campaign_id, n.source_id, n.bucket, n.measure, n.value::numeric, n.changed_at
                 FROM unnest($2::integer[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::text[], $7::text[],
                             $8::timestamptz[])
                      AS n (workspace, campaign_id, source_id, bucket, measure, value, changed_at)
                 ON CONFLICT (epoch, workspace, campaign_id, source_id, bucket, measure) DO UPDATE
                 SET value = i.value + excluded.value, changed_at = greatest(i.changed_at, excluded.changed_at)",
                epoch,
                &rows.workspaces,
                &rows.campaigns,
                &rows.sources,
                &rows.buckets,
                &rows.measures,
                &rows.values,
                &rows.changed
            )
            .execute(conn)
            .await?;
            Ok(())
        }
    };
}

upsert!(upsert_quarters, "read.increments");
upsert!(upsert_hours, "read.hourly_increments");
upsert!(upsert_days, "read.daily_increments");
