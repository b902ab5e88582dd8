//! `read.dimension_values` and `read.dimension_totals`: pushed observations by one dimension at a time.
//!
//! Of each (campaign, source, dimension) the first values are kept, as many as the epoch says; what names a later one is added
//! to `(other)`. A source's observations are one stream, so "first" depends on the order within one stream only; and the
//! values of a batch are counted on from those that are stored, in the order in which they came, so it does not depend on
//! batches. A sum and a maximum do not either. An observation that names no value of a dimension makes no row of it.

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

use super::CAMPAIGN_MODEL;
use super::increments::Sum;
use super::months::{self, Kept};
use super::observed::observed_campaign;
use crate::engine::{Recorded, Refusal, View, WriteError};

#[derive(Debug, Default)]
pub(super) struct Dimensions {
    groups: HashMap<Group, Values>,
    rows: usize,
}

/// Within which values are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Group {
    workspace: i32,
    dimension: Dimension,
    campaign: CampaignId,
    source: SourceId,
}

/// Sums by bucket and measure.
type Cells = HashMap<(DateTime<Utc>, Measure), Sum>;

/// The values of a group, in the order in which they came.
#[derive(Debug, Default)]
struct Values {
    places: HashMap<String, usize>,
    in_order: Vec<(String, Cells)>,
}

impl Values {
    fn cells(&mut self, value: &str) -> Option<&mut Cells> {
        let next = self.in_order.len();
        let place = self.places.get(value).copied().unwrap_or(next);
        if place == next {
            self.places.insert(value.to_owned(), next);
            self.in_order.push((value.to_owned(), Cells::new()));
        }
        self.in_order.get_mut(place).map(|(_, cells)| cells)
    }
}

impl View for Dimensions {
    fn absorb(&mut self, recorded: &Recorded<'_>) -> Result<(), Refusal> {
        let batch = match &recorded.event {
            Event::Observations(batch) => batch,
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Statements(_) | Event::Sync(_) => {
                return Ok(());
            }
        };
        for observation in &batch.observations {
            if observation.dimensions.is_empty() {
                continue;
            }
            let campaign = observed_campaign(batch, observation)?;
            let bucket = quarter_hour(observation.occurred_at);
            for (name, value) in &observation.dimensions {
                let Ok(dimension) = name.parse() else { continue };
                let group = Group { workspace: recorded.workspace, dimension, campaign, source: batch.source };
                let values = self.groups.entry(group).or_default();
                for (measure, increment) in observation.increments() {
                    let Some(cells) = values.cells(value) else { continue };
                    let more = Sum { value: i128::from(increment), changed_at: recorded.recorded_at };
                    let rows = &mut self.rows;
                    cells.entry((bucket, measure)).and_modify(|sum| sum.add(more)).or_insert_with(|| {
                        *rows += 1;
                        more
                    });
                }
            }
        }
        Ok(())
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn write<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.rows == 0 {
                return Ok(());
            }
            let groups: BTreeMap<&Group, &Values> = self.groups.iter().collect();
            let cells = || groups.values().flat_map(|values| &values.in_order).flat_map(|(_, cells)| cells.keys());
            let buckets = cells().map(|(bucket, _)| *bucket);
            let [kept] = months::prepare(epoch, ["dimension_totals"], buckets, conn).await?;
            let known = known(epoch, &groups, conn).await?;
            let chosen: Vec<Chosen<'_>> =
                groups.iter().zip(known).map(|((group, values), known)| choose(**group, values, &known)).collect();
            keep(epoch, &chosen, conn).await?;
            upsert(epoch, &Columns::of(&chosen, kept), conn).await?;
            Ok(())
        })
    }
}

/// What is stored of a group.
#[derive(Debug, Default)]
struct Known {
    /// Which of the batch's values are kept already, by their places.
    kept: Vec<bool>,
    /// How many values are kept.
    count: i32,
    /// How many may be.
    most: i32,
}

/// A group as it is to be written.
#[derive(Debug)]
struct Chosen<'a> {
    group: Group,
    /// Values that are kept from now on, with their ranks.
    added: Vec<(&'a str, i32)>,
    /// By bucket, value and measure: rows in key order.
    rows: BTreeMap<(DateTime<Utc>, &'a str, Measure), Sum>,
}

/// Which values stand by themselves: the first ones to come, counted on from those that are stored.
fn choose<'a>(group: Group, values: &'a Values, known: &Known) -> Chosen<'a> {
    let mut chosen = Chosen { group, added: Vec::new(), rows: BTreeMap::new() };
    let mut count = known.count;
    for (place, (value, cells)) in values.in_order.iter().enumerate() {
        let is_kept = known.kept.get(place).copied().unwrap_or(false);
        // Who names a value like that gets what it says.
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

/// What is stored of each group. A group is counted only where the batch names a value that is not kept.
async fn known(
    epoch: i32,
    groups: &BTreeMap<&Group, &Values>,
    conn: &mut PgConnection,
) -> Result<Vec<Known>, sqlx::Error> {
    let most = sqlx::query_scalar!(
        "SELECT dimension_values FROM read.epochs WHERE projection = $1 AND epoch = $2",
        CAMPAIGN_MODEL.name,
        epoch
    )
    .fetch_one(&mut *conn)
    .await?;
    let mut known: Vec<Known> =
        groups.values().map(|values| Known { kept: vec![false; values.in_order.len()], count: 0, most }).collect();
    let mut asked = Asked::default();
    for (index, (group, values)) in (0_i32..).zip(groups) {
        for (place, (value, _)) in (0_i32..).zip(&values.in_order) {
            asked.push(group, value, (index, place));
        }
    }
    let rows = sqlx::query!(
        r#"SELECT a.place AS "place!", a.of_group AS "of_group!"
           FROM unnest($2::integer[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::integer[], $8::integer[])
                AS a (workspace, dimension, campaign_id, source_id, value, of_group, place)
           JOIN read.dimension_values v
             ON v.epoch = $1 AND v.workspace = a.workspace AND v.campaign_id = a.campaign_id AND v.source_id = a.source_id
            AND v.dimension = a.dimension AND v.value = a.value"#,
        epoch,
        &asked.workspaces,
        &asked.dimensions,
        &asked.campaigns,
        &asked.sources,
        &asked.values,
        &asked.groups,
        &asked.places
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        let group = usize::try_from(row.of_group).ok().and_then(|index| known.get_mut(index));
        let place = usize::try_from(row.place).ok();
        if let Some(kept) = group.zip(place).and_then(|(group, place)| group.kept.get_mut(place)) {
            *kept = true;
        }
    }
    count(epoch, groups, &mut known, conn).await?;
    Ok(known)
}

/// Counts the groups in which the batch names a value that is not kept.
async fn count(
    epoch: i32,
    groups: &BTreeMap<&Group, &Values>,
    known: &mut [Known],
    conn: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    let mut asked = Asked::default();
    for ((index, group), known) in (0_i32..).zip(groups.keys()).zip(&*known) {
        if known.kept.contains(&false) {
            asked.push(group, "", (index, 0));
        }
    }
    if asked.workspaces.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        r#"SELECT a.of_group AS "of_group!", last.rank AS "rank!"
           FROM unnest($2::integer[], $3::text[], $4::uuid[], $5::uuid[], $6::integer[])
                AS a (workspace, dimension, campaign_id, source_id, of_group)
           CROSS JOIN LATERAL (
               SELECT v.rank FROM read.dimension_values v
               WHERE v.epoch = $1 AND v.workspace = a.workspace AND v.campaign_id = a.campaign_id
                 AND v.source_id = a.source_id AND v.dimension = a.dimension
               ORDER BY v.rank DESC LIMIT 1
           ) last"#,
        epoch,
        &asked.workspaces,
        &asked.dimensions,
        &asked.campaigns,
        &asked.sources,
        &asked.groups
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        if let Some(known) = usize::try_from(row.of_group).ok().and_then(|index| known.get_mut(index)) {
            known.count = row.rank;
        }
    }
    Ok(())
}

/// Values of groups to look up, column by column.
#[derive(Debug, Default)]
struct Asked {
    workspaces: Vec<i32>,
    dimensions: Vec<String>,
    campaigns: Vec<Uuid>,
    sources: Vec<Uuid>,
    values: Vec<String>,
    groups: Vec<i32>,
    places: Vec<i32>,
}

impl Asked {
    fn push(&mut self, group: &Group, value: &str, (index, place): (i32, i32)) {
        self.workspaces.push(group.workspace);
        self.dimensions.push(group.dimension.name().to_owned());
        self.campaigns.push(group.campaign.0);
        self.sources.push(group.source.0);
        self.values.push(value.to_owned());
        self.groups.push(index);
        self.places.push(place);
    }
}

/// Stores the values that are kept from now on.
async fn keep(epoch: i32, chosen: &[Chosen<'_>], conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut added = Asked::default();
    for chosen in chosen {
        for &(value, rank) in &chosen.added {
            added.push(&chosen.group, value, (0, rank));
        }
    }
    if added.workspaces.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO read.dimension_values (epoch, workspace, dimension, campaign_id, source_id, value, rank)
         SELECT $1, * FROM unnest($2::integer[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::integer[])",
        epoch,
        &added.workspaces,
        &added.dimensions,
        &added.campaigns,
        &added.sources,
        &added.values,
        &added.places
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The columns of the totals' rows, each as long as the others.
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
    fn of(chosen: &[Chosen<'_>], kept: Kept) -> Self {
        let mut columns = Self::default();
        for Chosen { group, rows, .. } in chosen {
            for ((bucket, value, measure), sum) in rows.iter().filter(|((bucket, ..), _)| kept.holds(*bucket)) {
                columns.workspaces.push(group.workspace);
                columns.dimensions.push(group.dimension.name().to_owned());
                columns.campaigns.push(group.campaign.0);
                columns.sources.push(group.source.0);
                columns.buckets.push(*bucket);
                columns.values.push((*value).to_owned());
                columns.measures.push(measure.name().to_owned());
                columns.sums.push(sum.value.to_string());
                columns.changed.push(sum.changed_at);
            }
        }
        columns
    }
}

async fn upsert(epoch: i32, rows: &Columns, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO read.dimension_totals AS t (epoch, workspace, dimension, campaign_id, source_id, bucket, value, measure,
                                                 sum, changed_at)
         SELECT $1, n.workspace, n.dimension, n.campaign_id, n.source_id, n.bucket, n.value, n.measure, n.sum::numeric,
                n.changed_at
         FROM unnest($2::integer[], $3::text[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::text[], $8::text[],
                     $9::text[], $10::timestamptz[])
              AS n (workspace, dimension, campaign_id, source_id, bucket, value, measure, sum, changed_at)
         ON CONFLICT (epoch, workspace, dimension, campaign_id, source_id, bucket, value, measure) DO UPDATE
         SET sum = t.sum + excluded.sum, changed_at = greatest(t.changed_at, excluded.changed_at)",
        epoch,
        &rows.workspaces,
        &rows.dimensions,
        &rows.campaigns,
        &rows.sources,
        &rows.buckets,
        &rows.values,
        &rows.measures,
        &rows.sums,
        &rows.changed
    )
    .execute(conn)
    .await?;
    Ok(())
}
