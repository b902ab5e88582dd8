//! The response to a batch: the result of each item.

use std::borrow::Cow;
use std::collections::HashSet;

use commands::ingest::{BatchResult, ItemResult, ItemStatus};
use domain::item::ItemErrorCode;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::raw_number::Rounding;

/// The result of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ItemResult)]
pub(crate) struct ItemResponse {
    /// Its index in the request, from 0.
    pub(crate) index: usize,
    /// Its id, if it has one that could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Whether it was accepted.
    #[schema(value_type = ItemStatusSchema)]
    pub(crate) status: ItemStatus,
    /// Why it was not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ItemErrorCodeSchema>)]
    pub(crate) reason: Option<ItemErrorCode>,
    /// The member with the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// The error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

impl From<ItemResult> for ItemResponse {
    fn from(result: ItemResult) -> Self {
        let ItemResult { index, id, status, reason, field, detail } = result;
        Self { index, id, status, reason, field, detail }
    }
}

/// The response to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({
    "accepted": 498, "duplicates": 1, "conflicts": 0, "rejected": 1, "kept": 1, "rounded": 0, "position": 18342,
    "results": [
        {"index": 17, "id": "order-1001", "status": "duplicate", "reason": "already_recorded"},
        {"index": 40, "id": "order-1040", "status": "rejected", "reason": "bad_time", "field": "occurred_at",
         "detail": "is not an RFC 3339 instant such as 2026-11-21T22:00:00Z"}
    ]
}))]
pub(crate) struct BatchResponse {
    /// How many items were recorded.
    pub(crate) accepted: usize,
    /// How many items changed nothing.
    pub(crate) duplicates: usize,
    /// How many had other content than was recorded under their id.
    pub(crate) conflicts: usize,
    /// How many could not be recorded.
    pub(crate) rejected: usize,
    /// How many of these are kept, to be judged again: `GET /v1/rejections`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<usize>,
    /// How many values had more than six decimal places and were rounded half to even.
    pub(crate) rounded: usize,
    /// Of statements: how many values were taken back, by null or by `replace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retracted: Option<usize>,
    /// The position of the log that covers the batch.
    pub(crate) position: i64,
    /// The items that were not accepted, or all of them with `results=all`.
    pub(crate) results: Vec<ItemResponse>,
}

impl BatchResponse {
    /// The response to a batch of which `kept` rejected items are kept. `id_of` returns the ids of its items.
    pub(crate) fn new(
        batch: BatchResult,
        kept: usize,
        rounding: &Rounding,
        position: i64,
        filter: ResultsFilter,
        id_of: impl Fn(usize) -> Option<String>,
    ) -> Self {
        let BatchResult { accepted, duplicates, conflicts, rejected, retracted: _, mut results } = batch;
        if filter == ResultsFilter::All {
            let others: HashSet<usize> = results.iter().map(|result| result.index).collect();
            let indexes = (0..accepted + others.len()).filter(|index| !others.contains(index));
            results.extend(indexes.map(|index| ItemResult::accepted(index, id_of(index))));
            results.sort_by_key(|result| result.index);
        }
        let results = results.into_iter().map(ItemResponse::from).collect();
        let rounded = rounding.count;
        let kept = (rejected > 0).then_some(kept);
        Self { accepted, duplicates, conflicts, rejected, kept, rounded, retracted: None, position, results }
    }
}

/// Which items a response lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ResultsFilter {
    /// The items that were not accepted.
    #[default]
    Problems,
    /// All items.
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

/// The schema of [`ItemStatus`].
pub(crate) struct ItemStatusSchema;

impl PartialSchema for ItemStatusSchema {
    fn schema() -> RefOr<Schema> {
        const ALL: [ItemStatus; 4] =
            [ItemStatus::Accepted, ItemStatus::Duplicate, ItemStatus::Conflict, ItemStatus::Rejected];
        names("Whether an item was accepted.", &ALL)
    }
}

impl ToSchema for ItemStatusSchema {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ItemStatus")
    }
}

/// The schema of [`ItemErrorCode`].
pub(crate) struct ItemErrorCodeSchema;

impl PartialSchema for ItemErrorCodeSchema {
    fn schema() -> RefOr<Schema> {
        names("A stable name for what is wrong with an item.", ItemErrorCode::ALL)
    }
}

impl ToSchema for ItemErrorCodeSchema {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ItemErrorCode")
    }
}

/// The schema of a set of names.
fn names(description: &str, all: &[impl Serialize]) -> RefOr<Schema> {
    let values: Vec<serde_json::Value> = all.iter().filter_map(|name| serde_json::to_value(name).ok()).collect();
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values)).description(Some(description)).into()
}

#[cfg(test)]
mod tests;
