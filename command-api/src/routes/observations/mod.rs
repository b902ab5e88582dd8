//! Observations: what happened, pushed by a source. A batch is one event, whatever campaigns it touches.

mod chunk; // the one way into the log
mod item; // one item: shape and rules of its own
mod judge; // the batch: every item, and what must be known of the log to judge it
mod key; // what makes an observation unique
mod ledger; // what corrected observations come to
mod past; // what the log holds already
mod taken; // the items that are left: twins, corrections, payload
mod window; // how far back a source may go

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use axum::extract::State;
use platform::http::problem::Problem;
use platform::http::query::ApiQuery;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use self::judge::Batch;
use super::batch::{BatchAnswer, BatchQuery, check_size};
use crate::answer::Answer;
use crate::command::Command;
use crate::quantity::{Decimal, MeasureValue};
use crate::state::ApiState;

/// A batch as it is sent. Its items stay text until each is read by itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    observations: Vec<&'a RawValue>,
}

/// What a push source saw happen.
#[derive(ToSchema)]
#[schema(example = json!({
    "source": "shop_tracker",
    "observations": [{
        "id": "order-1001",
        "external_campaign_id": "winter-sale",
        "type": "conversion",
        "occurred_at": "2026-11-21T21:59:30Z",
        "value": {"amount": "59.90", "currency": "EUR"},
        "dimensions": {"country": "DE"}
    }]
}))]
#[expect(dead_code, reason = "describes the body, which is read item by item")]
pub(crate) struct RecordObservations {
    /// The source's name.
    source: String,
    /// 1 to 5,000 of them.
    observations: Vec<ObservationSent>,
}

/// Something that happened, of a campaign that is named by one of `campaign_id` and `external_campaign_id`. Or, with
/// `adjusts`, the correction of something that was sent before.
#[derive(ToSchema)]
#[schema(as = Observation)]
#[expect(dead_code, reason = "describes an item, which is read from its text")]
struct ObservationSent {
    /// Unique per source, type and UTC day of `occurred_at`: 1 to 128 characters.
    id: String,
    /// The campaign.
    campaign_id: Option<uuid::Uuid>,
    /// The campaign, as the source calls it.
    external_campaign_id: Option<String>,
    /// What kind of thing: impression, click, visit, conversion, spend, send, delivery, open, bounce, unsubscribe,
    /// video_view, lead or response.
    #[schema(rename = "type")]
    kind: String,
    /// When, to the millisecond.
    occurred_at: chrono::DateTime<chrono::Utc>,
    /// How many; 1 if left out. Whole, but for conversions, whose credit can be shared. In a correction: the new total.
    count: Option<Decimal>,
    /// What it was worth or cost. In a correction: the new total.
    value: Option<MeasureValue>,
    /// What else is known of it: at most 16, keys like `country`, values of at most 200 characters. Not taken by a correction.
    dimensions: Option<std::collections::BTreeMap<String, String>>,
    /// What it corrects: an earlier observation of the same source and type, in its own 15 minutes. Of `count` and `value` the
    /// one that is left out stays; with neither, the observation is retracted.
    adjusts: Option<Adjusts>,
}

/// The observation that a correction is of: its id, or its id and the UTC day of its `occurred_at` where the id was used on
/// several days.
#[derive(ToSchema)]
#[schema(example = "order-1001")]
#[serde(untagged)]
#[expect(dead_code, reason = "describes a member, which is read from its text")]
enum Adjusts {
    /// Its id.
    Id(String),
    /// Its id and day.
    Dated {
        /// Its id.
        id: String,
        /// The UTC day of its `occurred_at`.
        day: chrono::NaiveDate,
    },
}

/// Record what happened
///
/// Each item fares by itself. The same item again is a duplicate, another one under the same id a conflict; neither is
/// recorded. An archived campaign refuses only what occurred after its archiving.
///
/// An item with `adjusts` corrects an earlier one, which may stand before it in the same request. The difference counts where
/// the original does; corrections of one observation apply in the order of the log.
#[utoipa::path(
    post,
    path = "/v1/observations",
    operation_id = "record_observations",
    tag = "activity",
    request_body = RecordObservations,
    params(
        BatchQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat"),
    ),
    responses(
        (status = 200, description = "How each item fared", body = BatchAnswer),
        (status = "4XX", description = "Refused whole", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Not done", body = Problem, content_type = "application/problem+json"),
    ),
    security(("key" = []))
)]
pub(crate) async fn record(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<BatchQuery>,
    command: Command,
) -> Result<Answer, Problem> {
    let sent: Sent<'_> = command.batch()?;
    check_size("observations", sent.observations.len(), state.limits.observations)?;
    let caller = &command.caller;
    let batch = Batch::read(&sent.observations, caller.received_at);
    let done = chunk::record(&state, caller, &sent.source, &batch).await?;
    super::batch::answer("observations", caller, done, |index| batch.id(index), query)
}
