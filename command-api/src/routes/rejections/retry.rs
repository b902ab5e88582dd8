//! Rejected items that are judged again.

use axum::extract::State;
use chrono::{DateTime, Utc};
use commands::ingest::ItemStatus;
use commands::rejections::{ItemForm, ReadItem, ReadItemAgain, RejectedItems};
use domain::item::{ItemErrorCode, RejectedItem};
use http::StatusCode;
use http_edge::path::ApiPath;
use http_edge::query::ApiQuery;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::cursor::{Cursor, Order};
use crate::command::{Note, StepCommand};
use crate::json_item::malformed;
use crate::problems::RouteError;
use crate::problems::kinds::{RetryProblems, RetryRejectionProblems};
use crate::raw_number::Rounding;
use crate::response::CommandResponse;
use crate::routes::batch::{ItemErrorCodeSchema, ItemStatusSchema};
use crate::routes::{observations, statements};
use crate::state::ApiState;

rejections_query! {
    /// Which rejected items are judged again.
    RetryQuery {
        /// `next_cursor` of the answer before, with the same other parameters.
        cursor: Option<String>,
    }
}

/// What became of items that were judged again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"accepted": 1480, "duplicates": 15, "rejected": 5, "position": 18342, "next_cursor": null}))]
pub(crate) struct RetryResponse {
    /// How many were recorded.
    accepted: usize,
    /// How many had been recorded before, or change nothing any more.
    duplicates: usize,
    /// How many were rejected again. They are kept with the reason of now.
    rejected: usize,
    /// The position of the log that covers them; 0 if nothing was appended.
    position: i64,
    /// The `cursor` of a next request, if there are more items: one judges 2,000.
    next_cursor: Option<String>,
}

/// What became of an item that was judged again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "accepted", "position": 18342}))]
pub(crate) struct RetriedItem {
    /// `accepted` and `duplicate` items are kept no longer, the others with the reason of now.
    #[schema(value_type = ItemStatusSchema)]
    status: ItemStatus,
    /// Why it was not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ItemErrorCodeSchema>)]
    reason: Option<ItemErrorCode>,
    /// The member with the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The error.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The position of the log that covers it; 0 if nothing was appended.
    position: i64,
}

/// Judge rejected items again
///
/// Judges the items that the query names, all if it names none, oldest first. An item is as old as when it was
/// received, and keeps its id; everything else is as it is now. It counts once, however often it is judged.
#[utoipa::path(
    post,
    path = "/v1/rejections/retry",
    operation_id = "retry_rejections",
    tag = "activity",
    request_body(content = Option<Note>, example = json!({"reason": "The campaign has its external id now"})),
    params(RetryQuery),
    responses((status = 200, description = "The result of each of them", body = RetryResponse), RetryProblems)
)]
pub(crate) async fn retry_all(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<RetryQuery>,
    command: StepCommand,
) -> Result<CommandResponse, RouteError> {
    let RetryQuery { source, reason, since, cursor } = query;
    let which = RejectedItems { source, reason, since };
    let place = Cursor::new(command.context.workspace(), &which, Order::OldestFirst);
    let after = cursor.map(|text| place.read(&text)).transpose()?;
    let judged = state.commands.retry_rejections(&command.context, &which, after, read_again).await?;
    let (counts, done) = judged.split();
    let body = RetryResponse {
        accepted: counts.accepted,
        duplicates: counts.duplicates,
        rejected: counts.rejected,
        position: done.position,
        next_cursor: counts.next.map(|last| place.write(last)),
    };
    Ok(CommandResponse::new(StatusCode::OK, &command.context, &done, &body))
}

/// Judge a rejected item again
///
/// One that was accepted before is `accepted`.
#[utoipa::path(
    post,
    path = "/v1/rejections/{id}/retry",
    operation_id = "retry_rejection",
    tag = "activity",
    request_body(content = Option<Note>, example = json!({"reason": "The campaign has its external id now"})),
    params(("id" = Uuid, Path, description = "The rejection", example = "019aa8f4-7a1e-7c30-9e5b-3f0c8a4d1e62")),
    responses((status = 200, description = "The result", body = RetriedItem), RetryRejectionProblems)
)]
pub(crate) async fn retry(
    State(state): State<ApiState>,
    ApiPath(id): ApiPath<Uuid>,
    command: StepCommand,
) -> Result<CommandResponse, RouteError> {
    let judged = state.commands.retry_rejection(&command.context, id, read_again).await?;
    let (result, done) = judged.split();
    let body = RetriedItem {
        status: result.status,
        reason: result.reason,
        field: result.field,
        detail: result.detail,
        position: done.position,
    };
    Ok(CommandResponse::new(StatusCode::OK, &command.context, &done, &body))
}

/// Reads an item again from its text.
fn read_again(form: &ItemForm, text: &[u8]) -> ReadItemAgain {
    match form {
        ItemForm::Observation | ItemForm::Backfill { .. } => observations::read_again::observation(text),
        ItemForm::CloudEvent => observations::read_again::cloud_event(text),
        ItemForm::Statement { .. } => {
            let item = match serde_json::from_slice::<&RawValue>(text) {
                Ok(raw) => statements::item::read(raw, &mut Rounding::default()),
                Err(_) => Err(RejectedItem::from(malformed::<&RawValue>(&String::from_utf8_lossy(text)))),
            };
            ReadItemAgain { item: ReadItem::Statement(item), field_of: str::to_owned }
        }
    }
}
