//! The activity of a source: who changed it, when, why, and what that changed.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, NaiveDate, Utc};
use commands::SourceActivity;
use domain::source::{SourceDetails, SourceEvent};
use http_edge::path::ApiPath;
use platform::principal::Actor;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::show::SourceSettings;
use crate::command::ReadCommand;
use crate::problems::RouteError;
use crate::problems::kinds::ReadSourceProblems;
use crate::state::ApiState;

/// What was done to a source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"data": [example()]}))]
pub(crate) struct SourceActivityBody {
    /// Newest first.
    data: Vec<SourceActivityEntry>,
}

/// One thing that was done to a source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = example)]
pub(crate) struct SourceActivityEntry {
    /// `registered`, `changed`, `ended` or `resumed`.
    #[schema(value_type = String)]
    kind: &'static str,
    /// Its place among the events of the source.
    version: i64,
    /// Its position in the log.
    position: i64,
    /// When it was recorded in the log.
    recorded_at: DateTime<Utc>,
    /// The first date of which changed settings hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<NaiveDate>,
    /// The instant from which nothing is expected, or something again.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<DateTime<Utc>>,
    /// The settings that differ on that date, before and after.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    changes: BTreeMap<String, SettingChange>,
    /// Who did it. Null if the log does not say.
    actor: Option<SourceActor>,
    /// Why, as the caller said.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Where more is written, as the caller said.
    #[serde(skip_serializing_if = "Option::is_none")]
    note_url: Option<String>,
    /// The trace that it belongs to.
    correlation_id: Option<String>,
    /// The span that caused the request.
    causation_id: Option<String>,
}

/// A setting before and after.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingChange {
    /// The value before; null if there was none.
    from: Value,
    /// The value after; null if there is none.
    to: Value,
}

/// Who acted on a source.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceActor {
    /// `key`: an API key. `user`: a person with a token. `system`: Highwater itself, or its operator.
    #[schema(value_type = String)]
    kind: &'static str,
    /// The id, unique within the kind.
    id: String,
}

/// List the activity of a source
///
/// Who registered, changed, ended or resumed it, when and why, with the settings before and after, newest first.
#[utoipa::path(
    get,
    path = "/v1/sources/{name}/activity",
    operation_id = "list_source_activity",
    tag = "sources",
    params(("name" = String, Path, description = "The source", example = "google_ads")),
    responses((status = 200, description = "What was done to it", body = SourceActivityBody), ReadSourceProblems)
)]
pub(crate) async fn activity(
    State(state): State<ApiState>,
    ApiPath(name): ApiPath<String>,
    read: ReadCommand,
) -> Result<Json<SourceActivityBody>, RouteError> {
    let done = state.commands.source_activity(&read.context, &name).await?;
    Ok(Json(SourceActivityBody { data: done.into_iter().rev().map(SourceActivityEntry::new).collect() }))
}

impl SourceActivityEntry {
    fn new(done: SourceActivity) -> Self {
        let SourceActivity { version, position, recorded_at, mut metadata, event, before } = done;
        let actor: Option<Actor> = metadata.remove("actor").and_then(|actor| actor.parse().ok());
        let (kind, from, at) = match &event {
            SourceEvent::SourceRegistered { .. } => ("registered", None, None),
            SourceEvent::SourceChanged { from, .. } => ("changed", Some(*from), None),
            SourceEvent::SourceEnded { ends_at, .. } => ("ended", None, Some(*ends_at)),
            SourceEvent::SourceResumed { resumes_at, .. } => ("resumed", None, Some(*resumes_at)),
        };
        let mut said = |name: &str| metadata.remove(name);
        Self {
            kind,
            version,
            position,
            recorded_at,
            from,
            at,
            changes: before.zip(from).map(|(before, from)| changes(&before, event, from)).unwrap_or_default(),
            actor: actor.map(|actor| SourceActor { kind: actor.kind.name(), id: actor.id.to_string() }),
            reason: said("reason"),
            note_url: said("note_url"),
            correlation_id: said("correlation_id"),
            causation_id: said("causation_id"),
        }
    }
}

/// What an event changes of the settings of a date.
fn changes(before: &SourceDetails, event: SourceEvent, date: NaiveDate) -> BTreeMap<String, SettingChange> {
    let mut after = before.clone();
    after.apply(event);
    let mut old = settings(before, date);
    let new = settings(&after, date).into_iter();
    let each = new.map(|(name, to)| (old.remove(&name).unwrap_or_default(), name, to));
    let differing = each.filter(|(from, _, to)| from != to);
    differing.map(|(from, name, to)| (name, SettingChange { from, to })).collect()
}

fn settings(details: &SourceDetails, date: NaiveDate) -> Map<String, Value> {
    let definition = details.definition_on(date);
    let (time_zone, currency) = (definition.time_zone.to_string(), definition.currency.to_string());
    let Ok(Value::Object(mut settings)) = serde_json::to_value(SourceSettings::new(definition)) else {
        return Map::new();
    };
    // Where nothing else says that a series began, its first date does.
    let begun = details.series().dates().iter().filter_map(|dates| dates.from).rfind(|from| from.date <= date);
    settings.insert("series_from".to_owned(), begun.map(|from| from.date.to_string()).into());
    settings.extend([("time_zone".to_owned(), time_zone.into()), ("currency".to_owned(), currency.into())]);
    settings
}

/// A source that was demoted.
fn example() -> Value {
    json!({
        "kind": "changed", "version": 2, "position": 18_342, "recorded_at": "2026-11-22T09:14:03.120Z",
        "from": "2026-01-01", "changes": {"role": {"from": "primary", "to": "reference"}},
        "actor": {"kind": "key", "id": "0195d2f4-0b7e-7a12-8d3c-5e1f2a9b7c40"},
        "reason": "counts what google_ads counts", "correlation_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "causation_id": null
    })
}
