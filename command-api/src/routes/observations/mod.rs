//! Observations: increments that a push source sends.
//!
//! They come in several formats: a JSON batch, newline-delimited JSON, and CloudEvents. Each format is read into items,
//! and one use case records all items.

mod backfill; // history in numbered chunks
mod cloud_events; // CloudEvents, one or several
mod format; // the format of a request
mod item; // one JSON item
mod ndjson; // newline-delimited JSON, recorded as it arrives
pub(crate) mod read_again; // items that were rejected

use std::borrow::Cow;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use commands::ingest::{ObservationItem, check_batch_size, observation_id};
use commands::rejections::{ItemForm, SentItems};
use http::StatusCode;
use http_edge::query::ApiQuery;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use self::backfill::BackfillPart;
use self::format::InputFormat;
use self::ndjson::answer::{ChunkResponse, StreamSummary};
use super::batch::{BatchResponse, ResultsFilter};
use crate::command::{JsonCommand, UnreadCommand};
use crate::problems::RouteError;
use crate::problems::kinds::ObservationProblems;
use crate::raw_number::{Decimal, MeasureValue, Rounding};
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
    /// The source's name, where the body does not have it. Required with newline-delimited JSON. With CloudEvents it
    /// replaces their `source`.
    #[serde(default)]
    source: Option<String>,
    /// The name of a backfill: 1 to 100 letters, digits, `.`, `_` and `-`. The observations are history of any age,
    /// before the edge of the backfill.
    #[serde(default)]
    backfill: Option<String>,
    /// The number in the backfill of the body; with newline-delimited JSON, of its first chunk. 1, if left out.
    #[serde(default)]
    #[param(minimum = 1)]
    chunk: Option<u64>,
    /// The edge of the backfill, which its first chunk fixes. If left out: the start of the source's window.
    #[serde(default)]
    before: Option<DateTime<Utc>>,
}

/// A batch as it is sent. Its items stay text until each is read by itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SentObservations<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    observations: Vec<&'a RawValue>,
}

/// A batch of observations of one push source.
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
    /// 1 to 5,000 observations.
    observations: Vec<ObservationSent>,
}

/// Something that happened. One of `campaign_id` and `external_campaign_id` names its campaign. With `adjusts` it
/// corrects an earlier observation.
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
    /// Unique per source and type, within the UTC day of `occurred_at` or within the source's window (`id_scope`): 1 to
    /// 128 characters.
    id: String,
    /// The campaign.
    campaign_id: Option<uuid::Uuid>,
    /// The campaign, by the id that the source uses.
    external_campaign_id: Option<String>,
    /// The type: impression, click, visit, conversion, spend, send, delivery, open, bounce, unsubscribe,
    /// video_view, lead or response.
    #[schema(rename = "type")]
    kind: String,
    /// When it happened, to the millisecond.
    occurred_at: chrono::DateTime<chrono::Utc>,
    /// How many. 1, if left out. A whole number, except for conversions, whose credit can be shared. In a correction:
    /// the new total.
    count: Option<Decimal>,
    /// What it was worth or cost. In a correction: the new total.
    value: Option<MeasureValue>,
    /// Labels such as `country`: at most 16, with values of at most 200 characters. Not allowed in a correction.
    dimensions: Option<std::collections::BTreeMap<String, String>>,
    /// With `recipient`, of an open or a click: the message. Every one counts in `opens_total` or `clicks_total`, the
    /// first of a message and recipient in `opens` or `clicks`. 1 to 320 characters.
    message: Option<String>,
    /// Beside `message`: whom it was sent to, such as an address. Case does not matter. It is not kept. 1 to 320
    /// characters.
    recipient: Option<String>,
    /// Makes this the correction of an earlier observation of the same source and type. A `count` or `value` that is
    /// left out stays as it was. If both are left out, the earlier observation is retracted.
    adjusts: Option<Adjusts>,
}

/// The observation to correct: its id, or its id and the UTC day of its `occurred_at` where the id was used on several
/// days. A backfill keeps no ids, so there it is stated whole.
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
    /// In a backfill: the observation as it was before the correction. The correction names its campaign, and may have
    /// its dimensions.
    Stated {
        /// Its id.
        id: String,
        /// When it happened.
        occurred_at: chrono::DateTime<chrono::Utc>,
        /// What its count came to. 1, if left out.
        count: Option<Decimal>,
        /// What its value came to.
        value: Option<MeasureValue>,
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
    /// The campaign, by the id that the source uses, unless the data names one.
    subject: Option<String>,
    /// A JSON media type, or left out.
    datacontenttype: Option<String>,
    /// The other members of an observation: `campaign_id` or `external_campaign_id`, `count`, `value`, `dimensions`,
    /// `adjusts`.
    data: Option<std::collections::BTreeMap<String, serde_json::Value>>,
}

/// A line of a streamed response.
#[derive(ToSchema)]
#[schema(as = StreamLine, example = json!({
    "done": true, "chunks": 4, "lines": 3500, "accepted": 3499, "duplicates": 1, "conflicts": 0, "rejected": 0,
    "rounded": 0, "position": 18342, "results_omitted": 0, "consistency_token": "MS4xLjE4MzQy"
}))]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the lines, which are written one by one")]
pub(crate) enum StreamLine {
    /// One for each chunk.
    Chunk(ChunkResponse),
    /// The last one.
    End(StreamSummary),
}

/// Record observations
///
/// Each item has a result of its own. The same item again is a duplicate. An item with other content under the same id
/// is a conflict. Neither is recorded. An archived campaign rejects only what occurred after it was archived.
///
/// An item with `adjusts` corrects an earlier one, which may stand before it in the same request. The difference counts
/// for the campaign and the time of the original. Corrections of one observation apply in the order of the log.
///
/// With `backfill`, the observations are history of any age. No ids of it are kept: each chunk counts once by its
/// number and its content. The same chunk again gets the counts of the first time, and other content under its number
/// is a conflict. What lies at the edge or after it is rejected as `in_window`.
///
/// Newline-delimited JSON has one observation on each line, and any number of lines. It is recorded chunk by chunk as
/// it arrives, each chunk whole or not at all. The response has a line for each chunk, and a last one with `"done":
/// true`.
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
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`"),
    ),
    responses(
        (status = 200, description = "Result of each item; for newline-delimited JSON, a line for each chunk", content(
            (BatchResponse = "application/json"),
            (StreamLine = "application/x-ndjson"),
        )),
        ObservationProblems,
    )
)]
pub(crate) async fn record(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<ObservationsQuery>,
    command: UnreadCommand,
) -> Result<Response, RouteError> {
    let ObservationsQuery { results, source, backfill, chunk, before } = query;
    let format = InputFormat::of(command.headers())?;
    format.check(source.as_deref())?;
    let backfill = BackfillPart::read(backfill.as_deref(), chunk, before, format)?;
    // A request in another format, or for another source, is another request.
    let parts = [format.media_type(), source.as_deref().unwrap_or_default()];
    let response = match format {
        InputFormat::Lines => {
            return ndjson::record(state, command, source.unwrap_or_default(), backfill, results).await;
        }
        InputFormat::Batch => {
            let part = backfill.as_ref().map(BackfillPart::content);
            let parts: Vec<&str> = part.iter().map(String::as_str).collect();
            record_batch(&state, &command.read(&state, &parts).await?, backfill.as_ref(), results).await
        }
        InputFormat::CloudEvent | InputFormat::CloudEvents => {
            let command = command.read(&state, &parts).await?;
            cloud_events::record(&state, &command, format, source.as_deref(), results).await
        }
    };
    response.map(IntoResponse::into_response)
}

async fn record_batch(
    state: &ApiState,
    command: &JsonCommand,
    backfill: Option<&BackfillPart>,
    filter: ResultsFilter,
) -> Result<CommandResponse, RouteError> {
    let sent: SentObservations<'_> = command.batch()?;
    check_batch_size("observations", sent.observations.len(), state.commands.limits().observations)?;
    let mut rounding = Rounding::default();
    let items: Vec<ObservationItem> = sent.observations.iter().map(|raw| item::read(raw, &mut rounding)).collect();
    let (commands, context) = (&state.commands, &command.context);
    let recorded = match backfill {
        None => commands.record_observations(context, &sent.source, &items).await?,
        Some(part) => {
            let chunk = part.chunk(0, command.body_digest());
            commands.record_backfill_chunk(context, &sent.source, &chunk, &items).await?
        }
    };
    let (batch, done) = recorded.split();
    let form = backfill.map_or(ItemForm::Observation, BackfillPart::form);
    let rejected = SentItems { source: &sent.source, form, is_repeated: done.replayed };
    let text_of = |index: usize| sent.observations.get(index).map(|raw| raw.get().as_bytes());
    let kept = commands.keep_rejected(context, &rejected, &batch.results, text_of).await;
    let id_of = |index: usize| items.get(index).and_then(observation_id);
    let body = BatchResponse::new(batch, kept, &rounding, done.position, filter, id_of);
    Ok(CommandResponse::new(StatusCode::OK, &command.context, &done, &body))
}
