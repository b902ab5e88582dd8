//! Observations: increments that a push source sends.
//!
//! They come in several formats: a JSON batch, newline-delimited JSON, and CloudEvents. Each format is read into items,
//! and one use case records all items. `/v1/observations` takes every format. Each other format has a path of its own,
//! too, so that the OpenAPI document has one operation for each body.

mod backfill; // history in numbered chunks
mod cloud_events; // CloudEvents, one or several
mod format; // the format of a request
mod item; // one JSON item
mod ndjson; // newline-delimited JSON, recorded as it arrives
pub(crate) mod read_again; // items that were rejected
mod schema; // what the bodies look like

use std::borrow::Cow;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use commands::ingest::{ObservationItem, check_batch_size, observation_id};
use commands::rejections::{ItemForm, SentItems};
use domain::json_objects;
use http::StatusCode;
use http_edge::query::ApiQuery;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::IntoParams;

use self::backfill::BackfillPart;
use self::format::InputFormat;
use self::schema::{CloudEvent, ObservationSent, RecordObservations, StreamLine};
use super::batch::{BatchResponse, ResultsFilter};
use crate::command::{JsonCommand, UnreadCommand};
use crate::moment;
use crate::problems::RouteError;
use crate::problems::kinds::ObservationProblems;
use crate::raw_number::Rounding;
use crate::response::CommandResponse;
use crate::state::ApiState;

/// The query of observations in any format.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ObservationsQuery {
    /// `all` lists accepted items too.
    #[serde(default)]
    #[param(inline)]
    results: ResultsFilter,
    /// The source's name, where the body does not have it.
    #[serde(default)]
    #[param(ignore)]
    source: Option<String>,
    /// The name of a backfill: 1 to 100 letters, digits, `.`, `_` and `-`. The observations are history of any age,
    /// before the edge of the backfill.
    #[serde(default)]
    backfill: Option<String>,
    /// The number of the body in the backfill. 1, if left out.
    #[serde(default)]
    #[param(minimum = 1)]
    chunk: Option<u64>,
    /// The edge of the backfill, which its first chunk fixes. If left out: the start of the source's window.
    #[serde(default, deserialize_with = "moment::instant_or_null")]
    before: Option<DateTime<Utc>>,
}

/// The query of newline-delimited JSON.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LinesQuery {
    /// The source's name.
    source: String,
    /// `all` lists accepted items too.
    #[serde(default)]
    #[param(inline)]
    results: ResultsFilter,
    /// The name of a backfill: 1 to 100 letters, digits, `.`, `_` and `-`. The observations are history of any age,
    /// before the edge of the backfill.
    #[serde(default)]
    backfill: Option<String>,
    /// The number in the backfill of the first chunk. 1, if left out.
    #[serde(default)]
    #[param(minimum = 1)]
    chunk: Option<u64>,
    /// The edge of the backfill, which its first chunk fixes. If left out: the start of the source's window.
    #[serde(default, deserialize_with = "moment::instant_or_null")]
    before: Option<DateTime<Utc>>,
}

/// The query of CloudEvents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CloudEventsQuery {
    /// The source's name, in place of the events' own `source`.
    #[serde(default)]
    source: Option<String>,
    /// `all` lists accepted items too.
    #[serde(default)]
    #[param(inline)]
    results: ResultsFilter,
}

impl From<LinesQuery> for ObservationsQuery {
    fn from(LinesQuery { source, results, backfill, chunk, before }: LinesQuery) -> Self {
        Self { results, source: Some(source), backfill, chunk, before }
    }
}

impl From<CloudEventsQuery> for ObservationsQuery {
    fn from(CloudEventsQuery { source, results }: CloudEventsQuery) -> Self {
        Self { results, source, ..Self::default() }
    }
}

/// A batch as it is sent. Its items stay text until each is read by itself.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
struct SentObservations<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    observations: Vec<&'a RawValue>,
}

json_objects!(read: SentObservations<'a>);

/// Record observations
///
/// Each item has a result of its own. The same item again is a duplicate. An item with other content under the same id
/// is a conflict. Neither is recorded. An archived campaign takes observations as before.
///
/// An item with `adjusts` corrects an earlier one, which may stand before it in the same request. The difference counts
/// for the campaign and the time of the original. Corrections of one observation apply in the order of the log.
///
/// With `backfill`, the observations are history of any age. No ids of it are kept: each chunk counts once by its
/// number and its content. The same chunk again gets the counts of the first time, and other content under its number
/// is a conflict. What lies at the edge or after it is rejected as `in_window`.
///
/// This path also takes the bodies of the paths below it, by their `Content-Type`.
#[utoipa::path(
    post,
    path = "/v1/observations",
    operation_id = "record_observations",
    tag = "activity",
    request_body = RecordObservations,
    params(
        ObservationsQuery,
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`"),
    ),
    responses((status = 200, description = "Result of each item", body = BatchResponse), ObservationProblems)
)]
pub(crate) async fn record(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<ObservationsQuery>,
    command: UnreadCommand,
) -> Result<Response, RouteError> {
    let format = InputFormat::of(command.headers())?;
    record_in(format, state, query, command).await
}

/// Record observations as lines
///
/// Newline-delimited JSON: one observation on each line, and any number of lines. They are recorded chunk by chunk as
/// they arrive, each chunk whole or not at all. The response has a line for each chunk, and a last one with `"done":
/// true`.
#[utoipa::path(
    post,
    path = "/v1/observations/lines",
    operation_id = "record_observation_lines",
    tag = "activity",
    request_body(content = ObservationSent, content_type = "application/x-ndjson"),
    params(
        LinesQuery,
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd`"),
    ),
    responses(
        (status = 200, description = "A line for each chunk, and a last one", content(
            (StreamLine = "application/x-ndjson"),
        )),
        ObservationProblems,
    )
)]
pub(crate) async fn record_lines(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<LinesQuery>,
    command: UnreadCommand,
) -> Result<Response, RouteError> {
    let format = InputFormat::Lines.required(command.headers())?;
    record_in(format, state, query.into(), command).await
}

/// Record a CloudEvent
///
/// One CloudEvent 1.0 in structured mode is one observation.
#[utoipa::path(
    post,
    path = "/v1/observations/cloud-event",
    operation_id = "record_cloud_event",
    tag = "activity",
    request_body(content = CloudEvent, content_type = "application/cloudevents+json"),
    params(CloudEventsQuery),
    responses((status = 200, description = "Its result", body = BatchResponse), ObservationProblems)
)]
pub(crate) async fn record_cloud_event(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<CloudEventsQuery>,
    command: UnreadCommand,
) -> Result<Response, RouteError> {
    let format = InputFormat::CloudEvent.required(command.headers())?;
    record_in(format, state, query.into(), command).await
}

/// Record CloudEvents
///
/// An array of 1 to 5,000 CloudEvents 1.0, the batched mode. All are of one source, unless the query names one.
#[utoipa::path(
    post,
    path = "/v1/observations/cloud-events",
    operation_id = "record_cloud_events",
    tag = "activity",
    request_body(content = Vec<CloudEvent>, content_type = "application/cloudevents-batch+json"),
    params(CloudEventsQuery),
    responses((status = 200, description = "Result of each event", body = BatchResponse), ObservationProblems)
)]
pub(crate) async fn record_cloud_events(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<CloudEventsQuery>,
    command: UnreadCommand,
) -> Result<Response, RouteError> {
    let format = InputFormat::CloudEvents.required(command.headers())?;
    record_in(format, state, query.into(), command).await
}

async fn record_in(
    format: InputFormat,
    state: ApiState,
    query: ObservationsQuery,
    command: UnreadCommand,
) -> Result<Response, RouteError> {
    let ObservationsQuery { results, source, backfill, chunk, before } = query;
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
