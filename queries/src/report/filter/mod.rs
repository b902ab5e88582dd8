//! Which numbers count: conditions on campaigns, sources and the values of one dimension, joined by and, or and not.
//!
//! A request's filters ([`request`]) become one canonical [`Filter`], in which negations stand at single conditions and the order
//! of what is joined does not matter. With what the workspace holds it comes down to [`parts`]: sources, campaigns and values
//! that can be asked for by statements, no number being in two of them.

pub mod parts; // what a filter lets in, of what there is
pub mod request; // filters as they are sent, and told back

use std::collections::BTreeSet;

use domain::campaign::CampaignStatus;
use domain::channel::Channel;
use domain::observation::Dimension;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// Which numbers count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// Those of which all of these hold; all numbers if there is none.
    All(BTreeSet<Filter>),
    /// Those of which one of these holds.
    Any(BTreeSet<Filter>),
    Is(Condition),
    IsNot(Condition),
}

/// A single condition: one thing about a number is among these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    Campaign(BTreeSet<Uuid>),
    /// Of the source that says it.
    Channel(BTreeSet<Channel>),
    /// By name.
    Source(BTreeSet<String>),
    /// Of the campaign, now.
    Status(BTreeSet<CampaignStatus>),
    /// What the observation names of a dimension; `None` where it names nothing.
    Value(Dimension, BTreeSet<Option<String>>),
}

impl Default for Filter {
    fn default() -> Self {
        Self::All(BTreeSet::new())
    }
}

impl Filter {
    /// The numbers of these campaigns.
    pub fn of_campaigns(ids: impl IntoIterator<Item = Uuid>) -> Self {
        Self::Is(Condition::Campaign(ids.into_iter().collect()))
    }

    /// Those of which all of these hold.
    pub fn all(filters: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = BTreeSet::new();
        for filter in filters {
            match filter {
                Self::All(inner) => parts.extend(inner),
                other => drop(parts.insert(other)),
            }
        }
        // Neither of these nor of those is none of both.
        let parts = merged(parts, |filter| match filter {
            Self::IsNot(test) => Ok(test),
            other => Err(other),
        });
        single(parts.into_iter().map(|part| part.unwrap_or_else(Self::IsNot)).collect(), Self::All)
    }

    /// Those of which one of these holds.
    pub fn any(filters: impl IntoIterator<Item = Self>) -> Self {
        let mut parts = BTreeSet::new();
        for filter in filters {
            match filter {
                Self::Any(inner) => parts.extend(inner),
                other => drop(parts.insert(other)),
            }
        }
        let parts = merged(parts, |filter| match filter {
            Self::Is(test) => Ok(test),
            other => Err(other),
        });
        single(parts.into_iter().map(|part| part.unwrap_or_else(Self::Is)).collect(), Self::Any)
    }

    /// All others.
    pub(crate) fn negate(self) -> Self {
        match self {
            Self::All(parts) => Self::any(parts.into_iter().map(Self::negate)),
            Self::Any(parts) => Self::all(parts.into_iter().map(Self::negate)),
            Self::Is(test) => Self::IsNot(test),
            Self::IsNot(test) => Self::Is(test),
        }
    }

    /// Whether it lets everything in.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::All(parts) if parts.is_empty())
    }

    /// Its single conditions.
    pub fn tests(&self) -> Vec<&Condition> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::tests).collect(),
            Self::Is(test) | Self::IsNot(test) => vec![test],
        }
    }

    /// The campaigns beyond which it lets in nothing; `None` if it names no such.
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
        let named = self.tests().into_iter().filter_map(|test| match test {
            Condition::Campaign(ids) => Some(ids),
            _ => None,
        });
        named.flatten().copied().collect()
    }

    /// The sources that it names.
    pub fn sources(&self) -> BTreeSet<String> {
        let named = self.tests().into_iter().filter_map(|test| match test {
            Condition::Source(names) => Some(names),
            _ => None,
        });
        named.flatten().cloned().collect()
    }

    /// The statuses that it asks of campaigns, each set by itself.
    pub fn statuses(&self) -> BTreeSet<&BTreeSet<CampaignStatus>> {
        let asked = self.tests().into_iter().filter_map(|test| match test {
            Condition::Status(statuses) => Some(statuses),
            _ => None,
        });
        asked.collect()
    }

    /// The dimensions of which it names values.
    pub fn dimensions(&self) -> BTreeSet<Dimension> {
        let named = self.tests().into_iter().filter_map(|test| match test {
            Condition::Value(dimension, _) => Some(*dimension),
            _ => None,
        });
        named.collect()
    }

    /// Whether what it lets in depends on what sources are.
    pub fn is_by_source(&self) -> bool {
        self.tests().into_iter().any(|test| matches!(test, Condition::Channel(_) | Condition::Source(_)))
    }
}

/// Joins the tests that `test` takes out and that are about the same thing; everything else stays.
fn merged(
    parts: BTreeSet<Filter>,
    test: impl Fn(Filter) -> Result<Condition, Filter>,
) -> Vec<Result<Filter, Condition>> {
    let mut merged: Vec<Result<Filter, Condition>> = Vec::with_capacity(parts.len());
    for part in parts {
        match test(part) {
            Err(other) => merged.push(Ok(other)),
            Ok(test) => {
                let mut alike = merged.iter_mut().filter_map(|other| other.as_mut().err());
                if let Some(unjoined) = alike.try_fold(test, |test, other| other.join(test)) {
                    merged.push(Err(unjoined));
                }
            }
        }
    }
    merged
}

/// One part stands for itself.
fn single(parts: BTreeSet<Filter>, several: impl Fn(BTreeSet<Filter>) -> Filter) -> Filter {
    match (parts.len(), parts.first()) {
        (1, Some(only)) => only.clone(),
        _ => several(parts),
    }
}

impl Condition {
    /// Takes the other's values too, or gives the other back if it is about something else.
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
