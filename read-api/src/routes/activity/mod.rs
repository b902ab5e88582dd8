//! Who did what to one campaign, and when: for people.

use std::collections::BTreeMap;

use axum::response::Response;
use chrono::{DateTime, Utc};
use http_edge::path::ApiPath;
use http_edge::query::ApiQuery;
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::campaign::{CampaignPath, CampaignQuery};
use crate::consistency::ConsistentSnapshot;
use crate::error::ReadError;
use crate::parked::ResourceScope;
use crate::pipeline::{
    Column, QueryDefaults, ReadContext, Rendered, ResolvedQuery, Resource, ResponseParts, Table, Validity,
    VersionProbe, params,
};
use crate::problems::CampaignListProblems;
use crate::report::lookups;
use crate::report::query::Paging;
use crate::report::request::FieldErrors;
use crate::report::value::{NumberOrMoney, Value};
use crate::response::Envelope;
use crate::snapshot::Snapshot;
use crate::sources::Sources;
use crate::version::Version;

mod rows; // what was done, from its tables

params! {
    /// The parameters of a campaign's activity.
    pub(crate) struct ActivityParams of CampaignQuery {}
}

/// Something that somebody did to a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActivityEntry {
    /// `created`, `renamed`, `rescheduled`, `time_zone_changed`, `currency_changed`, `channels_changed`, `budget_changed`,
    /// `external_ids_changed`, `attributes_changed`, `launched`, `paused`, `resumed`, `completed`, `archived`: what was decided.
    /// `corrected`: observations were corrected by one request. `source_began`: a source sent its first numbers.
    #[schema(example = "budget_changed")]
    kind: String,
    /// When it was taken into the log.
    recorded_at: DateTime<Utc>,
    /// Where in the log.
    position: i64,
    /// Who did it. Null if the log does not say.
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
    #[schema(value_type = BTreeMap<String, NumberOrMoney>, example = json!({"revenue": {"amount": "-9.900000", "currency": "EUR"}}))]
    added: BTreeMap<&'static str, Value>,
    /// The trace that it belongs to.
    correlation_id: Option<String>,
    /// The span that caused the request.
    causation_id: Option<String>,
    /// The request, as the command API named it in `Request-Id`.
    request_id: Option<String>,
}

/// Who acted.
#[derive(Debug, Serialize, ToSchema)]
struct Actor {
    /// `key`: an API key. `user`: a person with a token. `system`: Highwater itself, or its operator.
    #[schema(example = "key")]
    kind: String,
    /// The id, unique within the kind.
    #[schema(example = "0195d2f4-0b7e-7a12-8d3c-5e1f2a9b7c40")]
    id: String,
    /// The name of the key. Null for other kinds, and if the key no longer exists.
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
    params(CampaignPath, ActivityParams),
    responses(
        (status = 200, description = "A page of happenings.", content(
            (Envelope<'static, Vec<ActivityEntry>> = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        CampaignListProblems,
    )
)]
pub(crate) async fn list(
    caller: ReadContext,
    ApiPath(CampaignPath { id }): ApiPath<CampaignPath>,
    ApiQuery(params): ApiQuery<ActivityParams>,
) -> Result<Response, ReadError> {
    caller.list(Activity { id, params }).await
}

/// What was done to one campaign.
struct Activity {
    id: Uuid,
    params: ActivityParams,
}

impl Resource for Activity {
    const MODEL: &'static str = "activity";
    type Params = ActivityParams;
    type Query = CampaignQuery;
    type Prepared = ();

    fn params(&self) -> &ActivityParams {
        &self.params
    }

    fn scope(&self) -> ResourceScope {
        ResourceScope::numbers([self.id])
    }

    fn query(&self, _: QueryDefaults) -> Result<(CampaignQuery, Option<Paging>), ReadError> {
        let mut fields = FieldErrors::default();
        let paging = fields.paging(self.params.limit, self.params.cursor.as_deref());
        let read = (CampaignQuery { campaign_id: self.id }, Some(paging));
        fields.finish(read).map_err(ReadError::Query)
    }

    async fn probe(
        &self,
        settled: &mut ConsistentSnapshot,
        _: &CampaignQuery,
    ) -> Result<Option<VersionProbe<()>>, ReadError> {
        let snapshot = &mut settled.snapshot;
        if !lookups::exists(snapshot, self.id).await? {
            return Ok(None);
        }
        let last = rows::last_position(snapshot, self.id).await?;
        let version = Version::new(snapshot.revision, last, None);
        let (epoch, lasting) = (snapshot.epoch, Validity::Until(None));
        Ok(Some(VersionProbe { epoch, version, lasting, numbers: None, ground: () }))
    }

    async fn render(
        &self,
        snapshot: &mut Snapshot,
        sought: &ResolvedQuery<CampaignQuery>,
        survey: VersionProbe<()>,
    ) -> Result<Rendered, ReadError> {
        let (rows, next_cursor) = rows::page(snapshot, self.id, sought.page(snapshot.epoch)?).await?;
        let data = rows.into_iter().map(rows::Row::shown).collect::<Result<Vec<_>, _>>()?;
        let warnings = snapshot.parked.warning(&self.scope(), &Sources::new()).into_iter().collect();
        let time_zone = snapshot.time_zone;
        let contents = ResponseParts { data, next_cursor, time_zone, freshness: None, warnings };
        sought.told::<Self, _>((snapshot.epoch, snapshot.currency), survey.version, contents)
    }
}

impl Table for Activity {
    fn file_name(&self) -> String {
        format!("campaign-{}-activity", self.id)
    }

    fn columns(&self, _: &CampaignQuery) -> Vec<Column> {
        let actor = ["kind", "id", "name"].map(|member| Column::within("actor", member));
        let did = ["source", "changes", "corrections", "added", "correlation_id", "causation_id", "request_id"];
        ["kind", "recorded_at", "position"]
            .map(Column::of)
            .into_iter()
            .chain(actor)
            .chain(did.map(Column::of))
            .collect()
    }
}
