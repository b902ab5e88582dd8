//! What a batch is answered: how each item fared. One bad item never fails its neighbours.

use std::collections::BTreeMap;

use http::StatusCode;
use http_edge::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::command::CommandContext;
use crate::error::CommandError;
use crate::item_error::{ItemError, ItemErrorCode};
use crate::outcome::{CommandResult, Outcome};
use crate::response::{CommandResponse, rejection_or_corrupt_receipt};

/// How one item fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ItemStatus {
    /// It is recorded.
    Accepted,
    /// It says nothing new.
    Duplicate,
    /// Another content was recorded under its id.
    Conflict,
    /// It cannot be recorded.
    Rejected,
}

/// One item's outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ItemResult {
    /// Its place in the request, from 0.
    pub(crate) index: usize,
    /// Its id, if it has one that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// How it fared.
    pub(crate) status: ItemStatus,
    /// Why it was not accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<ItemErrorCode>,
    /// The member at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl ItemResult {
    pub(crate) fn rejected(index: usize, id: Option<String>, refusal: ItemError) -> Self {
        let ItemError { reason, field, detail } = refusal;
        Self { index, id, status: ItemStatus::Rejected, reason: Some(reason), field, detail: Some(detail) }
    }

    pub(crate) fn with_reason(index: usize, id: Option<String>, status: ItemStatus, reason: ItemErrorCode) -> Self {
        Self { index, id, status, reason: Some(reason), field: None, detail: None }
    }
}

/// The answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "accepted": 498, "duplicates": 1, "conflicts": 0, "rejected": 1, "position": 18342,
    "results": [
        {"index": 17, "id": "order-1001", "status": "duplicate", "reason": "already_recorded"},
        {"index": 40, "id": "order-1040", "status": "rejected", "reason": "bad_time", "field": "occurred_at",
         "detail": "is no instant such as 2026-11-21T21:59:30Z"}
    ]
}))]
pub(crate) struct BatchResponse {
    /// How many items were recorded.
    pub(crate) accepted: usize,
    /// How many said nothing new.
    pub(crate) duplicates: usize,
    /// How many said something else under an id that was recorded before.
    pub(crate) conflicts: usize,
    /// How many could not be recorded.
    pub(crate) rejected: usize,
    /// The log's position that covers all of it.
    pub(crate) position: i64,
    /// The items that were not accepted, or all of them with `results=all`.
    pub(crate) results: Vec<ItemResult>,
}

/// Which items an answer lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResultsFilter {
    /// Those that were not accepted.
    #[default]
    Problems,
    /// All.
    All,
}

/// The query of a batch.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BatchQuery {
    /// `all` lists accepted items too.
    #[serde(default)]
    #[param(inline)]
    pub(crate) results: ResultsFilter,
}

/// What is settled of a batch before its append: kept with the receipt, so that a replay answers the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PreAppendResults {
    /// How many items the batch has.
    pub(crate) total: usize,
    /// The outcomes of those that are not part of the append.
    pub(crate) results: Vec<ItemResult>,
}

impl PreAppendResults {
    /// Completes the answer by what the append found of the items that were part of it, numbered among themselves.
    pub(crate) fn answer(
        self,
        id_of: impl Fn(usize) -> Option<String>,
        duplicates: &[usize],
        conflicts: &[usize],
        position: i64,
        listed: ResultsFilter,
    ) -> BatchResponse {
        let mut results: BTreeMap<usize, ItemResult> =
            self.results.into_iter().map(|result| (result.index, result)).collect();
        let appended: Vec<usize> = (0..self.total).filter(|index| !results.contains_key(index)).collect();
        let found = [
            (duplicates, ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded),
            (conflicts, ItemStatus::Conflict, ItemErrorCode::OtherContent),
        ];
        for (items, status, reason) in found {
            for index in items.iter().filter_map(|item| appended.get(*item)) {
                results.insert(*index, ItemResult::with_reason(*index, id_of(*index), status, reason));
            }
        }
        let count = |status| results.values().filter(|result| result.status == status).count();
        let (duplicates, conflicts, rejected) =
            (count(ItemStatus::Duplicate), count(ItemStatus::Conflict), count(ItemStatus::Rejected));
        let accepted = self.total - results.len();
        let results = match listed {
            ResultsFilter::Problems => results.into_values().collect(),
            ResultsFilter::All => (0..self.total)
                .map(|index| {
                    results.remove(&index).unwrap_or_else(|| ItemResult {
                        index,
                        id: id_of(index),
                        status: ItemStatus::Accepted,
                        reason: None,
                        field: None,
                        detail: None,
                    })
                })
                .collect(),
        };
        BatchResponse { accepted, duplicates, conflicts, rejected, position, results }
    }
}

/// Refuses a batch without items, or with more than are taken at once.
pub(crate) fn check_size(field: &'static str, count: usize, most: usize) -> Result<(), CommandError> {
    if (1..=most).contains(&count) { Ok(()) } else { Err(CommandError::BatchSize { field, count, most }) }
}

/// Says what the metrics of batches mean.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!("highwater_command_items_total", "items of batches, by kind and by how they fared");
}

/// The answer to a batch of `kind`, whose items have the ids that `id_of` tells.
pub(crate) fn answer(
    kind: &'static str,
    caller: &CommandContext,
    mut done: CommandResult,
    id_of: impl Fn(usize) -> Option<String>,
    query: BatchQuery,
) -> Result<CommandResponse, Problem> {
    let Some(body) = batch_response(&mut done, id_of, query.results) else {
        return rejection_or_corrupt_receipt(caller, &done);
    };
    body.count(kind, &done);
    Ok(CommandResponse::new(StatusCode::OK, caller, &done, &body))
}

/// How the items of a batch fared; `None` when what was done is no batch.
pub(crate) fn batch_response(
    done: &mut CommandResult,
    id_of: impl Fn(usize) -> Option<String>,
    listed: ResultsFilter,
) -> Option<BatchResponse> {
    match std::mem::replace(&mut done.outcome, Outcome::SyncRecorded) {
        Outcome::BatchProcessed(settled) => {
            Some(settled.answer(id_of, &done.duplicates, &done.conflicts, done.position, listed))
        }
        other => {
            done.outcome = other;
            None
        }
    }
}

impl BatchResponse {
    /// Counts the items, unless they were counted when the same request was done before.
    pub(crate) fn count(&self, kind: &'static str, done: &CommandResult) {
        if done.replayed {
            return;
        }
        let fared = [
            (self.accepted, "accepted"),
            (self.duplicates, "duplicate"),
            (self.conflicts, "conflict"),
            (self.rejected, "rejected"),
        ];
        for (items, status) in fared {
            if items > 0 {
                metrics::counter!("highwater_command_items_total", "kind" => kind, "status" => status)
                    .increment(items as u64);
            }
        }
    }
}

#[cfg(test)]
mod tests;
