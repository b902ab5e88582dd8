//! Filters: conditions on campaigns, sources and the values of one dimension, joined by and, or and not.
//!
//! The filters of a request ([`request`]) become one canonical [`Filter`]. Only single conditions are negated in it,
//! and the order of joined conditions does not matter. The sources and campaigns of the workspace split it into
//! disjoint [`parts`], each of which one statement can read.

pub mod parts; // the disjoint parts that a filter admits
pub mod request; // filters as they are sent and repeated

use std::collections::BTreeSet;

use domain::campaign::CampaignStatus;
use domain::channel::Channel;
use domain::observation::Dimension;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// A condition on numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// All of these hold. If there is none, every number is admitted.
    All(BTreeSet<Filter>),
    /// At least one of these holds.
    Any(BTreeSet<Filter>),
    Is(Condition),
    IsNot(Condition),
}

/// A single condition: one property of a number is among these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    Campaign(BTreeSet<Uuid>),
    /// Of the source.
    Channel(BTreeSet<Channel>),
    /// Of the source, by name.
    Source(BTreeSet<String>),
    /// Of the campaign, at present.
    Status(BTreeSet<CampaignStatus>),
    /// The value of a dimension; `None` if the observation has none.
    Value(Dimension, BTreeSet<Option<String>>),
}

impl Default for Filter {
    fn default() -> Self {
        Self::All(BTreeSet::new())
    }
}

impl Filter {
    /// The filter of these campaigns.
    pub fn of_campaigns(ids: impl IntoIterator<Item = Uuid>) -> Self {
        Self::Is(Condition::Campaign(ids.into_iter().collect()))
    }

    /// The filter that all of these join to.
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = BTreeSet::new();
        for filter in filters {
            match filter {
                Self::All(inner) => parts.extend(inner),
                other => drop(parts.insert(other)),
            }
        }
        // Two exclusions of the same property are one of both lists.
        let parts = merged(parts, |filter| match filter {
            Self::IsNot(condition) => Ok(condition),
            other => Err(other),
        });
        single(parts.into_iter().map(|part| part.unwrap_or_else(Self::IsNot)).collect(), Self::All)
    }

    /// The filter that any of these meets.
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = BTreeSet::new();
        for filter in filters {
            match filter {
                Self::Any(inner) => parts.extend(inner),
                other => drop(parts.insert(other)),
            }
        }
        let parts = merged(parts, |filter| match filter {
            Self::Is(condition) => Ok(condition),
            other => Err(other),
        });
        single(parts.into_iter().map(|part| part.unwrap_or_else(Self::Is)).collect(), Self::Any)
    }

    /// The filter of all other numbers.
    pub(crate) fn negate(self) -> Self {
        match self {
            Self::All(parts) => Self::any(parts.into_iter().map(Self::negate)),
            Self::Any(parts) => Self::all(parts.into_iter().map(Self::negate)),
            Self::Is(condition) => Self::IsNot(condition),
            Self::IsNot(condition) => Self::Is(condition),
        }
    }

    /// Whether it admits everything.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }

    /// Its single conditions.
    pub fn conditions(&self) -> Vec<&Condition> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::conditions).collect(),
            Self::Is(condition) | Self::IsNot(condition) => vec![condition],
        }
    }

    /// The campaigns that it admits at most; `None` if it sets no such bound.
    pub fn campaign_bound(&self) -> Option<BTreeSet<Uuid>> {
        match self {
            Self::All(parts) => {
                parts.iter().filter_map(Self::campaign_bound).reduce(|a, b| a.intersection(&b).copied().collect())
            }
            Self::Any(parts) => {
                let bounds: Option<Vec<_>> = parts.iter().map(Self::campaign_bound).collect();
                bounds.map(|bounds| bounds.into_iter().flatten().collect())
            }
            Self::Is(Condition::Campaign(ids)) => Some(ids.clone()),
            Self::Is(_) | Self::IsNot(_) => None,
        }
    }

    /// The campaigns that it names.
    pub fn campaigns(&self) -> BTreeSet<Uuid> {
        let named = self.conditions().into_iter().filter_map(|condition| match condition {
            Condition::Campaign(ids) => Some(ids),
            _ => None,
        });
        named.flatten().copied().collect()
    }

    /// The sources that it names.
    pub fn sources(&self) -> BTreeSet<String> {
        let named = self.conditions().into_iter().filter_map(|condition| match condition {
            Condition::Source(names) => Some(names),
            _ => None,
        });
        named.flatten().cloned().collect()
    }

    /// The sets of statuses that its conditions name.
    pub fn statuses(&self) -> BTreeSet<&BTreeSet<CampaignStatus>> {
        let sets = self.conditions().into_iter().filter_map(|condition| match condition {
            Condition::Status(statuses) => Some(statuses),
            _ => None,
        });
        sets.collect()
    }

    /// The dimensions that its conditions are about.
    pub fn dimensions(&self) -> BTreeSet<Dimension> {
        let named = self.conditions().into_iter().filter_map(|condition| match condition {
            Condition::Value(dimension, _) => Some(*dimension),
            _ => None,
        });
        named.collect()
    }

    /// Whether it depends on properties of sources.
    pub fn is_by_source(&self) -> bool {
        self.conditions().into_iter().any(|condition| matches!(condition, Condition::Channel(_) | Condition::Source(_)))
    }
}

/// Joins the conditions that `condition` extracts and that are about the same property. Everything else stays.
fn merged(
    parts: BTreeSet<Filter>,
    condition: impl Fn(Filter) -> Result<Condition, Filter>,
) -> Vec<Result<Filter, Condition>> {
    let mut merged: Vec<Result<Filter, Condition>> = Vec::with_capacity(parts.len());
    for part in parts {
        match condition(part) {
            Err(other) => merged.push(Ok(other)),
            Ok(condition) => {
                let mut alike = merged.iter_mut().filter_map(|other| other.as_mut().err());
                if let Some(unjoined) = alike.try_fold(condition, |condition, other| other.join(condition)) {
                    merged.push(Err(unjoined));
                }
            }
        }
    }
    merged
}

/// A join of one part is that part.
fn single(parts: BTreeSet<Filter>, several: impl Fn(BTreeSet<Filter>) -> Filter) -> Filter {
    match (parts.len(), parts.first()) {
        (1, Some(only)) => only.clone(),
        _ => several(parts),
    }
}

impl Condition {
    /// Adds the values of the other, or returns the other if it is about another property.
    fn join(&mut self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Campaign(all), Self::Campaign(more)) => all.extend(more),
            (Self::Channel(all), Self::Channel(more)) => all.extend(more),
            (Self::Source(all), Self::Source(more)) => all.extend(more),
            (Self::Status(all), Self::Status(more)) => all.extend(more),
            (Self::Value(of, all), Self::Value(other, more)) if *of == other => all.extend(more),
            (_, other) => return Some(other),
        }
        None
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        request::FilterRequest::from(self).serialize(serializer)
    }
}
