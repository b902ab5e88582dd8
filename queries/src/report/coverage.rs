//! Coverage: which numbers the ratios of a report are computed from. It follows from which sources state a measure,
//! never from whether a number came.

use std::collections::{BTreeMap, BTreeSet};

use domain::measure::{DERIVED, DerivedMeasure, MeetingPlace, NetMeasure, RatioFamily, Side};
use domain::source::{SourceKind, SourceRole};
use uuid::Uuid;

use super::query::{MeasureColumn, RatioBasis, ReportQuery};
use crate::sources::{PeriodId, Source, SourceDates, SourcePeriods};

/// Some ratios of a report, as bits of their indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RatioSet(i32);

/// A source, another one of its cells, and the bit of a ratio of which both together state both sides.
pub(super) type CoveringPair = (PeriodId, PeriodId, i32);

/// The ratios of a report, and which sources cover them.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    ratios: Vec<&'static DerivedMeasure>,
    /// The ratios that are computed from covered numbers only.
    covered_only: RatioSet,
    by_source: BTreeMap<PeriodId, SourceCoverage>,
    /// The net measures of the report.
    nets: Vec<&'static NetMeasure>,
}

/// The ratios that the numbers of one source are covered for.
#[derive(Debug, Default)]
struct SourceCoverage {
    /// In every campaign: it states both sides.
    everywhere: RatioSet,
    /// In rows of this source alone, where its role does not matter.
    alone: RatioSet,
    /// By another source of its channel and currency: in the campaigns that this one feeds, too.
    beside: BTreeMap<PeriodId, RatioSet>,
}

impl RatioSet {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(i32::MAX);

    /// The set that the database has as bits.
    pub(super) fn of_bits(bits: i32) -> Self {
        Self(bits)
    }

    pub(super) fn contains(self, ratio: usize) -> bool {
        self.0 & bit(ratio) != 0
    }

    fn insert(&mut self, ratio: usize) {
        self.0 |= bit(ratio);
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Whether the numbers of a source count toward a net measure. In a row of this source alone, its role does not matter.
pub(super) fn counts_net(net: &NetMeasure, source: &Source, is_alone: bool) -> bool {
    net.needed.iter().all(|measure| {
        source.states(*measure) && (is_alone || source.definition.role_of(*measure) == SourceRole::Primary)
    })
}

/// The catalogue has fewer ratios than an integer has bits.
fn bit(ratio: usize) -> i32 {
    u32::try_from(ratio).ok().and_then(|ratio| 1_i32.checked_shl(ratio)).unwrap_or(0)
}

impl Coverage {
    /// Whether any of these measures is a ratio whose sides meet in a cell.
    pub(crate) fn is_by_cell(columns: &[MeasureColumn]) -> bool {
        let mut ratios = columns.iter().filter_map(|column| column.ratio());
        ratios.any(|ratio| ratio.family.place() == MeetingPlace::Cell)
    }

    /// Whether the numbers of a source are covered in the campaigns alone that another one feeds, too.
    pub(super) fn is_by_campaign(&self) -> bool {
        self.by_source.values().any(|source| !source.beside.is_empty())
    }

    /// The coverage of a report's measures by the sources that it admits.
    pub(super) fn of(query: &ReportQuery, sources: &SourcePeriods) -> Self {
        Self::new(&query.measures, query.ratios, sources, !query.dimensions().is_empty())
    }

    /// The coverage of these measures by the sources that a query admits. With `by_kind`, pull sources and push sources
    /// do not meet: only the latter state values of dimensions.
    pub(crate) fn new(columns: &[MeasureColumn], basis: RatioBasis, sources: &SourcePeriods, by_kind: bool) -> Self {
        let nets = columns.iter().filter_map(|column| column.net()).collect();
        let mut coverage = Self { nets, ..Self::default() };
        // Those of cells have the lowest bits, which are all that the statements tell apart.
        let asked: BTreeSet<_> = columns.iter().filter_map(|column| column.ratio()).map(|ratio| ratio.name).collect();
        let (of_cells, of_sources): (Vec<&'static DerivedMeasure>, Vec<_>) = DERIVED
            .iter()
            .filter(|ratio| asked.contains(ratio.name))
            .partition(|ratio| ratio.family.place() == MeetingPlace::Cell);
        for ratio in of_cells.into_iter().chain(of_sources) {
            let index = coverage.ratios.len();
            if ratio.family != RatioFamily::Efficiency || basis == RatioBasis::Covered {
                coverage.covered_only.insert(index);
            }
            coverage.add(index, ratio, sources, by_kind);
            coverage.ratios.push(ratio);
        }
        coverage
    }

    fn add(&mut self, index: usize, ratio: &DerivedMeasure, sources: &SourcePeriods, by_kind: bool) {
        let states = |source: &Source| Side::ALL.map(|side| source.states(ratio.side(side)));
        let counts = |source: &Source, side: Side| {
            let measure = ratio.side(side);
            source.states(measure) && source.definition.role_of(measure) == SourceRole::Primary
        };
        let mut cells: BTreeMap<_, Vec<(PeriodId, SourceDates, [bool; 2])>> = BTreeMap::new();
        for source in sources.values() {
            let counted = Side::ALL.map(|side| counts(source, side));
            let coverage = self.by_source.entry(source.period_id()).or_default();
            if states(source) == [true, true] {
                coverage.alone.insert(index);
            }
            if counted == [true, true] {
                coverage.everywhere.insert(index);
            }
            let definition = &source.definition;
            let kind = by_kind.then_some(definition.kind == SourceKind::Push);
            cells.entry((definition.channel.clone(), definition.currency, kind)).or_default().push((
                source.period_id(),
                source.period,
                counted,
            ));
        }
        if ratio.family.place() == MeetingPlace::Source {
            return;
        }
        for stating in cells.values() {
            let of_one_side = stating.iter().filter(|(.., counted)| counted[0] != counted[1]);
            for (source, period, [numerator, denominator]) in of_one_side {
                let coverage = self.by_source.entry(*source).or_default();
                let others = stating.iter().filter(|(_, other, counted)| {
                    period.overlaps(other) && if *numerator { counted[1] } else { *denominator && counted[0] }
                });
                for (other, ..) in others {
                    coverage.beside.entry(*other).or_default().insert(index);
                }
            }
        }
    }

    /// The index of a ratio if it is computed from covered numbers only. `None`: from all numbers.
    pub(super) fn covered_only(&self, ratio: &DerivedMeasure) -> Option<usize> {
        let index = self.ratios.iter().position(|one| one.name == ratio.name)?;
        self.covered_only.contains(index).then_some(index)
    }

    pub(super) fn ratios(&self) -> impl Iterator<Item = (usize, &'static DerivedMeasure)> {
        self.ratios.iter().copied().enumerate()
    }

    pub(super) fn nets(&self) -> impl Iterator<Item = &'static NetMeasure> {
        self.nets.iter().copied()
    }

    /// The ratios that all numbers of a source are covered for.
    pub(super) fn everywhere(&self, source: PeriodId) -> RatioSet {
        self.by_source.get(&source).map_or(RatioSet::NONE, |coverage| coverage.everywhere)
    }

    /// The ratios that the numbers of a source are covered for in rows of this source alone.
    pub(super) fn alone(&self, source: PeriodId) -> RatioSet {
        self.by_source.get(&source).map_or(RatioSet::NONE, |coverage| coverage.alone)
    }

    /// The ratios that the numbers of a source are covered for in a campaign that these sources feed.
    pub(crate) fn among(&self, source: PeriodId, feeding: &BTreeSet<Uuid>) -> RatioSet {
        let beside = self.by_source.get(&source).into_iter().flat_map(|coverage| &coverage.beside);
        let met = beside.filter(|(other, _)| feeding.contains(&other.source)).map(|(_, ratios)| *ratios);
        met.fold(self.everywhere(source), RatioSet::union)
    }

    /// Whether the coverage of any source depends on which others feed a campaign.
    pub(super) fn depends_on_campaigns(&self) -> bool {
        self.by_source.values().any(|coverage| !coverage.beside.is_empty())
    }

    /// The pairs of one of `sources` and one of `others`: the first is covered in the campaigns that the second feeds.
    pub(super) fn pairs<'a>(
        &self,
        sources: impl Iterator<Item = &'a PeriodId>,
        others: &BTreeSet<PeriodId>,
    ) -> Vec<CoveringPair> {
        let each = sources.filter_map(|source| Some((*source, self.by_source.get(source)?)));
        let beside = each.flat_map(|(source, coverage)| {
            coverage.beside.iter().map(move |(other, ratios)| (source, *other, *ratios))
        });
        let met = beside.filter(|(_, other, _)| others.contains(other));
        met.flat_map(|(source, other, ratios)| {
            (0..self.ratios.len())
                .filter(move |ratio| ratios.contains(*ratio))
                .map(move |ratio| (source, other, bit(ratio)))
        })
        .collect()
    }
}
