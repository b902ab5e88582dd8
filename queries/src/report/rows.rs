//! Sums to rows. Only primary numbers are added, except in rows of one source.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use domain::bucket::ReportBucket;
use domain::freshness::{self, Finality, Watermarks};
use domain::measure::Measure;
use domain::source::SourceRole;
use uuid::Uuid;

use super::measure_values::{ByCurrency, MeasureTotals};
use super::query::{DataState, GroupKey, ReportQuery};
use super::sum::{DimensionValue, Sum, overflow};
use super::value::Value;
use crate::error::ReadError;
use crate::parked::{Parked, ResourceScope};
use crate::sources::{Source, Sources};

/// The cell of what is told of the whole range.
pub(crate) const ENTIRE_RANGE: usize = usize::MAX;

/// One row of a report.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub key: RowKey,
    /// The values of the query's measures, in its order.
    pub values: Vec<Value>,
    pub state: Finality,
    /// Which sources it is made of, and when each last changed it.
    pub changes: BTreeMap<Uuid, DateTime<Utc>>,
    /// The values that are null because they are stated in several currencies, in each.
    pub by_currency: ByCurrency,
    /// Where rows are compared: the values of money in each currency, be there one or several.
    pub in_each: ByCurrency,
    /// The numbers that it is compared with.
    pub compared: Option<Compared>,
}

/// The numbers that a row is compared with.
#[derive(Debug, Clone)]
pub(crate) struct Compared {
    /// The values of the query's measures, in its order.
    pub values: Vec<Value>,
    /// Those that are null because they are stated in several currencies, in each.
    pub by_currency: ByCurrency,
    /// Those of money in each currency, be there one or several.
    pub in_each: ByCurrency,
    pub state: Finality,
}

/// What a row is about. Sorted as rows are when nothing else decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    /// Index of the cell, or [`ENTIRE_RANGE`].
    pub cell: usize,
    pub channel: Option<String>,
    pub source: Option<SourceKey>,
    pub campaign: Option<Uuid>,
    /// Where in the query's dimension.
    pub slice: Option<DimensionValue>,
}

/// A source as rows are grouped by it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceKey {
    pub name: String,
    pub id: Uuid,
}

/// The sources that decide how settled rows are.
#[derive(Debug, Default)]
pub(crate) struct AuthoritativeSources {
    /// Those of rows of all campaigns.
    pub together: BTreeSet<Uuid>,
    /// Those of each campaign, where campaigns are told apart.
    pub by_campaign: BTreeMap<Uuid, BTreeSet<Uuid>>,
}

/// What combining needs to know beside the sums.
#[derive(Debug)]
pub(crate) struct RowContext<'a> {
    pub query: &'a ReportQuery,
    pub cells: &'a [ReportBucket],
    pub measures: &'a BTreeSet<Measure>,
    /// Those that the query lets in.
    pub sources: &'a Sources,
    /// What each of them vouches for in the query's time.
    pub vouched: BTreeMap<Uuid, Watermarks>,
    pub feeding: &'a AuthoritativeSources,
    /// What waits of these sources and campaigns.
    pub parked: &'a Parked,
    pub now: DateTime<Utc>,
}

/// What each source vouches for in the time of a query.
pub(crate) fn vouched(sources: &Sources, query: &ReportQuery, now: DateTime<Utc>) -> BTreeMap<Uuid, Watermarks> {
    let of = |source: &Source| source.freshness.watermarks(&source.reckoning(query.granularity, query.time_zone), now);
    sources.iter().map(|(id, source)| (*id, of(source))).collect()
}

/// What is said in each row.
pub(crate) type RowTotals = BTreeMap<RowKey, MeasureTotals>;

impl RowContext<'_> {
    /// What these sums say in each row.
    pub(crate) fn tally(&self, sums: &[Sum]) -> Result<RowTotals, ReadError> {
        let mut tally = RowTotals::new();
        for sum in sums {
            let Some(source) = self.sources.get(&sum.source) else { continue };
            if self.is_shown(source, sum.measure) {
                tally.entry(self.key(sum, source)).or_default().add(sum).ok_or_else(overflow)?;
            }
        }
        Ok(tally)
    }

    /// Leaves out the rows of buckets that are not wanted.
    pub(crate) fn keep_wanted(&self, tally: &mut RowTotals) {
        if self.query.data_state == DataState::Final {
            tally.retain(|key, _| self.state(key) == Finality::Final);
        }
    }

    /// The rows, in no particular order.
    pub(crate) fn rows(&self, tally: &RowTotals) -> Result<Vec<Row>, ReadError> {
        tally.iter().map(|(key, parts)| self.row(key, parts)).collect()
    }

    /// Reference numbers stand beside the totals: they are shown only where a row is one source's.
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
            slice: sum.slice.clone(),
        }
    }

    fn row(&self, key: &RowKey, parts: &MeasureTotals) -> Result<Row, ReadError> {
        let (values, by_currency) = parts.values(&self.query.measures, self.sources)?;
        let is_compared = self.query.compare_to.is_some();
        let in_each = is_compared.then(|| parts.by_currency(&self.query.measures, self.sources));
        let in_each = in_each.transpose()?.unwrap_or_default();
        // Whatever a row has in common with others, it is made of final ones if only those are wanted.
        let is_final = self.query.data_state == DataState::Final;
        let (state, changes) = (if is_final { Finality::Final } else { self.state(key) }, parts.changes.clone());
        Ok(Row { key: key.clone(), values, state, changes, by_currency, in_each, compared: None })
    }

    /// The cell that a row is about; for one about the whole range, its first instant and the first behind it.
    fn span(&self, cell: usize) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        if cell == ENTIRE_RANGE {
            self.cells.first().zip(self.cells.last()).map(|(first, last)| (first.start, last.end))
        } else {
            self.cells.get(cell).map(|cell| (cell.start, cell.end))
        }
    }

    /// A row of this range for one of another: of the whole, where no cell corresponds to its own.
    pub(crate) fn counterpart(&self, key: &RowKey) -> RowKey {
        let has_cell = self.cells.get(key.cell).is_some_and(|cell| cell.start < cell.end);
        RowKey { cell: if has_cell { key.cell } else { ENTIRE_RANGE }, ..key.clone() }
    }

    /// A row takes the state of its own sources.
    pub(crate) fn state(&self, key: &RowKey) -> Finality {
        let Some((_, end)) = self.span(key.cell) else { return Finality::Live };
        let state = freshness::state(end, self.now, &self.vouched_for(key));
        if self.is_unsettled(key) { state.min(Finality::Provisional) } else { state }
    }

    /// Where the numbers of a row begin to be incomplete.
    pub(crate) fn first_incomplete(&self, key: &RowKey) -> Option<DateTime<Utc>> {
        let (start, end) = self.span(key.cell)?;
        if self.is_unsettled(key) {
            return Some(start);
        }
        freshness::first_incomplete(start, end, &self.vouched_for(key))
    }

    /// What those vouch for that decide how settled a row is.
    fn vouched_for(&self, key: &RowKey) -> Vec<Watermarks> {
        self.deciding(key).into_iter().filter_map(|source| self.vouched.get(&source.id)).copied().collect()
    }

    /// The sources that decide how settled a row is: the one that it shows, or the primaries that feed it.
    pub(crate) fn deciding(&self, key: &RowKey) -> Vec<&Source> {
        if let Some(shown) = &key.source {
            return self.sources.get(&shown.id).into_iter().collect();
        }
        let ids = match key.campaign {
            None => Some(&self.feeding.together),
            Some(campaign) => self.feeding.by_campaign.get(&campaign),
        };
        let sources = ids.into_iter().flatten().filter_map(|id| self.sources.get(id));
        sources.filter(|source| self.decides(key, source)).collect()
    }

    fn decides(&self, key: &RowKey, source: &Source) -> bool {
        source.role_among(self.measures) == SourceRole::Primary
            && key.channel.as_ref().is_none_or(|channel| source.definition.channel.name() == channel)
    }

    /// Whether something waits that would decide on the row.
    pub(crate) fn is_unsettled(&self, key: &RowKey) -> bool {
        if self.parked.is_empty() {
            return false;
        }
        let named = || ResourceScope::numbers(self.query.filters.campaign_bound().into_iter().flatten());
        let about = key.campaign.map_or_else(named, |id| ResourceScope::numbers([id]));
        self.parked.affects_finality(&about, |id| match (&key.source, self.sources.get(&id)) {
            (Some(shown), _) => shown.id == id,
            (None, None) => true,
            (None, Some(source)) => self.decides(key, source),
        })
    }
}
