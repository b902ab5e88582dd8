//! Who did what to one campaign, and when: for people.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::campaign::Budget;
use domain::measure::Measure;
use domain::money::Currency;
use http::HeaderMap;
use platform::http::auth::Authenticated;
use platform::http::path::ApiPath;
use platform::http::query::ApiQuery;
use platform::keys::Scope;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::campaign::BudgetBody;
use super::metrics::query_string;
use crate::ApiState;
use crate::answer::{Envelope, link_next};
use crate::consistency::{Asked, Settled};
use crate::cursor;
use crate::format::Format;
use crate::parked::About;
use crate::problems::CampaignListProblems;
use crate::refusal::Refusal;
use crate::report::lookups;
use crate::report::query::Paging;
use crate::report::request::Fields;
use crate::report::value::{Figure, Value};
use crate::serve::{Answered, Around, Column, Contents, Lasting, Read, Resource, Sought, Survey, Table, Told, export};
use crate::snapshot::Snapshot;
use crate::sources::Sources;
use crate::version::Version;

/// The parameters of a campaign's activity.
#[derive(Debug, Clone, Default, Deserialize, Serialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ActivityParams {
    /// The most happenings of a page: 1 to 1000, 100 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
    /// The `next_cursor` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// The answer should hold the log up to this position; `Prefer: wait=<seconds>` waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_position: Option<i64>,
    /// The answer must not lag by more than this: `500ms`, `5s`, `2m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_staleness: Option<String>,
    /// `stale` (the default): on time-out answer with what is there. `error`: refuse with 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_timeout: Option<String>,
}

/// What was asked, in its canonical form.
#[derive(Debug, Serialize)]
struct ActivityQuery {
    campaign_id: Uuid,
}

/// Something that somebody did to a campaign.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Happening)]
pub(crate) struct HappeningBody {
    /// `created`, `renamed`, `rescheduled`, `time_zone_changed`, `currency_changed`, `channels_changed`, `budget_changed`,
    /// `external_ids_changed`, `attributes_changed`, `launched`, `paused`, `resumed`, `completed`, `archived`: what was decided.
    /// `corrected`: observations were corrected by one request. `source_began`: a source sent its first numbers.
    #[schema(example = "budget_changed")]
    kind: String,
    /// When it was taken into the log.
    recorded_at: DateTime<Utc>,
    /// Where in the log.
    position: i64,
    /// Who did it. Null where nobody was noted.
    actor: Option<Actor>,
    /// The source, by name, whose observations were corrected or whose numbers began.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// The fields that were decided, as they were and as they are since.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(example = json!({"budget": {"from": null, "to": {"amount": "7000.000000", "currency": "EUR", "per": "total"}}}))]
    changes: BTreeMap<String, Change>,
    /// How many observations were corrected, by type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(example = json!({"conversion": 2}))]
    corrections: BTreeMap<String, i64>,
    /// What the corrections added to measures.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Figure>, example = json!({"revenue": {"amount": "-9.900000", "currency": "EUR"}}))]
    added: BTreeMap<&'static str, Value>,
    /// The trace that it belongs to.
    correlation_id: Option<String>,
    /// The span that caused the request.
    causation_id: Option<String>,
    /// The request, as the command API named it in `Request-Id`.
    request_id: Option<String>,
}

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
struct Actor {
    key_id: String,
    /// Null where the key is no longer known.
    name: Option<String>,
}

/// A field before and after.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = FieldChange)]
struct Change {
    /// Null where there was nothing.
    from: Json,
    /// Null where there is nothing since.
    to: Json,
}

/// Activity of one campaign
///
/// Who did what to it, newest first.
/// Decisions, corrections of its sources' observations, and which source began to send numbers when. Observations,
/// statements and runs of sources are no part of it: metrics and freshness tell of them.
#[utoipa::path(
    get,
    path = "/v1/campaigns/{id}/activity",
    operation_id = "list_activity",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign", example = "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62"), ActivityParams),
    responses(
        (status = 200, description = "A page of happenings.", content(
            (Envelope<'static, Vec<HappeningBody>> = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        CampaignListProblems,
    )
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Authenticated,
    ApiPath(id): ApiPath<Uuid>,
    ApiQuery(params): ApiQuery<ActivityParams>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let principal = caller.require(Scope::Read)?;
    if Format::of_rows(&headers)? == Format::Csv {
        let principal = principal.clone();
        return export(move |export| async move {
            let asked = Asked::new(params.min_position, params.max_staleness.as_ref(), params.on_timeout.as_ref());
            let read = Read { state: &state, principal: &principal, headers: &headers, asked, is_conditional: true };
            export.pour(read, &Activity { campaign: id, params: &params }).await;
        })
        .await;
    }
    let asked = Asked::new(params.min_position, params.max_staleness.as_ref(), params.on_timeout.as_ref());
    let read = Read { state: &state, principal, headers: &headers, asked, is_conditional: true };
    let Answered { mut response, next_cursor, .. } = read.answer(&Activity { campaign: id, params: &params }).await?;
    if let Some(cursor) = next_cursor {
        let next = ActivityParams { cursor: Some(cursor), min_position: None, ..params };
        link_next(&mut response, &format!("/v1/campaigns/{id}/activity?{}", query_string(&next)?));
    }
    Ok(response)
}

/// What was done to one campaign.
struct Activity<'a> {
    campaign: Uuid,
    params: &'a ActivityParams,
}

impl Resource for Activity<'_> {
    const MODEL: &'static str = "activity";
    type Query = ActivityQuery;
    type Ground = ();

    fn about(&self) -> About {
        About::numbers([self.campaign])
    }

    fn query(&self, _: Around) -> Result<(ActivityQuery, Option<Paging>), Refusal> {
        let mut fields = Fields::default();
        let paging = fields.paging(self.params.limit, self.params.cursor.as_deref());
        let read = (ActivityQuery { campaign_id: self.campaign }, Some(paging));
        fields.finish(read).map_err(Refusal::Query)
    }

    async fn survey(&self, settled: &mut Settled, _: &ActivityQuery) -> Result<Option<Survey<()>>, Refusal> {
        let snapshot = &mut settled.snapshot;
        if lookups::names(snapshot, &[self.campaign]).await?.is_empty() {
            return Ok(None);
        }
        let last = last_position(snapshot, self.campaign).await?;
        let version = Version::new(snapshot.revision, last, None);
        let (epoch, lasting) = (snapshot.epoch, Lasting::Until(None));
        Ok(Some(Survey { epoch, version, lasting, numbers: None, ground: () }))
    }

    async fn result(
        &self,
        snapshot: &mut Snapshot,
        sought: &Sought<ActivityQuery>,
        survey: Survey<()>,
    ) -> Result<Told, Refusal> {
        let paging = sought.paging.as_ref().ok_or_else(|| Refusal::corrupt("activity has pages"))?;
        let (rows, next_cursor) = page(snapshot, self.campaign, paging, sought.hash()).await?;
        let data = rows.into_iter().map(Row::shown).collect::<Result<Vec<_>, _>>()?;
        let warnings = snapshot.parked.warning(&self.about(), &Sources::new()).into_iter().collect();
        let time_zone = snapshot.time_zone;
        let contents = Contents { data, next_cursor, time_zone, freshness: None, warnings };
        sought.told::<Self, _>((snapshot.epoch, snapshot.currency), survey.version, contents)
    }
}

impl Table for Activity<'_> {
    fn file_name(&self) -> String {
        format!("campaign-{}-activity", self.campaign)
    }

    fn columns(&self, _: &ActivityQuery) -> Vec<Column> {
        let actor = [Column::within("actor", "key_id"), Column::within("actor", "name")];
        let did = ["source", "changes", "corrections", "added", "correlation_id", "causation_id", "request_id"];
        ["kind", "recorded_at", "position"]
            .map(Column::of)
            .into_iter()
            .chain(actor)
            .chain(did.map(Column::of))
            .collect()
    }

    fn is_limited(&self) -> bool {
        self.params.limit.is_some()
    }
}

/// The last event that the feed tells of: nothing else changes it. Keys and sources keep the names that they were given.
async fn last_position(snapshot: &mut Snapshot, campaign: Uuid) -> Result<i64, Refusal> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let position = sqlx::query_scalar!(
        r#"SELECT greatest(
               0,
               (SELECT max(position) FROM read.activity WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3),
               (SELECT max(position) FROM read.campaign_sources WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3)
           ) AS "position!""#,
        epoch,
        workspace,
        campaign,
    )
    .fetch_one(snapshot.db())
    .await?;
    Ok(position)
}

/// A happening as the tables have it.
struct Row {
    position: i64,
    kind: String,
    recorded_at: DateTime<Utc>,
    source: Option<String>,
    currency: Option<String>,
    actor: Option<String>,
    actor_name: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    traceparent: Option<String>,
    to_values: sqlx::types::Json<Map<String, Json>>,
    /// What the row before that set the same fields made of them.
    from_values: Option<sqlx::types::Json<Map<String, Json>>>,
}

/// Where a row stands among the others: position, kind. Newest first.
type Key = (i64, String);

/// What corrections of one event did.
#[derive(Debug, Default, Deserialize)]
struct Corrected {
    corrections: BTreeMap<String, i64>,
    changes: BTreeMap<Measure, String>,
}

impl Row {
    fn key(&self) -> Key {
        (self.position, self.kind.clone())
    }

    fn shown(self) -> Result<HappeningBody, Refusal> {
        let mut to_values = self.to_values.0;
        let corrected = if self.kind == "corrected" {
            let did = Json::Object(std::mem::take(&mut to_values));
            serde_json::from_value(did).map_err(Refusal::corrupt)?
        } else {
            Corrected::default()
        };
        let currency: Option<Currency> =
            self.currency.as_deref().map(str::parse).transpose().map_err(Refusal::corrupt)?;
        let mut added = BTreeMap::new();
        for (measure, change) in corrected.changes {
            let change = change.parse().map_err(Refusal::corrupt)?;
            added.insert(measure.name(), currency.map_or(Value::Null, |one| Value::of(measure, change, one)));
        }
        Ok(HappeningBody {
            recorded_at: self.recorded_at,
            position: self.position,
            actor: self.actor.map(|key_id| Actor { key_id, name: self.actor_name }),
            source: self.source,
            changes: changes(to_values, self.from_values.map(|before| before.0)),
            corrections: corrected.corrections,
            added,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            request_id: self.traceparent.as_deref().and_then(request_id),
            kind: self.kind,
        })
    }
}

/// What was set, beside what was set before. What was set to what it was is no change.
fn changes(to: Map<String, Json>, from: Option<Map<String, Json>>) -> BTreeMap<String, Change> {
    let mut before = from.unwrap_or_default();
    let changes = to.into_iter().map(|(field, to)| {
        let from = before.remove(&field).unwrap_or_default();
        let change = Change { from: shown(&field, from), to: shown(&field, to) };
        (field, change)
    });
    changes.filter(|(_, change)| change.from != change.to).collect()
}

/// A field as the rest of the API writes it.
fn shown(field: &str, value: Json) -> Json {
    if field != "budget" {
        return value;
    }
    // What is no budget of ours is shown as it was recorded.
    match serde_json::from_value::<Option<Budget>>(value.clone()) {
        Ok(budget) => json!(budget.map(BudgetBody::from)),
        Err(_) => value,
    }
}

/// A request's id is its trace and span, as `traceparent` has them: `00-<trace>-<span>-<flags>`.
fn request_id(traceparent: &str) -> Option<String> {
    let (_, rest) = traceparent.split_once('-')?;
    rest.rsplit_once('-').map(|(id, _)| id.to_owned())
}

/// The page's rows, and the cursor behind its last one.
async fn page(
    snapshot: &mut Snapshot,
    campaign: Uuid,
    paging: &Paging,
    hash: &str,
) -> Result<(Vec<Row>, Option<String>), Refusal> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let after: Option<Key> = paging.cursor.as_deref().map(|text| cursor::decode(text, hash, epoch)).transpose()?;
    let (before_position, before_kind) = after.unwrap_or((i64::MAX, String::new()));
    // One more than the page tells whether another follows.
    let limit = i64::try_from(paging.limit + 1).unwrap_or(i64::MAX);
    let mut rows = sqlx::query_as!(
        Row,
        r#"WITH happened AS (
               (SELECT a.position, a.kind, a.recorded_at, a.source_id, a.actor, a.correlation_id, a.causation_id, a.traceparent,
                       a.to_values
                FROM read.activity a
                WHERE a.epoch = $1 AND a.workspace = $2 AND a.campaign_id = $3 AND (a.position, a.kind) < ($4, $5)
                ORDER BY a.position DESC, a.kind DESC LIMIT $6)
               UNION ALL
               (SELECT f.position, 'source_began', log.recorded_at_of($2, f.position), f.source_id, NULL, NULL, NULL, NULL, '{}'
                FROM read.campaign_sources f
                WHERE f.epoch = $1 AND f.workspace = $2 AND f.campaign_id = $3 AND (f.position, 'source_began') < ($4, $5)
                ORDER BY f.position DESC LIMIT $6)
           )
           SELECT h.position AS "position!", h.kind AS "kind!", h.recorded_at AS "recorded_at!", s.name AS "source?",
                  s.currency AS "currency?", h.actor, k.name AS "actor_name?", h.correlation_id, h.causation_id, h.traceparent,
                  h.to_values AS "to_values!: _", coalesce(same.to_values, made.to_values) AS "from_values: _"
           FROM happened h
           LEFT JOIN read.sources s ON s.epoch = $1 AND s.workspace = $2 AND s.source_id = h.source_id
           LEFT JOIN auth.keys k ON k.workspace = $2 AND k.key_id::text = h.actor
           LEFT JOIN LATERAL (
               SELECT b.to_values FROM read.activity b
               WHERE b.epoch = $1 AND b.workspace = $2 AND b.campaign_id = $3 AND b.kind = h.kind AND b.position < h.position
               ORDER BY b.position DESC LIMIT 1
           ) same ON h.source_id IS NULL
           LEFT JOIN read.activity made
             ON made.epoch = $1 AND made.workspace = $2 AND made.campaign_id = $3 AND made.kind = 'created'
            AND h.source_id IS NULL AND made.position < h.position
           ORDER BY h.position DESC, h.kind DESC LIMIT $6"#,
        epoch,
        workspace,
        campaign,
        before_position,
        before_kind,
        limit,
    )
    .fetch_all(snapshot.db())
    .await?;
    let more = rows.len() > paging.limit;
    rows.truncate(paging.limit);
    let next_cursor = rows.last().filter(|_| more).map(|row| cursor::encode(hash, epoch, row.key()));
    Ok((rows, next_cursor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_to_what_it_was_is_no_change() {
        let values = |text: &str| serde_json::from_str::<Map<String, Json>>(text).unwrap();
        let to = values(
            r#"{"budget": {"amount": {"micros": 7000000, "currency": "EUR"}, "per": "day"}, "ends_on": null,
                "starts_on": "2026-12-01"}"#,
        );
        let from = values(r#"{"budget": null, "name": "Shoes", "ends_on": "2026-12-31", "starts_on": "2026-12-01"}"#);
        let changes = changes(to, Some(from));
        assert_eq!(changes.keys().collect::<Vec<_>>(), ["budget", "ends_on"]);
        assert_eq!(
            changes["budget"],
            Change { from: Json::Null, to: json!({"amount": "7.000000", "currency": "EUR", "per": "day"}) }
        );
        assert_eq!(changes["ends_on"], Change { from: json!("2026-12-31"), to: Json::Null });
    }

    #[test]
    fn a_request_is_named_as_the_command_api_named_it() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        assert_eq!(request_id(&format!("00-{trace}-{span}-01")), Some(format!("{trace}-{span}")));
        assert_eq!(request_id("nonsense"), None);
    }
}
