//! The results of a batch, item by item. One bad item never fails its neighbours.

use std::collections::BTreeMap;

use domain::item::{ItemError, ItemErrorCode};
use serde::{Deserialize, Serialize};

/// The result of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// It is recorded.
    Accepted,
    /// It changes nothing.
    Duplicate,
    /// Other content was recorded under its id.
    Conflict,
    /// It cannot be recorded.
    Rejected,
}

/// The result of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemResult {
    /// Its index in the batch, from 0.
    pub index: usize,
    /// Its id, if it has one that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its result.
    pub status: ItemStatus,
    /// Why it was not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ItemErrorCode>,
    /// The member with the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl ItemResult {
    /// The result of an item that is recorded.
    pub fn accepted(index: usize, id: Option<String>) -> Self {
        Self { index, id, status: ItemStatus::Accepted, reason: None, field: None, detail: None }
    }

    pub(crate) fn rejected(index: usize, id: Option<String>, error: ItemError) -> Self {
        let ItemError { reason, field, detail } = error;
        Self { index, id, status: ItemStatus::Rejected, reason: Some(reason), field, detail: Some(detail) }
    }

    pub(crate) fn with_reason(index: usize, id: Option<String>, status: ItemStatus, reason: ItemErrorCode) -> Self {
        Self { index, id, status, reason: Some(reason), field: None, detail: None }
    }
}

/// The result of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchResult {
    /// How many items were recorded.
    pub accepted: usize,
    /// How many items changed nothing.
    pub duplicates: usize,
    /// How many items had other content than was recorded under their id.
    pub conflicts: usize,
    /// How many items could not be recorded.
    pub rejected: usize,
    /// How many values were taken back.
    pub retracted: usize,
    /// The items that were not accepted, in the order of the batch.
    pub results: Vec<ItemResult>,
}

/// How many items of a batch had each result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ItemCounts {
    accepted: usize,
    duplicates: usize,
    conflicts: usize,
    rejected: usize,
}

impl ItemCounts {
    /// The result of a batch of which nothing else is known any more.
    pub(crate) fn result(self) -> BatchResult {
        let Self { accepted, duplicates, conflicts, rejected } = self;
        BatchResult { accepted, duplicates, conflicts, rejected, retracted: 0, results: Vec::new() }
    }
}

/// The results that are known before the append. The receipt keeps them, so that a replay gives the same answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PreAppendResults {
    /// How many items the batch has.
    pub(crate) total: usize,
    /// The results of the items that are not part of the append.
    pub(crate) results: Vec<ItemResult>,
    /// How many values are taken back.
    #[serde(default)]
    pub(crate) retracted: usize,
    /// The items of the append that stand beside another one of the same item of the batch, and give no result; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) companions: Vec<usize>,
    /// The order in which the items of the append stand in its events, where it is another than that of the batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) order: Vec<usize>,
}

impl PreAppendResults {
    /// The counts of a batch of which the append refuses no item.
    pub(crate) fn counts(&self) -> ItemCounts {
        let count = |status| self.results.iter().filter(|result| result.status == status).count();
        ItemCounts {
            accepted: self.total - self.results.len(),
            duplicates: count(ItemStatus::Duplicate),
            conflicts: count(ItemStatus::Conflict),
            rejected: count(ItemStatus::Rejected),
        }
    }

    /// Completes the results with those of the append, whose items are numbered among themselves.
    pub(crate) fn complete(
        self,
        id_of: impl Fn(usize) -> Option<String>,
        duplicates: &[usize],
        conflicts: &[usize],
    ) -> BatchResult {
        let mut results: BTreeMap<usize, ItemResult> =
            self.results.into_iter().map(|result| (result.index, result)).collect();
        let mut unsettled =
            (0..self.total).filter(|index| !results.contains_key(index)).collect::<Vec<_>>().into_iter();
        let appended: Vec<Option<usize>> = (0..unsettled.len() + self.companions.len())
            .map(|item| if self.companions.binary_search(&item).is_ok() { None } else { unsettled.next() })
            .collect();
        let found = [
            (duplicates, ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded),
            (conflicts, ItemStatus::Conflict, ItemErrorCode::OtherContent),
        ];
        let place = |item: &usize| self.order.get(*item).copied().unwrap_or(*item);
        for (items, status, reason) in found {
            for index in items.iter().filter_map(|item| *appended.get(place(item))?) {
                results.insert(index, ItemResult::with_reason(index, id_of(index), status, reason));
            }
        }
        let count = |status| results.values().filter(|result| result.status == status).count();
        BatchResult {
            accepted: self.total - results.len(),
            duplicates: count(ItemStatus::Duplicate),
            conflicts: count(ItemStatus::Conflict),
            rejected: count(ItemStatus::Rejected),
            retracted: self.retracted,
            results: results.into_values().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
