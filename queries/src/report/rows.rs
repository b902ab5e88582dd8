//! From sums to rows. Only numbers of primary sources are added, except in rows of one source.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::bucket::ReportBucket;
use domain::freshness::{self, Finality, Watermarks};
use domain::measure::Measure;
use domain::money::Currency;
use domain::source::SourceRole;
use uuid::Uuid;

use super::coverage::Coverage;
use super::measure_values::{ByCurrency, MeasureTotals, ValueContext, currencies_stating};
use super::query::{DataState, GroupKey, ReportQuery};
use super::sum::{DimensionValue, Sum, overflow};
use super::value::Value;
use crate::error::ReadError;
use crate::parked::{Parked, ResourceScope};
use crate::sources::{FreshnessRange, PeriodId, SettledRange, Source, SourcePeriods, periods_of};

/// The cell of rows over the whole range.
pub(crate) const ENTIRE_RANGE: usize = usize::MAX;

/// One row of a report.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub key: RowKey,
    /// The values of the query's measures, in its order.
    pub values: Vec<Value>,
    pub state: Finality,
    /// The sources that it is made of, by period, with the last change by each.
    pub changes: BTreeMap<PeriodId, DateTime<Utc>>,
    /// The values that are null because they have several currencies, in each of these.
    pub by_currency: ByCurrency,
    /// If rows are compared: the values with money, in each currency, even in one alone.
    pub money_by_currency: ByCurrency,
    /// The numbers that it is compared with.
    pub compared: Option<Compared>,
}

/// The numbers that a row is compared with.
#[derive(Debug, Clone)]
pub(crate) struct Compared {
    /// The values of the query's measures, in its order.
    pub values: Vec<Value>,
    /// The values that are null because they have several currencies, in each of these.
    pub by_currency: ByCurrency,
    /// The values with money, in each currency, even in one alone.
    pub money_by_currency: ByCurrency,
    pub state: Finality,
}

/// The key of a row. It sorts as rows do if nothing else decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    /// The index of the cell, or [`ENTIRE_RANGE`].
    pub cell: usize,
    pub channel: Option<String>,
    pub source: Option<SourceKey>,
    pub campaign: Option<Uuid>,
    /// The value of the query's dimension.
    pub dimension_value: Option<DimensionValue>,
}

/// A source as rows are grouped by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceKey {
    pub name: String,
    pub id: Uuid,
}

/// The sources that decide on the finality of rows.
#[derive(Debug, Default)]
pub(crate) struct AuthoritativeSources {
    /// Of rows over all campaigns.
    pub together: BTreeSet<PeriodId>,
    /// Of rows of one campaign.
    pub by_campaign: BTreeMap<Uuid, BTreeSet<PeriodId>>,
}

/// The context in which sums become rows.
#[derive(Debug)]
pub(crate) struct RowContext<'a> {
    pub query: &'a ReportQuery,
    pub cells: &'a [ReportBucket],
    /// Where the cells and the days end; sorted.
    pub edges: &'a [DateTime<Utc>],
    pub measures: &'a BTreeSet<Measure>,
    /// The sources that the query admits.
    pub sources: &'a SourcePeriods,
    /// Which of their numbers its ratios are computed from.
    pub coverage: &'a Coverage,
    /// Their watermarks in the query's time.
    pub watermarks: BTreeMap<PeriodId, Watermarks>,
    pub authoritative: &'a AuthoritativeSources,
    /// The parked parts of these sources and campaigns.
    pub parked: &'a Parked,
    pub now: DateTime<Utc>,
}

/// The watermarks of each source in the time of a query.
pub(crate) fn watermarks(
    sources: &SourcePeriods,
    query: &ReportQuery,
    now: DateTime<Utc>,
) -> BTreeMap<PeriodId, Watermarks> {
    let (measures, grain) = (query.additive(), (query.granularity, query.time_zone));
    let of = |source: &Source| source.watermarks(&measures, grain, now);
    sources.iter().map(|(id, source)| (*id, of(source))).collect()
}

/// The numbers of each row.
pub(crate) type RowTotals = BTreeMap<RowKey, MeasureTotals>;

impl RowContext<'_> {
    /// Adds these sums up by row.
    pub(crate) fn tally(&self, sums: &[Sum]) -> Result<RowTotals, ReadError> {
        let mut tally = RowTotals::new();
        for sum in sums {
            let Some(source) = self.sources.get(&sum.source) else { continue };
            if self.is_shown(source, sum.measure) {
                let covered = sum.covered.union(self.coverage.everywhere(sum.source));
                tally.entry(self.key(sum, source)).or_default().add(sum, covered).ok_or_else(overflow)?;
            }
        }
        Ok(tally)
    }

    /// Drops the rows that are not final, if only final ones are requested.
    pub(crate) fn keep_requested(&self, tally: &mut RowTotals) {
        if self.query.data_state == DataState::Final {
            tally.retain(|key, _| self.state(key) == Finality::Final);
        }
    }

    /// The rows, in no particular order.
    pub(crate) fn rows(&self, tally: &RowTotals) -> Result<Vec<Row>, ReadError> {
        tally.iter().map(|(key, parts)| self.row(key, parts)).collect()
    }

    /// Whether a number is in the rows. A reference is only in rows of its source.
    fn is_shown(&self, source: &Source, measure: Measure) -> bool {
        self.query.groups_by(GroupKey::Source) || source.definition.role_of(measure) == SourceRole::Primary
    }

    fn key(&self, sum: &Sum, source: &Source) -> RowKey {
        let definition = &source.definition;
        let query = self.query;
        RowKey {
            cell: sum.cell,
            channel: query.groups_by(GroupKey::Channel).then(|| definition.channel.name().to_owned()),
            source: query
                .groups_by(GroupKey::Source)
                .then(|| SourceKey { name: definition.name.clone(), id: source.id }),
            campaign: sum.campaign,
            dimension_value: sum.dimension_value.clone(),
        }
    }

    fn row(&self, key: &RowKey, parts: &MeasureTotals) -> Result<Row, ReadError> {
        let context = ValueContext {
            sources: self.sources,
            coverage: self.coverage,
            is_of_one_source: key.source.is_some(),
            stating: &|measure, only| self.stating(key, parts, measure, only),
        };
        let (values, by_currency) = parts.values(&self.query.measures, &context)?;
        let is_compared = self.query.compare_to.is_some();
        let money_by_currency = is_compared.then(|| parts.by_currency(&self.query.measures, &context));
        let money_by_currency = money_by_currency.transpose()?.unwrap_or_default();
        // If only final buckets are requested, every row is made of them.
        let is_final = self.query.data_state == DataState::Final;
        let (state, changes) = (if is_final { Finality::Final } else { self.state(key) }, parts.changes.clone());
        Ok(Row { key: key.clone(), values, state, changes, by_currency, money_by_currency, compared: None })
    }

    /// The currencies of the sources of a row that state a measure; with `only`, of the sources of this currency. Of a
    /// value of a dimension, only the sources that have numbers there say anything.
    fn stating(
        &self,
        key: &RowKey,
        parts: &MeasureTotals,
        measure: Measure,
        only: Option<Currency>,
    ) -> BTreeSet<Currency> {
        let by_value = !self.query.dimensions().is_empty();
        let counts = |source: &&Source| {
            (key.source.is_some() || source.definition.role_of(measure) == SourceRole::Primary)
                && (!by_value || parts.is_of(source.period_id()))
        };
        currencies_stating(self.deciding(key).into_iter().filter(counts), measure, only)
    }

    /// The time of a cell, or of the whole range.
    fn span(&self, cell: usize) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        if cell == ENTIRE_RANGE {
            self.cells.first().zip(self.cells.last()).map(|(first, last)| (first.start, last.end))
        } else {
            self.cells.get(cell).map(|cell| (cell.start, cell.end))
        }
    }

    /// The key in this range for a row of another: the whole range, if no cell corresponds.
    pub(crate) fn counterpart(&self, key: &RowKey) -> RowKey {
        let has_cell = self.cells.get(key.cell).is_some_and(|cell| cell.start < cell.end);
        RowKey { cell: if has_cell { key.cell } else { ENTIRE_RANGE }, ..key.clone() }
    }

    /// The finality of a row, which follows from its own sources.
    pub(crate) fn state(&self, key: &RowKey) -> Finality {
        let Some(span) = self.span(key.cell) else { return Finality::Live };
        let state = freshness::state(span, self.now, &self.deciding_watermarks(key));
        if self.is_unsettled(key) { state.min(Finality::Provisional) } else { state }
    }

    /// The instant from which the numbers of a row are incomplete.
    pub(crate) fn first_incomplete(&self, key: &RowKey) -> Option<DateTime<Utc>> {
        let span = self.span(key.cell)?;
        if self.is_unsettled(key) {
            return Some(span.0);
        }
        freshness::first_incomplete(span, &self.deciding_watermarks(key))
    }

    /// Up to where the numbers of a row are complete, and final. `None` if it is final as a whole.
    pub(crate) fn settled(&self, row: &Row) -> Option<SettledRange> {
        let span = self.span(row.key.cell).filter(|_| row.state != Finality::Final)?;
        if self.is_unsettled(&row.key) {
            return Some(SettledRange::default());
        }
        let grain = (self.query.granularity, self.query.time_zone);
        let range = FreshnessRange { span, grain, edges: self.edges };
        Some(range.settled(&self.deciding_watermarks(&row.key)))
    }

    /// The watermarks of the sources that decide on the finality of a row.
    fn deciding_watermarks(&self, key: &RowKey) -> Vec<&Watermarks> {
        self.deciding(key).into_iter().filter_map(|source| self.watermarks.get(&source.period_id())).collect()
    }

    /// The sources that decide on the finality of a row: its own source, or the primaries that feed it. Each in the
    /// periods that the row is of.
    pub(crate) fn deciding(&self, key: &RowKey) -> Vec<&Source> {
        let Some(span) = self.span(key.cell) else { return Vec::new() };
        let grain = (self.query.granularity, self.query.time_zone);
        let is_asked_about = |source: &&Source| source.is_asked_about(span, grain);
        if let Some(shown) = &key.source {
            let periods: Vec<_> =
                periods_of(self.sources, shown.id).filter(|source| is_of_channel(key, source)).collect();
            let asked: Vec<_> = periods.iter().copied().filter(is_asked_about).collect();
            // Of hours and days of several zones, a number may lie beyond the edge of its period.
            return if asked.is_empty() { periods } else { asked };
        }
        let ids = match key.campaign {
            None => Some(&self.authoritative.together),
            Some(campaign) => self.authoritative.by_campaign.get(&campaign),
        };
        let sources = ids.into_iter().flatten().filter_map(|id| self.sources.get(id));
        sources.filter(|source| self.decides(key, source)).filter(is_asked_about).collect()
    }

    fn decides(&self, key: &RowKey, source: &Source) -> bool {
        !source.counted_among(self.measures).is_empty() && is_of_channel(key, source)
    }

    /// Whether a parked part would decide on the finality of the row.
    pub(crate) fn is_unsettled(&self, key: &RowKey) -> bool {
        if self.parked.is_empty() {
            return false;
        }
        let named = || ResourceScope::numbers(self.query.filters.campaign_bound().into_iter().flatten());
        let about = key.campaign.map_or_else(named, |id| ResourceScope::numbers([id]));
        self.parked.affects_finality(&about, |id| {
            if let Some(shown) = &key.source {
                return shown.id == id;
            }
            let mut periods = periods_of(self.sources, id).peekable();
            periods.peek().is_none() || periods.any(|source| self.decides(key, source))
        })
    }
}

fn is_of_channel(key: &RowKey, source: &Source) -> bool {
    key.channel.as_ref().is_none_or(|channel| source.definition.channel.name() == channel)
}
