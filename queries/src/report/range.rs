//! The ranges of a report: their plans, and where their sums are read.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::bucket::Grain;

use super::plan::Plan;
use super::query::ReportQuery;
use super::rollup::{EpochLimits, RollupChoice, Stretch};
use crate::error::ReadError;
use crate::sources::{PeriodId, SourcePeriods};

/// One range of days of a report, and where its sums are read.
#[derive(Debug)]
pub(crate) struct ReportRange {
    pub plan: Plan,
    pub rollup: RollupChoice,
    /// The periods of the admitted sources by where they lie in the range, and where their sums are read.
    pub(super) stretches: BTreeMap<Stretch, (BTreeSet<PeriodId>, RollupChoice)>,
}

/// The most stretches of one range: each is read by itself.
const MAX_STRETCHES: usize = 400;

impl ReportRange {
    pub(super) fn new(
        plan: Plan,
        query: &ReportQuery,
        limits: &EpochLimits,
        sources: &SourcePeriods,
    ) -> Result<Self, ReadError> {
        let mut stretches = BTreeMap::new();
        for (id, source) in sources {
            let Some(stretch) = Stretch::of(&source.period, &plan) else { continue };
            let choose = || (BTreeSet::new(), RollupChoice::choose(&plan, stretch, query, limits));
            stretches.entry(stretch).or_insert_with(choose).0.insert(*id);
        }
        if stretches.len() > MAX_STRETCHES {
            return Err(ReadError::field(
                "date_from",
                "begins a range that changes of sources cut into more than 400 parts; ask for less",
            ));
        }
        Ok(Self { rollup: RollupChoice::choose(&plan, Stretch::default(), query, limits), stretches, plan })
    }

    /// The grain of the finest table that its sums are read from.
    pub(super) fn finest(&self) -> Grain {
        self.rollups().map(|rollup| rollup.grain).min_by_key(|grain| grain.seconds()).unwrap_or(Grain::QuarterHour)
    }

    /// Where its sums are read.
    pub(super) fn rollups(&self) -> impl Iterator<Item = RollupChoice> {
        std::iter::once(self.rollup).chain(self.stretches.values().map(|(_, rollup)| *rollup))
    }
}

/// The plans of both ranges; with an instant, cut there.
pub(super) fn plan_ranges(
    query: &ReportQuery,
    until: Option<DateTime<Utc>>,
) -> Result<(Plan, Option<Plan>), ReadError> {
    let invalid = |error| ReadError::Query(vec![error]);
    let own = Plan::new(query).map_err(invalid)?;
    let own = if let Some(until) = until { own.until(query, until).map_err(ReadError::corrupt)? } else { own };
    let compared = Plan::compared(query, &own).map_err(invalid)?;
    Ok((own, compared))
}
