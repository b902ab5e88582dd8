//! The warnings about the numbers of a report.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use domain::bucket::Grain;
use domain::measure::Measure;
use domain::observation::Dimension;
use domain::source::SourceRole;
use uuid::Uuid;

use super::aggregate::GrainMismatch;
use super::query::{GroupKey, ReportQuery};
use super::rows::Row;
use super::sum::Sum;
use crate::sources::{self, PeriodId, Source, SourcePeriods, Sources};
use crate::warning::Warning;

/// The most ids that one warning lists.
const LISTED: usize = 10;

/// A measure, and the primary sources that all state it of one campaign.
pub(crate) type Overlap = (Measure, BTreeSet<PeriodId>);

/// Stated totals that do not fit the cells of the query.
pub(crate) fn of_grains(
    query: &ReportQuery,
    mismatches: &BTreeSet<GrainMismatch>,
    sources: &SourcePeriods,
) -> Vec<Warning> {
    let mut alike: BTreeMap<(String, Grain, &str, bool), BTreeSet<Measure>> = BTreeMap::new();
    for mismatch in mismatches {
        let Some(source) = sources.get(&mismatch.source) else { continue };
        let shown =
            query.groups_by(GroupKey::Source) || source.definition.role_of(mismatch.measure) == SourceRole::Primary;
        if shown {
            let key = (source.definition.name.clone(), mismatch.grain, mismatch.time_zone.as_str(), mismatch.left_out);
            alike.entry(key).or_default().insert(mismatch.measure);
        }
    }
    let warnings = alike.into_iter().map(|((source, grain, zone, left_out), measures)| {
        let (granularity, query_zone) = (query.granularity, query.time_zone);
        let detail = match (left_out, grain) {
            (true, _) => format!(
                "{source} states its totals per {grain} of {zone}: they are too coarse for {granularity} and in none \
                 of the rows."
            ),
            (false, Grain::Day) => format!(
                "{source} states days of {zone}, which are not those of {query_zone}: each stands under its own \
                 date, uncut."
            ),
            (false, Grain::Hour | Grain::QuarterHour) => format!(
                "{source} states hours of {zone} that reach over an edge of the rows: each stands where it \
                 begins, uncut."
            ),
        };
        Warning { code: "grain_mismatch", detail, sources: vec![source], measures: names(&measures), spend: None }
    });
    warnings.collect()
}

/// Amounts that were not added because they have several currencies.
pub(crate) fn of_currencies<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Option<Warning> {
    let by_currency = rows.into_iter().flat_map(|row| {
        let compared = row.compared.iter().flat_map(|compared| compared.by_currency.values());
        row.by_currency.values().chain(compared).flat_map(BTreeMap::keys)
    });
    let measures: BTreeSet<_> = by_currency.copied().collect();
    (!measures.is_empty()).then(|| Warning {
        code: "mixed_currency",
        detail: "Amounts of different currencies are never added: by_currency has each of them.".to_owned(),
        sources: Vec::new(),
        measures: measures.into_iter().collect(),
        spend: None,
    })
}

/// Compared ranges of different lengths.
pub(crate) fn of_lengths(own: (NaiveDate, NaiveDate), compared: (NaiveDate, NaiveDate)) -> Option<Warning> {
    let [own, compared] = [own, compared].map(|(from, to)| (to - from).num_days() + 1);
    let days = |count: i64| format!("{count} {}", if count == 1 { "day" } else { "days" });
    (own != compared).then(|| Warning {
        code: "unequal_ranges",
        detail: format!("The range has {}, the one that it is compared with {}.", days(own), days(compared)),
        sources: Vec::new(),
        measures: Vec::new(),
        spend: None,
    })
}

/// Primary sources of one channel that state the same measure of the same campaign. If they count the same thing,
/// totals have it twice.
pub(crate) fn of_overlaps(overlaps: &BTreeSet<Overlap>, sources: &SourcePeriods) -> Vec<Warning> {
    let mut alike: BTreeMap<Vec<String>, BTreeSet<Measure>> = BTreeMap::new();
    for (measure, ids) in overlaps {
        let primary = ids.iter().filter_map(|id| sources.get(id));
        let primary = primary.filter(|source| source.definition.role_of(*measure) == SourceRole::Primary);
        let mut by_channel: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for source in primary {
            by_channel.entry(&source.definition.channel).or_default().push(source.definition.name.clone());
        }
        for mut names in by_channel.into_values().filter(|names| names.len() > 1) {
            names.sort_unstable();
            alike.entry(names).or_default().insert(*measure);
        }
    }
    let warnings = alike.into_iter().map(|(sources, measures)| Warning {
        code: "overlapping_primaries",
        detail:
            "These primary sources state the same measures of the same campaign and channel, so totals add them. If \
                 they count the same thing, all but one of them should have the role reference."
                .to_owned(),
        sources,
        measures: names(&measures),
        spend: None,
    });
    warnings.collect()
}

/// The overlaps among sums that each belong to one campaign, of sources that are alike throughout the range.
pub(crate) fn overlaps_in(sums: &[Sum]) -> BTreeSet<Overlap> {
    let mut stating: BTreeMap<(Option<Uuid>, Measure), BTreeSet<PeriodId>> = BTreeMap::new();
    for sum in sums {
        stating.entry((sum.campaign, sum.measure)).or_default().insert(sum.source);
    }
    stating.into_iter().filter(|(_, ids)| ids.len() > 1).map(|((_, measure), ids)| (measure, ids)).collect()
}

/// The periods that may overlap, by measure, of those that state each: of two sources or more.
pub(crate) fn may_overlap(mut stating: BTreeMap<Measure, BTreeSet<PeriodId>>) -> BTreeMap<Measure, BTreeSet<PeriodId>> {
    // A measure that one source alone states is counted once.
    stating.retain(|_, ids| ids.first().map(|id| id.source) != ids.last().map(|id| id.source));
    stating
}

/// Names in the filters that no source and no campaign of the workspace has.
pub(crate) fn of_unknown(query: &ReportQuery, sources: &Sources, known_campaigns: &BTreeSet<Uuid>) -> Vec<Warning> {
    let unknown_campaigns: Vec<_> = query
        .filters
        .campaigns()
        .difference(known_campaigns)
        .take(LISTED)
        .map(|id| id.as_hyphenated().to_string())
        .collect();
    let of_campaigns = (!unknown_campaigns.is_empty()).then(|| Warning {
        code: "unknown_campaign",
        detail: format!("The workspace has no campaign {}.", unknown_campaigns.join(", ")),
        sources: Vec::new(),
        measures: Vec::new(),
        spend: None,
    });
    sources::unknown_sources(&query.filters.sources(), sources).into_iter().chain(of_campaigns).collect()
}

/// References that the filters name, although they count toward no total.
pub(crate) fn of_references(
    query: &ReportQuery,
    sources: &SourcePeriods,
    measures: &BTreeSet<Measure>,
) -> Option<Warning> {
    if query.groups_by(GroupKey::Source) {
        return None;
    }
    let requested = query.filters.sources();
    let mut named: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in sources.values().filter(|source| requested.contains(&source.definition.name)) {
        named.entry(source.definition.name.as_str()).or_default().push(source);
    }
    named.retain(|_, periods| sources::role_in(periods, measures) == SourceRole::Reference);
    let references: Vec<_> = named.into_keys().map(str::to_owned).collect();
    (!references.is_empty()).then(|| Warning {
        code: "reference_left_out",
        detail: "Reference sources count toward no total; group by source to see them.".to_owned(),
        sources: references,
        measures: Vec::new(),
        spend: None,
    })
}

/// Stated totals of sources that state none by the dimension that the filters use.
pub(crate) fn of_totals_without(dimension: Dimension, stating: &[&Source]) -> Option<Warning> {
    let mut names: Vec<_> = stating.iter().map(|source| source.definition.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| Warning {
        code: "dimension_not_stated",
        detail: format!("Pull sources that state no totals by {dimension} are left out by the filter."),
        sources: names,
        measures: Vec::new(),
        spend: None,
    })
}

fn names(measures: &BTreeSet<Measure>) -> Vec<&'static str> {
    measures.iter().map(|measure| measure.name()).collect()
}
