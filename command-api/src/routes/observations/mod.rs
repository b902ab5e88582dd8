//! Observations: what happened, pushed by a source. A batch is one event, whatever campaigns it touches.
//!
//! They are taken in several forms: a JSON batch, newline-delimited JSON and CloudEvents. Each form comes down to items, and
//! all items go the same way into the log.

mod format; // in which form a request is

mod cloud_events; // CloudEvents, one or several
mod ndjson; // newline-delimited JSON, recorded as it arrives

mod items; // the items of one chunk, whatever form they came in

mod correction_totals; // what corrected observations come to
mod event_builder; // the items that are left: twins, corrections, payload
mod fingerprint; // what makes an observation unique
mod item; // one item: shape and rules of its own
mod record; // the one way into the log
mod recorded; // what the log holds already
mod validate; // the batch: every item, and what must be known of the log to judge it
mod window; // how far back a source may go

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http_edge::problem::Problem;
use http_edge::query::ApiQuery;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use self::format::InputFormat;
use self::items::BatchInput;
use self::ndjson::answer::{ChunkResponse, StreamSummary};
use super::batch::{BatchResponse, ResultsFilter, check_size};
use crate::command::{JsonCommand, UnreadCommand};
use crate::problems::kinds::ObservationProblems;
use crate::raw_number::{Decimal, MeasureValue};
use crate::response::CommandResponse;
use crate::state::ApiState;

/// The query of observations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ObservationsQuery {
    /// `all` lists accepted items too.
    #[serde(default)]
    #[param(inline)]
    results: ResultsFilter,
    /// The source's name, where the body does not name it: needed with newline-delimited JSON, and instead of what CloudEvents
    /// call their source.
    #[serde(default)]
    source: Option<String>,
}

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
#[schema(as = Observation, example = json!({
    "id": "order-1001",
    "external_campaign_id": "winter-sale",
    "type": "conversion",
    "occurred_at": "2026-11-21T21:59:30Z",
    "value": {"amount": "59.90", "currency": "EUR"},
    "dimensions": {"country": "DE"}
}))]
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
    /// Makes this the correction of an earlier observation of the same source and type. Of `count` and `value` the one that is
    /// left out stays; with neither, the earlier one is retracted.
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

/// One CloudEvent 1.0. Attributes that are not listed are ignored.
#[derive(ToSchema)]
#[schema(example = json!({
    "specversion": "1.0",
    "id": "order-1001",
    "source": "shop_tracker",
    "type": "com.example.shop.conversion",
    "time": "2026-11-21T21:59:30Z",
    "subject": "winter-sale",
    "data": {"value": {"amount": "59.90", "currency": "EUR"}, "dimensions": {"country": "DE"}}
}))]
#[expect(dead_code, reason = "describes an event, which is read from its text")]
pub(crate) struct CloudEvent {
    /// `1.0`.
    specversion: String,
    /// The observation's id.
    id: String,
    /// The source's name. All events of a request have the same, unless the query names one.
    source: String,
    /// Ends with the observation's type, after the last full stop.
    #[schema(rename = "type")]
    kind: String,
    /// When it happened.
    time: chrono::DateTime<chrono::Utc>,
    /// The campaign, as the source calls it, unless the data names one.
    subject: Option<String>,
    /// JSON, or left out.
    datacontenttype: Option<String>,
    /// The other members of an observation: `campaign_id` or `external_campaign_id`, `count`, `value`, `dimensions`, `adjusts`.
    data: Option<std::collections::BTreeMap<String, serde_json::Value>>,
}

/// A line of a streamed answer.
#[derive(ToSchema)]
#[schema(as = StreamLine, example = json!({
    "done": true, "chunks": 4, "lines": 3500, "accepted": 3499, "duplicates": 1, "conflicts": 0, "rejected": 0,
    "position": 18342, "results_omitted": 0, "consistency_token": "MS4xLjE4MzQy"
}))]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the lines, which are written one by one")]
pub(crate) enum StreamLine {
    /// One for each chunk.
    Chunk(ChunkResponse),
    /// The last one.
    End(StreamSummary),
}

/// Record what happened
///
/// Each item fares by itself. The same item again is a duplicate, another one under the same id a conflict; neither is
/// recorded. An archived campaign refuses only what occurred after its archiving.
///
/// An item with `adjusts` corrects an earlier one, which may stand before it in the same request. The difference counts where
/// the original does; corrections of one observation apply in the order of the log.
///
/// Newline-delimited JSON has one observation on each line, as many as you like. It is recorded chunk by chunk as it
/// arrives, each chunk whole or not at all, and answered by a line for each chunk and one that ends with `"done": true`.
#[utoipa::path(
    post,
    path = "/v1/observations",
    operation_id = "record_observations",
    tag = "activity",
    request_body(content(
        (RecordObservations = "application/json"),
        (ObservationSent = "application/x-ndjson"),
        (CloudEvent = "application/cloudevents+json"),
        (Vec<CloudEvent> = "application/cloudevents-batch+json"),
    )),
    params(
        ObservationsQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat: 1 to 255 visible ASCII characters"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`"),
    ),
    responses(
        (status = 200, description = "How each item fared; newline-delimited JSON is answered line by line", content(
            (BatchResponse = "application/json"),
            (StreamLine = "application/x-ndjson"),
        ), headers(
            ("Consistency-Token" = String, description = "Makes a read wait for this"),
            ("Idempotency-Replayed" = String, description = "`true`, where the request was carried out before"),
        )),
        ObservationProblems,
    ),
    security(("key" = []))
)]
pub(crate) async fn record(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<ObservationsQuery>,
    opened: UnreadCommand,
) -> Result<Response, Problem> {
    let ObservationsQuery { results, source } = query;
    let form = InputFormat::of(opened.headers())?;
    form.check(source.as_deref())?;
    // A request that is sent again in another form, or for another source, is another request.
    let about = [form.media_type(), source.as_deref().unwrap_or_default()];
    let answer = match form {
        InputFormat::Lines => return ndjson::record(state, opened, source.unwrap_or_default(), results).await,
        InputFormat::Batch => record_batch(&state, &opened.read(&state, &[]).await?, results).await,
        InputFormat::CloudEvent => {
            cloud_events::record_one(&state, &opened.read(&state, &about).await?, source.as_deref(), results).await
        }
        InputFormat::CloudEvents => {
            cloud_events::record_batch(&state, &opened.read(&state, &about).await?, source.as_deref(), results).await
        }
    };
    answer.map(IntoResponse::into_response)
}

async fn record_batch(
    state: &ApiState,
    command: &JsonCommand,
    listed: ResultsFilter,
) -> Result<CommandResponse, Problem> {
    let sent: Sent<'_> = command.batch()?;
    check_size("observations", sent.observations.len(), state.limits.observations)?;
    let mut items = BatchInput::default();
    for (index, item) in sent.observations.iter().enumerate() {
        items.add(index, item);
    }
    let (done, answer) = items.record(state, &command.caller, &sent.source, listed).await?;
    Ok(CommandResponse::new(StatusCode::OK, &command.caller, &done, &answer))
}
