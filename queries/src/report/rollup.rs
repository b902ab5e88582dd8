//! Which of the tables of sums a report reads: the coarsest that cuts time wherever the report does, so that it adds up the
//! fewest rows to the same sums; and what of it is kept.

use chrono::{DateTime, Utc};
use domain::bucket::Grain;

use super::plan::Plan;
use super::query::ReportQuery;
use crate::MODEL;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::warning::Warning;

/// Tables of sums, coarsest first, with the lengths of their buckets, which are aligned in UTC.
const TABLES: [(Grain, &str); 3] =
    [(Grain::Day, "daily_increments"), (Grain::Hour, "hourly_increments"), (Grain::QuarterHour, "increments")];
/// The table of sums by dimension.
const BY_DIMENSION: &str = "dimension_totals";
/// The table of stated totals.
const STATED: &str = "statements";

/// From when on a table keeps rows, and since when it does so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionBound {
    pub before: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

/// What limits the rows of an epoch.
#[derive(Debug, Default)]
pub struct EpochLimits {
    /// How many values of a dimension are kept per campaign and source.
    pub dimension_values: i32,
    /// By table.
    pub kept: Vec<(String, RetentionBound)>,
}

/// What a report reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollupChoice {
    /// The table of sums, by its buckets.
    pub grain: Grain,
    /// What the table keeps, if the report reaches back beyond it.
    pub beyond: Option<RetentionBound>,
    /// The same of stated totals.
    beyond_stated: Option<RetentionBound>,
    /// The same of the table by dimension, if that is read.
    beyond_by_dimension: Option<RetentionBound>,
    /// How many values of a dimension are kept.
    pub dimension_values: i32,
}

impl EpochLimits {
    /// Those of the snapshot's epoch.
    pub async fn load(snapshot: &mut Snapshot) -> Result<Self, ReadError> {
        let epoch = snapshot.epoch;
        let rows = sqlx::query!(
            r#"SELECT e.dimension_values, r.table_name AS "table_name?", r.before AS "before?", r.changed_at AS "changed_at?"
               FROM read.epochs e LEFT JOIN read.epoch_retention r USING (projection, epoch)
               WHERE e.projection = $1 AND e.epoch = $2"#,
            MODEL,
            epoch,
        )
        .fetch_all(snapshot.db())
        .await?;
        let mut limits = Self::default();
        for row in rows {
            limits.dimension_values = row.dimension_values;
            if let (Some(table), Some(before), Some(changed_at)) = (row.table_name, row.before, row.changed_at) {
                limits.kept.push((table, RetentionBound { before, changed_at }));
            }
        }
        Ok(limits)
    }

    /// What is kept of corrections, if days that begin here reach back beyond it.
    pub fn beyond_corrections(&self, start: DateTime<Utc>) -> Option<RetentionBound> {
        self.beyond("corrections", start)
    }

    /// What a table keeps, if a report that begins here reaches back beyond it.
    fn beyond(&self, table: &str, start: DateTime<Utc>) -> Option<RetentionBound> {
        let kept = self.kept.iter().find(|(name, _)| name == table).map(|(_, kept)| *kept);
        kept.filter(|kept| start < kept.before)
    }
}

impl RollupChoice {
    /// Of the tables that cut time wherever the plan does, the one that reaches furthest back into its range; of those, the
    /// coarsest. Quarters always do.
    pub fn choose(plan: &Plan, query: &ReportQuery, limits: &EpochLimits) -> Self {
        let start = plan.calendar.start();
        let fitting = TABLES.iter().filter(|(grain, _)| fits(plan, *grain));
        let furthest = fitting
            .map(|&(grain, table)| (grain, limits.beyond(table, start)))
            .min_by_key(|(_, beyond)| beyond.map(|kept| kept.before));
        let (grain, beyond) = furthest.unwrap_or((Grain::QuarterHour, limits.beyond("increments", start)));
        let beyond_by_dimension = query.dimensions().first().and_then(|_| limits.beyond(BY_DIMENSION, start));
        let beyond_stated = limits.beyond(STATED, start);
        Self { grain, beyond, beyond_stated, beyond_by_dimension, dimension_values: limits.dimension_values }
    }

    /// From where on a range that begins at `start` is read.
    pub fn kept_from(self, start: DateTime<Utc>) -> DateTime<Utc> {
        self.beyond.map_or(start, |kept| kept.before.max(start))
    }

    /// The same of the table by dimension. Not further back than the totals, or the rest would be less than nothing.
    pub fn kept_by_dimension_from(self, start: DateTime<Utc>) -> DateTime<Utc> {
        let start = self.kept_from(start);
        self.beyond_by_dimension.map_or(start, |kept| kept.before.max(start))
    }

    /// What was stated of a bucket counts if that ends after this.
    pub fn stated_after(self) -> DateTime<Utc> {
        self.beyond_stated.map_or_else(DateTime::default, |kept| kept.before)
    }

    /// When what it does not keep was dropped: a clock boundary of the result.
    pub fn changed_at(self) -> Option<DateTime<Utc>> {
        let changed_at = |beyond: Option<RetentionBound>| beyond.map(|kept| kept.changed_at);
        changed_at(self.beyond).max(changed_at(self.beyond_stated)).max(changed_at(self.beyond_by_dimension))
    }

    /// What a reader should know of numbers that are not kept.
    pub fn warnings(self, query: &ReportQuery) -> Vec<Warning> {
        let instant = |kept: RetentionBound| kept.before.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let warn =
            |detail: String| Warning { code: "beyond_retention", detail, sources: Vec::new(), measures: Vec::new() };
        let of_sums = self.beyond.map(|kept| {
            warn(format!(
                "Pushed numbers before {} are no longer kept for these buckets: rows that reach back further hold only what \
                 pull sources stated there, and what is later.",
                instant(kept)
            ))
        });
        let of_statements = self.beyond_stated.map(|kept| {
            warn(format!(
                "Totals that pull sources stated of what ended by {} are no longer kept: rows that reach back further hold \
                 only what was pushed there, and what is later.",
                instant(kept)
            ))
        });
        let of_dimension =
            self.beyond_by_dimension.zip(query.dimensions().first().copied()).map(|(kept, dimension)| {
                warn(format!(
                    "Numbers by {dimension} before {} are no longer kept: earlier numbers are under null.",
                    instant(kept)
                ))
            });
        of_sums.into_iter().chain(of_statements).chain(of_dimension).collect()
    }
}

/// Whether every edge of a plan's cells lies between two buckets of this grain.
fn fits(plan: &Plan, grain: Grain) -> bool {
    let mut edges = plan.cells().iter().map(|cell| cell.start).chain([plan.calendar.end()]);
    edges.all(|edge| edge.timestamp().rem_euclid(grain.seconds()) == 0)
}
