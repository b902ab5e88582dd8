//! `read.dimension_values` and `read.dimension_totals`: pushed observations by one dimension at a time.
//!
//! For each (campaign, series, dimension) the first values are kept, up to the epoch's limit. Later values are summed
//! in `(other)`. A source's observations are one stream, so "first" depends on the order within one stream only. The
//! ranks of a batch's values continue from the stored ones, in their order, so they do not depend on batches. Neither
//! do a sum and a maximum. An observation without a value of a dimension makes no row of it.

mod values; // which values are kept

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::bucket::quarter_hour;
use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use domain::measure::Measure;
use domain::observation::{Dimension, OTHER};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use self::values::{RetainedValueIndex, keep, known};
use super::insert_hint::InsertHint;
use super::months::{self, RetentionBound};
use super::observed::observed_campaign;
use super::rollups::Sum;
use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast, downcast_ref};

#[derive(Debug)]
pub(super) struct Dimensions {
    /// The projection whose epochs store the limit of values.
    projection: &'static str,
    groups: HashMap<Group, Values, foldhash::fast::RandomState>,
    rows: usize,
    written: InsertHint,
}

/// The group within which values are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Group {
    workspace: i32,
    dimension: Dimension,
    campaign: CampaignId,
    series: SourceId,
}

/// Sums by bucket and measure.
type Cells = HashMap<(DateTime<Utc>, Measure), Sum, foldhash::fast::RandomState>;

/// The values of a group, in the order of their first observation.
#[derive(Debug, Default)]
struct Values {
    places: HashMap<String, usize, foldhash::fast::RandomState>,
    in_order: Vec<(String, Cells)>,
}

impl Values {
    fn cells(&mut self, value: &str) -> Option<&mut Cells> {
        let next = self.in_order.len();
        let place = self.places.get(value).copied().unwrap_or(next);
        if place == next {
            self.places.insert(value.to_owned(), next);
            self.in_order.push((value.to_owned(), Cells::default()));
        }
        self.in_order.get_mut(place).map(|(_, cells)| cells)
    }
}

/// One INSERT into the table of totals.
macro_rules! insert {
    ($on_conflict:literal, $epoch:ident, $rows:ident, $conn:ident) => {
        if !$rows.workspaces.is_empty() {
            sqlx::query!(
                "INSERT INTO read.dimension_totals AS t (epoch, workspace, dimension, campaign_id, source_id, bucket,
                                                         value, measure, sum, changed_at)
                 SELECT $1, n.workspace, n.dimension, n.campaign_id, n.source_id, n.bucket, n.value, n.measure,
                        n.sum::numeric, n.changed_at
                 FROM unnest($2::integer[], $3::text[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::text[],
                             $8::text[], $9::text[], $10::timestamptz[])
                      AS n (workspace, dimension, campaign_id, source_id, bucket, value, measure, sum, changed_at) "
                    + $on_conflict,
                $epoch,
                &$rows.workspaces,
                &$rows.dimensions,
                &$rows.campaigns,
                &$rows.sources,
                &$rows.buckets,
                &$rows.values,
                &$rows.measures,
                &$rows.sums,
                &$rows.changed
            )
            .execute(&mut *$conn)
            .await?;
        }
    };
}

impl View for Dimensions {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        let batch = match &recorded.event {
            Event::Observations(batch) => batch,
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Statements(_) | Event::Sync(_) => {
                return Ok(());
            }
        };
        let changed_at = batch.changed_at(recorded.recorded_at);
        for observation in &batch.observations {
            if observation.dimensions.is_empty() {
                continue;
            }
            let campaign = observed_campaign(batch, observation)?;
            let bucket = quarter_hour(observation.occurred_at);
            for (name, value) in &observation.dimensions {
                let Ok(dimension) = name.parse() else { continue };
                let group = Group { workspace: recorded.workspace, dimension, campaign, series: batch.series() };
                let values = self.groups.entry(group).or_default();
                for (measure, increment) in observation.increments() {
                    let Some(cells) = values.cells(value) else { continue };
                    let more = Sum { value: i128::from(increment), changed_at };
                    self.rows += usize::from(add(cells, (bucket, measure), more));
                }
            }
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        for (group, later) in downcast::<Self>(later).groups {
            let values = self.groups.entry(group).or_default();
            for (value, sums) in later.in_order {
                let Some(cells) = values.cells(&value) else { continue };
                for (place, sum) in sums {
                    self.rows += usize::from(add(cells, place, sum));
                }
            }
        }
    }

    fn resume_after(&mut self, before: Option<&dyn View>) {
        self.written = match before {
            None => InsertHint::Nothing,
            Some(view) => {
                downcast_ref::<Self>(view).map_or(InsertHint::Unknown, |before| before.written.and(before.buckets()))
            }
        };
    }

    fn pending_rows(&self) -> usize {
        self.rows
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.rows == 0 {
                return Ok(());
            }
            let groups: BTreeMap<&Group, &Values> = self.groups.iter().collect();
            let [kept] = months::prepare(epoch, ["dimension_totals"], self.buckets(), conn).await?;
            let known = known(self.projection, epoch, &groups, conn).await?;
            let chosen: Vec<RetainedValues<'_>> =
                groups.iter().zip(known).map(|((group, values), known)| choose(**group, values, &known)).collect();
            keep(epoch, &chosen, conn).await?;
            let (new, others) = Columns::of(&chosen, kept, self.written);
            insert!("", epoch, new, conn);
            insert!(
                "ON CONFLICT (epoch, workspace, dimension, campaign_id, source_id, bucket, value, measure) DO UPDATE
                 SET sum = t.sum + excluded.sum, changed_at = greatest(t.changed_at, excluded.changed_at)",
                epoch,
                others,
                conn
            );
            Ok(())
        })
    }
}

impl Dimensions {
    /// A new view of this projection.
    pub(super) fn of(projection: &'static str) -> Self {
        Self { projection, groups: HashMap::default(), rows: 0, written: InsertHint::default() }
    }

    fn buckets(&self) -> impl Iterator<Item = DateTime<Utc>> {
        let cells = self.groups.values().flat_map(|values| &values.in_order).flat_map(|(_, cells)| cells.keys());
        cells.map(|(bucket, _)| *bucket)
    }
}

/// Adds to a cell. Returns whether it is new.
fn add(cells: &mut Cells, place: (DateTime<Utc>, Measure), more: Sum) -> bool {
    let before = cells.len();
    cells.entry(place).and_modify(|sum| sum.add(more)).or_insert(more);
    cells.len() > before
}

/// A group, ready to be written.
#[derive(Debug)]
struct RetainedValues<'a> {
    group: Group,
    /// The values that are kept from now on, with their ranks.
    added: Vec<(&'a str, i32)>,
    /// Rows in key order, by bucket, value and measure.
    rows: BTreeMap<(DateTime<Utc>, &'a str, Measure), Sum>,
}

/// Chooses the values that are kept: the first ones, counting on from those that are stored.
fn choose<'a>(group: Group, values: &'a Values, known: &RetainedValueIndex) -> RetainedValues<'a> {
    let mut chosen = RetainedValues { group, added: Vec::new(), rows: BTreeMap::new() };
    let mut count = known.count;
    for (place, (value, cells)) in values.in_order.iter().enumerate() {
        let is_kept = known.kept.get(place).copied().unwrap_or(false);
        // A value that is itself `(other)` is summed there.
        let is_added = !is_kept && value != OTHER && count < known.most;
        if is_added {
            count += 1;
            chosen.added.push((value, count));
        }
        let shown = if is_kept || is_added { value.as_str() } else { OTHER };
        for (&(bucket, measure), &sum) in cells {
            chosen.rows.entry((bucket, shown, measure)).and_modify(|before| before.add(sum)).or_insert(sum);
        }
    }
    chosen
}

/// The columns of the totals' rows, all of the same length.
#[derive(Debug, Default)]
struct Columns {
    workspaces: Vec<i32>,
    dimensions: Vec<String>,
    campaigns: Vec<Uuid>,
    sources: Vec<Uuid>,
    buckets: Vec<DateTime<Utc>>,
    values: Vec<String>,
    measures: Vec<String>,
    /// As text: no integer of PostgreSQL holds an `i128`.
    sums: Vec<String>,
    changed: Vec<DateTime<Utc>>,
}

impl Columns {
    /// The columns of the rows that are certainly new, and of the others.
    fn of(chosen: &[RetainedValues<'_>], kept: RetentionBound, written: InsertHint) -> (Self, Self) {
        let (mut new, mut others) = (Self::default(), Self::default());
        for RetainedValues { group, rows, .. } in chosen {
            for ((bucket, value, measure), sum) in rows.iter().filter(|((bucket, ..), _)| kept.holds(*bucket)) {
                let columns = if written.is_certainly_new(*bucket) { &mut new } else { &mut others };
                columns.workspaces.push(group.workspace);
                columns.dimensions.push(group.dimension.name().to_owned());
                columns.campaigns.push(group.campaign.0);
                columns.sources.push(group.series.0);
                columns.buckets.push(*bucket);
                columns.values.push((*value).to_owned());
                columns.measures.push(measure.name().to_owned());
                columns.sums.push(sum.value.to_string());
                columns.changed.push(sum.changed_at);
            }
        }
        (new, others)
    }
}
