//! Commands on a source that is registered: change its settings from a date on, end it, resume it.

use axum::extract::State;
use chrono::{DateTime, NaiveDate, Utc};
use commands::{CommandContext, CommandError, Completed};
use domain::channel::Channel;
use domain::ids::SourceId;
use domain::json_objects;
use domain::money::Currency;
use domain::note::{NoteUrl, Reason};
use domain::source::{SourceChange, SourceCommand, SourceRole, UnknownCampaigns};
use domain::zone::Zone;
use http::StatusCode;
use http_edge::path::ApiPath;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    DimensionBody, HorizonsBody, SourceResponse, SourceWarning, channel_warnings, dimensions, horizons, measure_roles,
    measures,
};
use crate::command::{JsonCommand, noted};
use crate::moment;
use crate::problems::RouteError;
use crate::problems::kinds::SourceCommandProblems;
use crate::raw_number::UniqueKeys;
use crate::response::CommandResponse;
use crate::state::ApiState;

/// Settings of a source that change for buckets from a date on. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"horizons": {"conversions": "30d"}, "from": "2026-11-01"}))]
pub(crate) struct ChangeSource {
    /// The channel that it reports on.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    channel: Option<Channel>,
    /// `primary`: counts toward totals. `reference`: is shown beside them.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "reference")]
    role: Option<SourceRole>,
    /// The roles of single measures, where they differ: all of them, including those that stay.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    measure_roles: Option<UniqueKeys<SourceRole>>,
    /// The measures that it states: all of them, including those that stay.
    #[serde(default)]
    measures: Option<Vec<String>>,
    /// How many seconds after a bucket closes its numbers usually arrive.
    #[serde(default)]
    expected_delay_s: Option<i64>,
    /// For how long after a bucket closes its numbers may still change. Members that are left out stay.
    #[serde(default)]
    horizons: Option<HorizonsBody>,
    /// One horizon for every measure, in seconds.
    #[serde(default)]
    restatement_horizon_s: Option<i64>,
    /// For a push source that never says that it is complete: how many seconds after a bucket closes it is.
    #[serde(default)]
    complete_after_s: Option<i64>,
    /// Beside it: how many seconds after it was last heard of it is late, and completes no further.
    #[serde(default)]
    quiet_after_s: Option<i64>,
    /// How many seconds after it happened it may send an observation.
    #[serde(default)]
    observation_window_s: Option<i64>,
    /// `reject` or `create`: what becomes of an item that names an external id that no campaign has.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "create")]
    unknown_campaigns: Option<UnknownCampaigns>,
    /// The dimensions by which it may state totals: all of them, including those that stay. They hold for what is
    /// recorded while they are those of today.
    #[serde(default)]
    dimensions: Option<Vec<DimensionBody>>,
    /// The IANA time zone of its days. Another one begins a series.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "Europe/Berlin")]
    time_zone: Option<Zone>,
    /// The currency of its money. Another one begins a series.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "EUR")]
    currency: Option<Currency>,
    /// The first date of which the settings hold, in the time zone that holds then; today, if left out. A date alone
    /// begins a series of a pull source.
    #[serde(default, deserialize_with = "moment::date_or_null")]
    from: Option<NaiveDate>,
    /// Why: 1 to 500 characters, kept in the log.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<Reason>,
    /// Where more is written: an `http` or `https` URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^https?://", max_length = 2000)]
    note_url: Option<NoteUrl>,
    /// Cannot change.
    #[serde(default)]
    #[schema(ignore)]
    kind: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    name: Option<Value>,
    #[serde(default)]
    #[schema(ignore)]
    id_scope: Option<Value>,
}

json_objects!(read: ChangeSource);

impl ChangeSource {
    fn into_change(self, before: &domain::source::Horizons) -> Result<SourceChange, CommandError> {
        let fixed =
            [("kind", self.kind.is_some()), ("name", self.name.is_some()), ("id_scope", self.id_scope.is_some())];
        if let Some((field, _)) = fixed.into_iter().find(|(_, is_given)| *is_given) {
            let detail = "cannot change: recorded numbers keep its meaning. End this source, and register another";
            return Err(CommandError::Invalid { field, detail: detail.to_owned() });
        }
        Ok(SourceChange {
            channel: self.channel,
            role: self.role,
            measure_roles: self.measure_roles.map(measure_roles).transpose()?,
            measures: self.measures.as_deref().map(measures).transpose()?,
            expected_delay_s: self.expected_delay_s,
            horizons: horizons(self.horizons, self.restatement_horizon_s, Some(before))?,
            complete_after_s: self.complete_after_s,
            quiet_after_s: self.quiet_after_s,
            observation_window_s: self.observation_window_s,
            unknown_campaigns: self.unknown_campaigns,
            dimensions: self.dimensions.map(dimensions).transpose()?,
            series: None,
        })
    }
}

/// When a source ends.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"at": "2026-11-30T23:00:00Z"}))]
pub(crate) struct EndSource {
    /// The first instant of which nothing is expected; now, if left out.
    #[serde(default, deserialize_with = "moment::instant_or_null")]
    at: Option<DateTime<Utc>>,
    /// Why: 1 to 500 characters, kept in the log.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<Reason>,
    /// Where more is written: an `http` or `https` URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^https?://", max_length = 2000)]
    note_url: Option<NoteUrl>,
}

json_objects!(read: EndSource);

/// When a source resumes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"from": "2026-12-01"}))]
pub(crate) struct ResumeSource {
    /// The first date of which something is expected again, in the source's time zone; today, if left out.
    #[serde(default, deserialize_with = "moment::date_or_null")]
    from: Option<NaiveDate>,
    /// Why: 1 to 500 characters, kept in the log.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    reason: Option<Reason>,
    /// Where more is written: an `http` or `https` URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^https?://", max_length = 2000)]
    note_url: Option<NoteUrl>,
}

json_objects!(read: ResumeSource);

/// Change a source from a date on
///
/// Buckets from `from` on have the new settings, whenever their numbers were recorded, and buckets before it keep the
/// settings that they had. Name, kind and `id_scope` cannot change.
///
/// Another time zone or currency begins a series. What was recorded keeps the zone and the currency in which it was
/// recorded, and counts only on dates before `from`. With a `from` in the past, what was stated of later dates counts
/// no longer: state it anew. Until then answers have the warning `series_replaced`.
#[utoipa::path(
    patch,
    path = "/v1/sources/{name}",
    operation_id = "change_source",
    tag = "sources",
    request_body = ChangeSource,
    params(("name" = String, Path, description = "The source", example = "google_ads")),
    responses(
        (status = 200, description = "The source has these settings", body = SourceResponse, headers(
            ("ETag" = String, description = "The version"),
        )),
        SourceCommandProblems,
    )
)]
pub(crate) async fn change(
    State(state): State<ApiState>,
    ApiPath(name): ApiPath<String>,
    command: JsonCommand,
) -> Result<CommandResponse, RouteError> {
    let mut body: ChangeSource = command.body()?;
    let context = noted(command.context.clone(), body.reason.take(), body.note_url.take());
    let (from, at) = (body.from, command.context.received_at);
    let zone_and_currency = (body.time_zone, body.currency);
    let details = state.commands.source(&command.context, &name).await?.details;
    let before = from.map_or_else(|| details.definition_at(at), |from| details.definition_on(from)).horizons;
    let change = body.into_change(&before)?;
    let warnings = change.channel.as_ref().map(channel_warnings).unwrap_or_default();
    let changed = state.commands.change_source(&context, &name, change, zone_and_currency, from).await?;
    Ok(respond(&context, name, changed, warnings))
}

/// End a source
///
/// Buckets from its end on do not wait for it, and it sends nothing of them. What it delivered stays.
#[utoipa::path(
    post,
    path = "/v1/sources/{name}/end",
    operation_id = "end_source",
    tag = "sources",
    request_body = EndSource,
    params(("name" = String, Path, description = "The source", example = "google_ads")),
    responses(
        (status = 200, description = "The source has ended", body = SourceResponse, headers(
            ("ETag" = String, description = "The version"),
        )),
        SourceCommandProblems,
    )
)]
pub(crate) async fn end(
    State(state): State<ApiState>,
    ApiPath(name): ApiPath<String>,
    command: JsonCommand,
) -> Result<CommandResponse, RouteError> {
    let EndSource { at: ends_at, reason, note_url } = command.body_or_default()?;
    let context = noted(command.context.clone(), reason, note_url);
    let at = command.context.received_at;
    execute(&state, &context, name, SourceCommand::End { ends_at, at }).await
}

/// Resume a source that has ended
#[utoipa::path(
    post,
    path = "/v1/sources/{name}/resume",
    operation_id = "resume_source",
    tag = "sources",
    request_body = ResumeSource,
    params(("name" = String, Path, description = "The source", example = "google_ads")),
    responses(
        (status = 200, description = "The source delivers again", body = SourceResponse, headers(
            ("ETag" = String, description = "The version"),
        )),
        SourceCommandProblems,
    )
)]
pub(crate) async fn resume(
    State(state): State<ApiState>,
    ApiPath(name): ApiPath<String>,
    command: JsonCommand,
) -> Result<CommandResponse, RouteError> {
    let ResumeSource { from, reason, note_url } = command.body_or_default()?;
    let context = noted(command.context.clone(), reason, note_url);
    let at = command.context.received_at;
    execute(&state, &context, name, SourceCommand::Resume { from, at }).await
}

async fn execute(
    state: &ApiState,
    context: &CommandContext,
    name: String,
    source_command: SourceCommand,
) -> Result<CommandResponse, RouteError> {
    let changed = state.commands.execute_source_command(context, &name, source_command).await?;
    Ok(respond(context, name, changed, Vec::new()))
}

fn respond(
    context: &CommandContext,
    name: String,
    changed: Completed<SourceId>,
    warnings: Vec<SourceWarning>,
) -> CommandResponse {
    let (id, done) = changed.split();
    let body = SourceResponse { source_id: id.0, name, version: done.version, position: done.position, warnings };
    CommandResponse::new(StatusCode::OK, context, &done, &body).with_etag(&format!("\"{}\"", done.version))
}
