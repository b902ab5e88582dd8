//! The disjoint parts that a filter admits: each by sources, campaigns and values, so that one statement can read it.
//! No number is in two of them.

use std::collections::{BTreeMap, BTreeSet};

use domain::campaign::CampaignStatus;
use uuid::Uuid;

use super::{Condition, Filter};
use crate::sources::{PeriodId, Source, SourcePeriods};

/// The most parts of one filter.
const MAX_PARTS: usize = 20;
/// The most combinations of sources and values that are distinguished while parts are computed.
const MAX_COMBINATIONS: usize = 200;

/// A set by its members, or by what it excludes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InclusionSet<T> {
    Only(BTreeSet<T>),
    Except(BTreeSet<T>),
}

/// By the requested statuses, the campaigns that have one of them.
pub type CampaignsByStatus<'a> = BTreeMap<&'a BTreeSet<CampaignStatus>, BTreeSet<Uuid>>;

/// The numbers of these periods of sources for these campaigns, with these values of the filter's dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisjointPart {
    pub sources: BTreeSet<PeriodId>,
    pub campaigns: InclusionSet<Uuid>,
    /// `None` among them: the numbers without a value.
    pub values: InclusionSet<Option<String>>,
}

/// The error of a filter with too many parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyParts;

impl<T: Ord + Clone> InclusionSet<T> {
    pub fn everything() -> Self {
        Self::Except(BTreeSet::new())
    }

    fn nothing() -> Self {
        Self::Only(BTreeSet::new())
    }

    pub fn is_everything(&self) -> bool {
        matches!(self, Self::Except(excluded) if excluded.is_empty())
    }

    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Only(members) if members.is_empty())
    }

    pub fn contains(&self, one: &T) -> bool {
        match self {
            Self::Only(members) => members.contains(one),
            Self::Except(excluded) => !excluded.contains(one),
        }
    }

    /// The set of all others.
    pub(crate) fn complement(self) -> Self {
        match self {
            Self::Only(these) => Self::Except(these),
            Self::Except(these) => Self::Only(these),
        }
    }

    /// The members, or else the excluded, for a statement. Neither if it is everything.
    pub fn lists(&self) -> (Option<Vec<T>>, Option<Vec<T>>) {
        let list = |these: &BTreeSet<T>| Some(these.iter().cloned().collect());
        match self {
            Self::Only(members) => (list(members), None),
            Self::Except(excluded) if excluded.is_empty() => (None, None),
            Self::Except(excluded) => (None, list(excluded)),
        }
    }

    /// The intersection of both sets.
    pub(crate) fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Only(mut a), other) => {
                a.retain(|one| other.contains(one));
                Self::Only(a)
            }
            (Self::Except(a), Self::Only(b)) => Self::Only(b.difference(&a).cloned().collect()),
            (Self::Except(mut a), Self::Except(b)) => {
                a.extend(b.iter().cloned());
                Self::Except(a)
            }
        }
    }

    /// The union of both sets.
    fn or(self, other: Self) -> Self {
        self.complement().and(&other.complement()).complement()
    }
}

impl DisjointPart {
    pub fn contains(&self, source: PeriodId, campaign: Uuid) -> bool {
        self.sources.contains(&source) && self.campaigns.contains(&campaign)
    }
}

/// The campaigns that the parts admit; `None` for all.
pub fn admitted_campaigns(parts: &[DisjointPart], filter: &Filter) -> Option<BTreeSet<Uuid>> {
    if parts.is_empty() {
        return filter.campaign_bound();
    }
    let ids: Option<Vec<_>> = parts
        .iter()
        .map(|part| match &part.campaigns {
            InclusionSet::Only(ids) => Some(ids),
            InclusionSet::Except(_) => None,
        })
        .collect();
    ids.map(|ids| ids.into_iter().flatten().copied().collect())
}

/// The campaigns of the parts that list theirs.
pub fn listed_campaigns(parts: &[DisjointPart]) -> BTreeSet<Uuid> {
    let each = parts.iter().filter_map(|part| match &part.campaigns {
        InclusionSet::Only(ids) => Some(ids),
        InclusionSet::Except(_) => None,
    });
    each.flatten().copied().collect()
}

/// The parts, cut so that the same sources are admitted for all campaigns of one, and these sources.
pub fn cut_by_admission(parts: &[DisjointPart]) -> Vec<(DisjointPart, BTreeSet<PeriodId>)> {
    let mut all = Vec::new();
    for part in parts {
        let mut cut = vec![(part.campaigns.clone(), part.sources.clone())];
        for other in parts.iter().filter(|other| *other != part) {
            let divided = cut.into_iter().flat_map(|(campaigns, admitted)| {
                let both = admitted.union(&other.sources).copied().collect();
                let inside = campaigns.clone().and(&other.campaigns);
                [(inside, both), (campaigns.and(&other.campaigns.clone().complement()), admitted)]
            });
            cut = divided.filter(|(campaigns, _)| !campaigns.is_nothing()).collect();
        }
        all.extend(cut.into_iter().map(|(campaigns, admitted)| (DisjointPart { campaigns, ..part.clone() }, admitted)));
    }
    all
}

/// Whether a filter may admit numbers of a source.
pub fn may_match_source(filter: &Filter, source: &Source) -> bool {
    match filter {
        Filter::All(parts) => parts.iter().all(|part| may_match_source(part, source)),
        Filter::Any(parts) => parts.iter().any(|part| may_match_source(part, source)),
        Filter::Is(condition) => condition.of_source(source).unwrap_or(true),
        Filter::IsNot(condition) => !condition.of_source(source).unwrap_or(false),
    }
}

/// Splits what a filter admits into disjoint parts.
pub fn partition(
    filter: &Filter,
    sources: &SourcePeriods,
    by_status: &CampaignsByStatus<'_>,
) -> Result<Vec<DisjointPart>, TooManyParts> {
    let conditions = filter.conditions();
    // Sources with equal results in every condition have equal results in the filter.
    let mut alike: BTreeMap<Vec<Option<bool>>, Vec<&Source>> = BTreeMap::new();
    for source in sources.values() {
        alike.entry(conditions.iter().map(|condition| condition.of_source(source)).collect()).or_default().push(source);
    }
    let classes = classes(&conditions);
    if alike.len() * classes.len() > MAX_COMBINATIONS {
        return Err(TooManyParts);
    }
    let mut parts: Vec<DisjointPart> = Vec::new();
    for alike in alike.values() {
        let Some(one) = alike.first() else { continue };
        let mut by_campaigns: Vec<(InclusionSet<Uuid>, InclusionSet<Option<String>>)> = Vec::new();
        for (example, values) in &classes {
            let campaigns = FilterCase { source: one, value: example.as_ref(), by_status }.campaigns(filter);
            match by_campaigns.iter_mut().find(|(other, _)| *other == campaigns) {
                Some((_, all)) => *all = all.clone().or(values.clone()),
                None => by_campaigns.push((campaigns, values.clone())),
            }
        }
        for (campaigns, values) in by_campaigns.into_iter().filter(|(campaigns, _)| !campaigns.is_nothing()) {
            let ids = alike.iter().map(|source| source.period_id());
            match parts.iter_mut().find(|part| part.campaigns == campaigns && part.values == values) {
                Some(part) => part.sources.extend(ids),
                None => parts.push(DisjointPart { sources: ids.collect(), campaigns, values }),
            }
        }
    }
    if parts.len() > MAX_PARTS { Err(TooManyParts) } else { Ok(parts) }
}

/// Values with equal results in every condition, and an example of them. A filter that names no value has one class.
type Class = (Example, InclusionSet<Option<String>>);
/// `None`: any value that no condition names.
type Example = Option<Option<String>>;

fn classes(conditions: &[&Condition]) -> Vec<Class> {
    let lists: Vec<_> = conditions
        .iter()
        .filter_map(|condition| match condition {
            Condition::Value(_, values) => Some(values),
            _ => None,
        })
        .collect();
    let named: BTreeSet<_> = lists.iter().flat_map(|values| values.iter().cloned()).collect();
    let mut alike: BTreeMap<Vec<bool>, BTreeSet<Option<String>>> = BTreeMap::new();
    for value in &named {
        alike.entry(lists.iter().map(|values| values.contains(value)).collect()).or_default().insert(value.clone());
    }
    let classes = alike.into_values().map(|values| (values.first().cloned(), InclusionSet::Only(values)));
    classes.chain([(None, InclusionSet::Except(named))]).collect()
}

/// A source and a value of the filter's dimension. They decide all conditions but those on campaigns.
struct FilterCase<'a> {
    source: &'a Source,
    value: Option<&'a Option<String>>,
    by_status: &'a CampaignsByStatus<'a>,
}

impl FilterCase<'_> {
    fn campaigns(&self, filter: &Filter) -> InclusionSet<Uuid> {
        match filter {
            Filter::All(parts) => parts.iter().fold(InclusionSet::everything(), |all, part| {
                if all.is_nothing() { all } else { all.and(&self.campaigns(part)) }
            }),
            Filter::Any(parts) => parts.iter().fold(InclusionSet::nothing(), |any, part| {
                if any.is_everything() { any } else { any.or(self.campaigns(part)) }
            }),
            Filter::Is(condition) => self.campaigns_of(condition),
            // An unknown campaign has no status, but it has no numbers either.
            Filter::IsNot(condition) => self.campaigns_of(condition).complement(),
        }
    }

    fn campaigns_of(&self, condition: &Condition) -> InclusionSet<Uuid> {
        let holds = match condition {
            Condition::Campaign(ids) => return InclusionSet::Only(ids.clone()),
            Condition::Status(statuses) => {
                return InclusionSet::Only(self.by_status.get(statuses).cloned().unwrap_or_default());
            }
            Condition::Value(_, values) => self.value.is_some_and(|value| values.contains(value)),
            Condition::Channel(_) | Condition::Source(_) => condition.of_source(self.source).unwrap_or(true),
        };
        if holds { InclusionSet::everything() } else { InclusionSet::nothing() }
    }
}

impl Condition {
    /// Whether it holds for a source; `None` if it is about something else.
    fn of_source(&self, source: &Source) -> Option<bool> {
        match self {
            Self::Channel(channels) => Some(channels.contains(&source.definition.channel)),
            Self::Source(names) => Some(names.contains(&source.definition.name)),
            Self::Campaign(_) | Self::Status(_) | Self::Value(..) => None,
        }
    }
}
