//! The sums of a report from the tables: one statement for each part, grouped by cell, source and measure.
//!
//! The domain's calendar computes the edges of the cells, so that the database needs no time zones.

mod broken_down; // what pull sources state by dimension
mod statements; // the statements of sums, and their rows

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use domain::breakdown::NOT_BROKEN_DOWN;
use domain::bucket::Grain;
use domain::measure::Measure;
use domain::observation::Dimension;
use uuid::Uuid;

use super::coverage::{Coverage, CoveringPair};
use super::dimension::split;
use super::filter::parts::{DisjointPart, InclusionSet, cut_by_admission};
use super::plan::Plan;
use super::rollup::{RollupChoice, Stretch};
use super::sum::{DimensionValue, Sum, SumKey, overflow};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::sources::PeriodId;

/// The most sums of one report. Statements stop at one more, which is the literal in their SQL.
pub const MAX_SUMS: usize = 200_000;

/// Statements of a source that do not fit the cells of the query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GrainMismatch {
    pub source: PeriodId,
    pub measure: Measure,
    pub grain: Grain,
    pub time_zone: String,
    /// Whether they are too coarse for the cells, and so in none of them.
    pub left_out: bool,
}

/// The sums of a range, and what answers say of them.
#[derive(Debug, Default)]
pub(crate) struct Aggregates {
    pub sums: Vec<Sum>,
    pub mismatches: BTreeSet<GrainMismatch>,
    /// The series that have rows by the dimension.
    pub broken_down: BTreeSet<Uuid>,
}

/// What the sums of a range are selected by.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    pub plan: &'a Plan,
    /// What the filters admit.
    pub parts: &'a [DisjointPart],
    /// The sources that rows are made of.
    pub shown: &'a BTreeSet<PeriodId>,
    /// The series that have rows by the dimension.
    pub broken_down: BTreeSet<Uuid>,
    /// Whether campaigns have sums of their own.
    pub by_campaign: bool,
    /// The dimension of groups or filters.
    pub dimension: Option<Dimension>,
    /// Whether the values of the dimension have sums of their own.
    pub by_value: bool,
    /// Where the periods of sources lie, and which table of sums is read there.
    pub stretches: &'a BTreeMap<Stretch, (BTreeSet<PeriodId>, RollupChoice)>,
    /// By it, covered numbers have sums of their own.
    pub coverage: &'a Coverage,
}

/// One part of a selection in one stretch, and its sources.
#[derive(Debug)]
struct PartQuery<'a> {
    selection: &'a Selection<'a>,
    part: &'a DisjointPart,
    stretch: Stretch,
    rollup: RollupChoice,
    /// Whether its sources state totals by the dimension.
    is_broken_down: bool,
    /// By series, its period in the stretch.
    periods: BTreeMap<Uuid, PeriodId>,
    series: Vec<Uuid>,
    /// What these sources are covered for in the campaigns that another one feeds.
    pairs: Vec<CoveringPair>,
}

/// Loads the sums of a selection.
pub(super) async fn gather(snapshot: &mut Snapshot, selection: &Selection<'_>) -> Result<Aggregates, ReadError> {
    let mut aggregates = Aggregates { broken_down: selection.broken_down.clone(), ..Aggregates::default() };
    if selection.plan.cells().is_empty() {
        return Ok(aggregates);
    }
    snapshot.plan_for_values().await?;
    // Only where covered numbers have sums of their own, it matters which sources are admitted beside each other.
    let cut = selection.coverage.depends_on_campaigns().then(|| cut_by_admission(selection.parts));
    let parts: Vec<_> = match &cut {
        Some(cut) => cut.iter().map(|(part, admitted)| (part, Some(admitted))).collect(),
        None => selection.parts.iter().map(|part| (part, None)).collect(),
    };
    for (part, admitted) in parts {
        for (stretch, (periods, rollup)) in selection.stretches {
            let is_read = |id: &&PeriodId| part.sources.contains(id) && selection.shown.contains(id);
            let read = periods.iter().filter(is_read).copied();
            let (broken_down, others): (BTreeSet<_>, BTreeSet<_>) =
                read.partition(|id| selection.broken_down.contains(&id.series));
            for (is_broken_down, periods) in [(false, others), (true, broken_down)] {
                if periods.is_empty() {
                    continue;
                }
                let periods: BTreeMap<_, _> = periods.into_iter().map(|id| (id.series, id)).collect();
                let series = periods.keys().copied().collect();
                let pairs =
                    admitted.map_or_else(Vec::new, |admitted| selection.coverage.pairs(periods.values(), admitted));
                let (stretch, rollup) = (*stretch, *rollup);
                let query = PartQuery { selection, part, stretch, rollup, is_broken_down, periods, series, pairs };
                let sums = query.gather(snapshot, &mut aggregates.mismatches).await?;
                if aggregates.sums.len() + sums.len() > MAX_SUMS {
                    return Err(ReadError::ReportTooLarge { limit: MAX_SUMS });
                }
                aggregates.sums.extend(sums);
            }
        }
    }
    Ok(aggregates)
}

impl PartQuery<'_> {
    /// The period of a series in the stretch.
    fn period(&self, series: Uuid) -> Result<PeriodId, ReadError> {
        let period = self.periods.get(&series).copied();
        period.ok_or_else(|| ReadError::corrupt(format!("sum of series {series}")))
    }

    async fn gather(
        &self,
        snapshot: &mut Snapshot,
        mismatches: &mut BTreeSet<GrainMismatch>,
    ) -> Result<Vec<Sum>, ReadError> {
        let values = &self.part.values;
        let Some(dimension) = self.selection.dimension.filter(|_| self.selection.by_value || !values.is_everything())
        else {
            return self.totals(snapshot, mismatches).await;
        };
        let not_broken_down = || DimensionValue::Value(NOT_BROKEN_DOWN.to_owned());
        let rest = if self.is_broken_down { not_broken_down() } else { DimensionValue::None };
        if !values.contains(&rest.text().map(str::to_owned)) {
            return self.sums_by_value(snapshot, dimension, values).await;
        }
        // What is under no value is the rest of the totals beside all sums with one.
        let totals = self.totals(snapshot, mismatches).await?;
        if self.selection.by_value {
            let by_value = self.sums_by_value(snapshot, dimension, &InclusionSet::everything()).await?;
            let is_admitted = |sum: &Sum| {
                sum.dimension_value.as_ref().is_none_or(|value| values.contains(&value.text().map(str::to_owned)))
            };
            return Ok(split(totals, by_value, &rest)?.into_iter().filter(is_admitted).collect());
        }
        let excluded = self.sums_by_value(snapshot, dimension, &values.clone().complement()).await?;
        let others = split(totals, excluded, &rest)?.into_iter();
        let others = others.filter(|sum| sum.dimension_value.as_ref() == Some(&rest));
        Ok(others.map(|sum| Sum { dimension_value: None, ..sum }).collect())
    }

    /// The sums by value of a dimension, for these values.
    async fn sums_by_value(
        &self,
        snapshot: &mut Snapshot,
        dimension: Dimension,
        values: &InclusionSet<Option<String>>,
    ) -> Result<Vec<Sum>, ReadError> {
        let rows = if self.is_broken_down {
            self.stated_by_value(snapshot, dimension, values).await?
        } else {
            self.observed_by_value(snapshot, dimension, values).await?
        };
        if rows.len() > MAX_SUMS {
            return Err(ReadError::ReportTooLarge { limit: MAX_SUMS });
        }
        let mut sums = Vec::with_capacity(rows.len());
        for row in rows {
            let measure = row.sum.measure.parse().map_err(ReadError::corrupt)?;
            let (dimension_value, overflows) = (row.dimension_value.map(DimensionValue::Value), row.overflows);
            let sum = row.sum.sum(self.selection.plan, self.period(row.sum.source_id)?, measure)?;
            sums.extend(sum.map(|sum| Sum { dimension_value, overflows, ..sum }));
        }
        Ok(sums)
    }

    async fn totals(
        &self,
        snapshot: &mut Snapshot,
        mismatches: &mut BTreeSet<GrainMismatch>,
    ) -> Result<Vec<Sum>, ReadError> {
        let rows = self.select(snapshot).await?;
        if rows.len() > MAX_SUMS {
            return Err(ReadError::ReportTooLarge { limit: MAX_SUMS });
        }
        let mut sums: Vec<Sum> = Vec::new();
        let mut positions: BTreeMap<SumKey, usize> = BTreeMap::new();
        for row in rows {
            let measure: Measure = row.measure.parse().map_err(ReadError::corrupt)?;
            let period = self.period(row.source_id)?;
            if row.mismatch
                && let (Some(grain), Some(time_zone)) = (&row.grain, &row.time_zone)
            {
                let grain = grain.parse().map_err(ReadError::corrupt)?;
                let (time_zone, left_out) = (time_zone.clone(), row.cell.is_none());
                mismatches.insert(GrainMismatch { source: period, measure, grain, time_zone, left_out });
            }
            let Some(sum) = row.sum(self.selection.plan, period, measure)? else { continue };
            // Increments and statements of several grains may belong to one cell.
            match positions.entry(sum.key()) {
                Entry::Occupied(index) => {
                    if let Some(before) = sums.get_mut(*index.get()) {
                        before.value = before.value.checked_add(sum.value).ok_or_else(overflow)?;
                        before.changed_at = before.changed_at.max(sum.changed_at);
                    }
                }
                Entry::Vacant(index) => {
                    index.insert(sums.len());
                    sums.push(sum);
                }
            }
        }
        Ok(sums)
    }
}
