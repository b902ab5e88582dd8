//! Rollups: which table of sums a report reads, and what that table keeps. It is the coarsest one with a bucket edge at
//! every cell edge of the report, so that the report adds up the fewest rows.

use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::{DayStart, Grain};

use super::plan::Plan;
use super::query::ReportQuery;
use crate::CAMPAIGN_MODEL;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::sources::SourceDates;
use crate::warning::Warning;

/// Tables of sums, coarsest first, with the lengths of their buckets, which are aligned in UTC.
const TABLES: [(Grain, &str); 3] =
    [(Grain::Day, "rollup_daily"), (Grain::Hour, "rollup_hourly"), (Grain::QuarterHour, "rollup_15m")];
/// The table of sums by dimension.
const BY_DIMENSION: &str = "dimension_totals";
/// The table of stated totals.
const STATED: &str = "statements";

/// A part of a range that is read by itself, because periods of sources begin or end there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stretch {
    /// Its first day; none: from the beginning of the range.
    pub from: Option<DayStart>,
    /// The first day after it; none: to the end of the range.
    pub until: Option<DayStart>,
}

impl Stretch {
    /// The stretch of a plan's range that lies in a period, if any does.
    pub(crate) fn of(period: &SourceDates, plan: &Plan) -> Option<Self> {
        period.within(&plan.range()).map(|(from, until)| Self { from, until })
    }

    /// Its first instant, and the first after it.
    pub(crate) fn span(self, plan: &Plan) -> (DateTime<Utc>, DateTime<Utc>) {
        let (start, end) = plan.range().span;
        let within = |day: Option<DayStart>, edge: DateTime<Utc>| day.map_or(edge, |day| day.at.clamp(start, end));
        (within(self.from, start), within(self.until, end))
    }

    /// Whether it has this date.
    pub(crate) fn has(self, date: NaiveDate) -> bool {
        self.from.is_none_or(|from| from.date <= date) && self.until.is_none_or(|until| date < until.date)
    }
}

/// The instant from which a table keeps rows, and when retention last moved it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetentionBound {
    pub before: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

/// The limits of the rows of an epoch.
#[derive(Debug, Default)]
pub(crate) struct EpochLimits {
    /// The version of the projection that built it.
    pub version: i32,
    /// How many values of a dimension are kept per campaign and source.
    pub dimension_values: i32,
    /// By table.
    pub kept: Vec<(String, RetentionBound)>,
}

/// The tables that a report reads, by what they keep of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RollupChoice {
    /// The table of sums, by its buckets.
    pub grain: Grain,
    /// The retention of the table, if the range begins before it.
    pub beyond: Option<RetentionBound>,
    /// The same for stated totals.
    beyond_stated: Option<RetentionBound>,
    /// The same for the table by dimension, if that is read.
    beyond_by_dimension: Option<RetentionBound>,
    /// How many values of a dimension are kept.
    pub dimension_values: i32,
}

impl EpochLimits {
    /// The limits of the snapshot's epoch.
    pub(crate) async fn load(snapshot: &mut Snapshot) -> Result<Self, ReadError> {
        let epoch = snapshot.epoch;
        let rows = sqlx::query!(
            r#"SELECT e.version, e.dimension_values, r.table_name AS "table_name?", r.before AS "before?",
                      r.changed_at AS "changed_at?"
               FROM read.epochs e LEFT JOIN read.epoch_retention r USING (projection, epoch)
               WHERE e.projection = $1 AND e.epoch = $2"#,
            CAMPAIGN_MODEL,
            epoch,
        )
        .fetch_all(snapshot.db())
        .await?;
        let mut limits = Self::default();
        for row in rows {
            (limits.version, limits.dimension_values) = (row.version, row.dimension_values);
            if let (Some(table), Some(before), Some(changed_at)) = (row.table_name, row.before, row.changed_at) {
                limits.kept.push((table, RetentionBound { before, changed_at }));
            }
        }
        Ok(limits)
    }

    /// The retention of corrections, if a range that begins here begins before it.
    pub(crate) fn beyond_corrections(&self, start: DateTime<Utc>) -> Option<RetentionBound> {
        self.beyond("corrections", start)
    }

    /// The retention of a table, if a range that begins here begins before it.
    pub(crate) fn beyond(&self, table: &str, start: DateTime<Utc>) -> Option<RetentionBound> {
        let bound = self.kept.iter().find(|(name, _)| name == table).map(|(_, bound)| *bound);
        bound.filter(|bound| start < bound.before)
    }
}

impl RollupChoice {
    /// Of the tables that fit the plan, the one that keeps most of its range; of several, the coarsest. Quarter hours
    /// always fit.
    pub(crate) fn choose(plan: &Plan, stretch: Stretch, query: &ReportQuery, limits: &EpochLimits) -> Self {
        let (start, _) = stretch.span(plan);
        let fitting = TABLES.iter().filter(|(grain, _)| fits(plan, stretch, *grain));
        let furthest = fitting
            .map(|&(grain, table)| (grain, limits.beyond(table, start)))
            .min_by_key(|(_, beyond)| beyond.map(|bound| bound.before));
        let (grain, beyond) = furthest.unwrap_or((Grain::QuarterHour, limits.beyond("rollup_15m", start)));
        let beyond_by_dimension = query.dimensions().first().and_then(|_| limits.beyond(BY_DIMENSION, start));
        let beyond_stated = limits.beyond(STATED, start);
        Self { grain, beyond, beyond_stated, beyond_by_dimension, dimension_values: limits.dimension_values }
    }

    /// The instant from which a range that begins at `start` is read.
    pub(crate) fn kept_from(self, start: DateTime<Utc>) -> DateTime<Utc> {
        self.beyond.map_or(start, |bound| bound.before.max(start))
    }

    /// The same for the table by dimension: not before that of the totals, or the rest would be negative.
    pub(crate) fn kept_by_dimension_from(self, start: DateTime<Utc>) -> DateTime<Utc> {
        let start = self.kept_from(start);
        self.beyond_by_dimension.map_or(start, |bound| bound.before.max(start))
    }

    /// The instant after which a bucket must end, so that its stated totals count.
    pub(crate) fn stated_after(self) -> DateTime<Utc> {
        self.beyond_stated.map_or_else(DateTime::default, |bound| bound.before)
    }

    /// When the rows that are missing were dropped: a clock boundary of the result.
    pub(crate) fn changed_at(self) -> Option<DateTime<Utc>> {
        let changed_at = |beyond: Option<RetentionBound>| beyond.map(|bound| bound.changed_at);
        changed_at(self.beyond).max(changed_at(self.beyond_stated)).max(changed_at(self.beyond_by_dimension))
    }

    /// The warnings about numbers that are not kept.
    pub(crate) fn warnings(self, query: &ReportQuery) -> Vec<Warning> {
        let instant = |bound: RetentionBound| bound.before.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let warn = |detail: String| Warning {
            code: "beyond_retention",
            detail,
            sources: Vec::new(),
            measures: Vec::new(),
            spend: None,
        };
        let of_sums = self.beyond.map(|bound| {
            warn(format!(
                "Pushed numbers before {} are no longer kept for these buckets: rows that reach back further hold only \
                 what pull sources stated there, and what is later.",
                instant(bound)
            ))
        });
        let of_statements = self.beyond_stated.map(|bound| {
            warn(format!(
                "Totals that pull sources stated of what ended by {} are no longer kept: rows that reach back further \
                 hold only what was pushed there, and what is later.",
                instant(bound)
            ))
        });
        let of_dimension =
            self.beyond_by_dimension.zip(query.dimensions().first().copied()).map(|(bound, dimension)| {
                warn(format!(
                    "Numbers by {dimension} before {} are no longer kept: earlier numbers are under null.",
                    instant(bound)
                ))
            });
        of_sums.into_iter().chain(of_statements).chain(of_dimension).collect()
    }
}

/// Whether each cell edge of the plan, and each edge of the stretch, is a bucket edge of this grain.
fn fits(plan: &Plan, stretch: Stretch, grain: Grain) -> bool {
    let cut = [stretch.from, stretch.until].into_iter().flatten().map(|day| day.at);
    let mut edges = plan.cells().iter().map(|cell| cell.start).chain([plan.calendar.end()]).chain(cut);
    edges.all(|edge| edge.timestamp().rem_euclid(grain.seconds()) == 0)
}
