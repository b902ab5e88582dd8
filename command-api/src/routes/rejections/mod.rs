//! Rejected items: what is kept of them, and how they are taken after all.

mod cursor; // the place in a list

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use commands::rejections::{ItemForm, RejectedItems, Rejection, RejectionTotal};
use domain::item::ItemErrorCode;
use http::header::LINK;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_edge::path::ApiPath;
use http_edge::problem::Problem;
use http_edge::problem::kinds::INVALID_QUERY;
use http_edge::query::{self, ApiQuery};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use self::cursor::{Cursor, Order};
use super::batch::ItemErrorCodeSchema;
use crate::command::ReadCommand;
use crate::problems::RouteError;
use crate::problems::kinds::{ListRejectionsProblems, RejectionProblems};
use crate::state::ApiState;

/// The items of a page, unless the query says how many.
const PAGE: u16 = 100;
/// The most items of a page.
const MOST: u16 = 200;

/// Declares a query that names rejected items, with what else it says.
macro_rules! rejections_query {
    ($(#[$about:meta])* $name:ident { $($(#[$member_about:meta])* $member:ident: $kind:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Serialize, Deserialize, IntoParams)]
        #[serde(deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(crate) struct $name {
            /// Of this source only.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[param(example = "shop_tracker")]
            source: Option<String>,
            /// Rejected for this reason only.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[param(inline, value_type = Option<ItemErrorCodeSchema>)]
            reason: Option<ItemErrorCode>,
            /// Received at this instant or later.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[param(example = "2026-11-21T00:00:00Z")]
            since: Option<DateTime<Utc>>,
            $($(#[$member_about])* #[serde(default, skip_serializing_if = "Option::is_none")] $member: $kind,)*
        }
    };
}

pub(crate) mod retry; // items that are judged again, which have a query too

rejections_query! {
    /// Which rejected items are meant.
    RejectionsQuery {}
}

rejections_query! {
    /// Which rejected items are listed.
    ListQuery {
        /// How many items: 1 to 200. 100, if left out.
        #[param(minimum = 1, maximum = 200, default = 100)]
        limit: Option<u16>,
        /// `next_cursor` of the page before, with the same other parameters.
        cursor: Option<String>,
    }
}

/// A page of rejected items.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "data": [example()],
    "totals": [{"source": "shop_tracker", "reason": "unknown_campaign", "items": 1}],
    "not_kept": 0,
    "page": {"next_cursor": null}
}))]
pub(crate) struct RejectionsBody {
    /// The items, newest first.
    data: Vec<RejectionBody>,
    /// How many items are meant in all, by source and reason.
    totals: Vec<TotalBody>,
    /// How many items of the workspace were rejected since, and not kept, because a day was full.
    not_kept: i64,
    /// Where the next page begins.
    page: PageBody,
}

/// A rejected item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rejection, example = example)]
pub(crate) struct RejectionBody {
    /// Its id as a rejection.
    id: Uuid,
    /// The source that sent it.
    source: String,
    /// Why it was rejected last.
    #[schema(value_type = ItemErrorCodeSchema)]
    reason: String,
    /// When it was received.
    received_at: DateTime<Utc>,
    /// Until when it is kept.
    expires_at: DateTime<Utc>,
    /// What it is: `observation`, `cloud_event`, `backfill` or `statement`. Null, as all that follows, if what it says
    /// cannot be read any more.
    kind: Option<&'static str>,
    /// Of an observation of a backfill: the backfill.
    #[serde(skip_serializing_if = "Option::is_none")]
    backfill: Option<String>,
    /// The item's own id, if it has one that could be read.
    item_id: Option<String>,
    /// The member with the error.
    field: Option<String>,
    /// The error.
    detail: Option<String>,
    /// The item as it was sent. Null if it was longer than 64 KiB.
    content: Option<String>,
}

/// How many items of a source were rejected for a reason.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RejectionTotal)]
pub(crate) struct TotalBody {
    /// The source.
    source: String,
    /// The reason.
    #[schema(value_type = ItemErrorCodeSchema)]
    reason: String,
    /// How many.
    items: i64,
}

/// Where the next page begins.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RejectionsPage)]
pub(crate) struct PageBody {
    /// The `cursor` of the next page; null on the last one.
    next_cursor: Option<String>,
}

/// How many items were deleted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"deleted": 17}))]
pub(crate) struct DeletedBody {
    /// How many.
    deleted: u64,
}

/// List rejected items
///
/// Items that were rejected in the last 30 days and not taken since, newest first: what was sent, and why it was not
/// taken. They are kept sealed, and read here by whoever may command.
#[utoipa::path(
    get,
    path = "/v1/rejections",
    operation_id = "list_rejections",
    tag = "activity",
    params(ListQuery),
    responses(
        (status = 200, description = "A page of them", body = RejectionsBody, headers(
            ("Link" = String, description = "The next page, as `rel=\"next\"`"),
        )),
        ListRejectionsProblems,
    )
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<ListQuery>,
    read: ReadCommand,
) -> Result<(HeaderMap, Json<RejectionsBody>), RouteError> {
    let ListQuery { source, reason, since, limit, cursor } = &query;
    let which = RejectedItems { source: source.clone(), reason: *reason, since: *since };
    let limit = limit.unwrap_or(PAGE);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::new(INVALID_QUERY).field("limit", format!("must be from 1 to {MOST}")).into());
    }
    let place = Cursor::new(read.context.workspace(), &which, Order::NewestFirst);
    let before = cursor.as_deref().map(|text| place.read(text)).transpose()?;
    let listed = state.commands.rejections(&read.context, &which, before, limit).await?;
    let total = |RejectionTotal { source, reason, items }| TotalBody { source, reason, items };
    let next_cursor = listed.next.map(|last| place.write(last));
    let body = RejectionsBody {
        data: listed.rejections.into_iter().map(RejectionBody::new).collect(),
        totals: listed.totals.into_iter().map(total).collect(),
        not_kept: listed.not_kept,
        page: PageBody { next_cursor: next_cursor.clone() },
    };
    let mut headers = HeaderMap::new();
    if next_cursor.is_some() {
        let next = query::to_string(&ListQuery { cursor: next_cursor, ..query }).unwrap_or_default();
        headers
            .extend(HeaderValue::from_str(&format!("</v1/rejections?{next}>; rel=\"next\"")).map(|link| (LINK, link)));
    }
    Ok((headers, Json(body)))
}

/// Delete rejected items
///
/// Forgets the items that a source, a reason or an instant names. At least one must be given.
#[utoipa::path(
    delete,
    path = "/v1/rejections",
    operation_id = "delete_rejections",
    tag = "activity",
    params(RejectionsQuery),
    responses((status = 200, description = "How many were deleted", body = DeletedBody))
)]
pub(crate) async fn delete_all(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<RejectionsQuery>,
    read: ReadCommand,
) -> Result<Json<DeletedBody>, RouteError> {
    let RejectionsQuery { source, reason, since } = query;
    let which = RejectedItems { source, reason, since };
    if which == RejectedItems::default() {
        let detail = "is needed, or `reason` or `since`: what is not named is not deleted";
        return Err(Problem::new(INVALID_QUERY).field("source", detail).into());
    }
    Ok(Json(DeletedBody { deleted: state.commands.delete_rejections(&read.context, &which).await? }))
}

/// Delete a rejected item
#[utoipa::path(
    delete,
    path = "/v1/rejections/{id}",
    operation_id = "delete_rejection",
    tag = "activity",
    params(("id" = Uuid, Path, description = "The rejection", example = "019aa8f4-7a1e-7c30-9e5b-3f0c8a4d1e62")),
    responses((status = 204, description = "It is forgotten"), RejectionProblems)
)]
pub(crate) async fn delete(
    State(state): State<ApiState>,
    ApiPath(id): ApiPath<Uuid>,
    read: ReadCommand,
) -> Result<StatusCode, RouteError> {
    state.commands.delete_rejection(&read.context, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl RejectionBody {
    fn new(rejection: Rejection) -> Self {
        let Rejection { id, source, reason, received_at, expires_at, content } = rejection;
        let body = Self {
            id,
            source,
            reason,
            received_at,
            expires_at,
            kind: None,
            backfill: None,
            item_id: None,
            field: None,
            detail: None,
            content: None,
        };
        let Some(content) = content else { return body };
        let (kind, backfill) = match content.form {
            ItemForm::Observation => ("observation", None),
            ItemForm::CloudEvent => ("cloud_event", None),
            ItemForm::Backfill { name } => ("backfill", Some(name.to_string())),
            ItemForm::Statement { .. } => ("statement", None),
        };
        Self {
            kind: Some(kind),
            backfill,
            item_id: content.item_id,
            field: content.field,
            detail: content.detail,
            content: content.text.map(|text| String::from_utf8_lossy(&text).into_owned()),
            ..body
        }
    }
}

/// A click on a campaign that nobody has.
fn example() -> serde_json::Value {
    serde_json::json!({
        "id": "019aa8f4-7a1e-7c30-9e5b-3f0c8a4d1e62", "source": "shop_tracker", "reason": "unknown_campaign",
        "received_at": "2026-11-21T22:00:03.120Z", "expires_at": "2026-12-21T22:00:03.120Z", "kind": "observation",
        "item_id": "click-17", "field": "external_campaign_id",
        "detail": "no campaign has the external id \"winter-sale\" for the source \"shop_tracker\", or for any source",
        "content": "{\"id\": \"click-17\", \"type\": \"click\", \"external_campaign_id\": \"winter-sale\", \
                    \"occurred_at\": \"2026-11-21T22:00:00Z\"}"
    })
}
