//! Many campaigns: filtered, sorted, a page at a time.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use axum::response::Response;
use domain::campaign::CampaignStatus;
use domain::channel::Channel;
use http_edge::query::ApiQuery;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::schema::ArrayBuilder;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::campaign::{CampaignBody, MODEL};
use super::values;
use crate::consistency::ConsistentSnapshot;
use crate::error::ReadError;
use crate::parked::ResourceScope;
use crate::pipeline::{
    Column, QueryDefaults, ReadContext, Rendered, ResolvedQuery, Resource, ResponseParts, Table, Validity,
    VersionProbe, params,
};
use crate::problems::ListProblems;
use crate::report::query::Paging;
use crate::report::request::FieldErrors;
use crate::response::{Meta, Page, Warning};
use crate::snapshot::Snapshot;
use crate::sources::{self, Sources};
use crate::version::{Scope, Version};

mod query; // the one query whose shape follows the request

/// The longest text that names are searched for.
const LONGEST_SEARCH: usize = 200;

params! {
    /// The parameters of the list of campaigns.
    pub(crate) struct CampaignsParams of CampaignsQuery {
        /// Only campaigns that stand so now, separated by commas: draft, scheduled, active, paused, completed, archived.
        status: Option<String>,
        /// Only campaigns that run on one of these channels, separated by commas.
        channel: Option<String>,
        /// Only campaigns that get numbers from one of these sources, by name, separated by commas.
        source: Option<String>,
        /// Only campaigns whose name holds this text, in whatever case.
        q: Option<String>,
        /// `name` (the default), `created_at`, `changed_at` or `starts_on`; with a `-` in front, last first.
        sort: Option<String>,
        /// Only these members of each campaign, separated by commas.
        fields: Option<String>,
    }
}

/// What was asked, in its canonical form.
#[derive(Debug, Serialize)]
struct CampaignsQuery {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    status: BTreeSet<CampaignStatus>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    channel: BTreeSet<Channel>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    source: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    q: Option<String>,
    sort: Sort,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    fields: BTreeSet<Field>,
}

/// What campaigns are sorted by. Ties are broken by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sort {
    by: SortBy,
    descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SortBy {
    Name,
    CreatedAt,
    ChangedAt,
    StartsOn,
}

/// A member of a campaign, by its place among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Field(usize);

/// The members of a campaign.
pub(crate) const FIELDS: [&str; 14] = [
    "campaign_id",
    "version",
    "name",
    "status",
    "channels",
    "currency",
    "time_zone",
    "starts_on",
    "ends_on",
    "budget",
    "external_ids",
    "attributes",
    "created_at",
    "changed_at",
];

/// A campaign, or those members of it that were asked for.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Listed {
    Whole(Box<CampaignBody>),
    Part(Map<String, Value>),
}

/// A page of campaigns, as the OpenAPI document describes it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes how an `Envelope` of these is written")]
struct CampaignsAnswer {
    #[schema(schema_with = listed_schema)]
    data: Vec<Listed>,
    page: Page,
    meta: Meta<'static>,
}

/// No member is there whatever `fields` says.
fn listed_schema() -> Schema {
    let mut campaign = CampaignBody::schema();
    if let RefOr::T(Schema::Object(campaign)) = &mut campaign {
        campaign.required.clear();
        campaign.description = Some("A campaign; with `fields`, only those members of it.".to_owned());
    }
    ArrayBuilder::new().items(campaign).into()
}

/// Campaigns, filtered and sorted.
#[utoipa::path(
    get,
    path = "/v1/campaigns",
    operation_id = "list_campaigns",
    tag = "campaigns",
    params(CampaignsParams),
    responses(
        (status = 200, description = "A page of campaigns.", content(
            (CampaignsAnswer = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        ListProblems,
    )
)]
pub(crate) async fn list(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<CampaignsParams>,
) -> Result<Response, ReadError> {
    caller.list(Campaigns { params }).await
}

/// The workspace's campaigns.
struct Campaigns {
    params: CampaignsParams,
}

impl Resource for Campaigns {
    const MODEL: &'static str = MODEL;
    type Params = CampaignsParams;
    type Query = CampaignsQuery;
    type Prepared = Named;

    fn params(&self) -> &CampaignsParams {
        &self.params
    }

    fn scope(&self) -> ResourceScope {
        ResourceScope::campaigns([])
    }

    fn query(&self, _: QueryDefaults) -> Result<(CampaignsQuery, Option<Paging>), ReadError> {
        let (query, paging) = canonical(&self.params)?;
        Ok((query, Some(paging)))
    }

    async fn probe(
        &self,
        settled: &mut ConsistentSnapshot,
        query: &CampaignsQuery,
    ) -> Result<Option<VersionProbe<Named>>, ReadError> {
        let snapshot = &mut settled.snapshot;
        let touched = Scope::Workspace.last_change(snapshot, &[]).await?;
        let (of_sources, named) = sources_named(snapshot, query).await?;
        let version = Version::new(snapshot.revision, touched.position.max(of_sources), touched.last_start);
        let (epoch, lasting) = (snapshot.epoch, Validity::Until(touched.next_start));
        Ok(Some(VersionProbe { epoch, version, lasting, numbers: None, ground: named }))
    }

    async fn render(
        &self,
        snapshot: &mut Snapshot,
        sought: &ResolvedQuery<CampaignsQuery>,
        survey: VersionProbe<Named>,
    ) -> Result<Rendered, ReadError> {
        let query = &sought.query;
        let Named { sources, mut warnings } = survey.ground;
        warnings.extend(snapshot.parked.warning(&self.scope(), &Sources::new()));
        let (rows, next_cursor) = query::page(snapshot, query, &sources, sought.page(snapshot.epoch)?).await?;
        let campaigns = rows.into_iter().map(|row| row.at(snapshot.now)).collect::<Result<Vec<_>, _>>()?;
        let data = campaigns.into_iter().map(|one| listed(one, &query.fields)).collect::<Result<Vec<_>, _>>()?;
        let time_zone = snapshot.time_zone;
        let contents = ResponseParts { data, next_cursor, time_zone, freshness: None, warnings };
        sought.told::<Self, _>((snapshot.epoch, snapshot.currency), survey.version, contents)
    }
}

impl Table for Campaigns {
    fn file_name(&self) -> String {
        "campaigns".to_owned()
    }

    fn columns(&self, query: &CampaignsQuery) -> Vec<Column> {
        let wanted = FIELDS
            .iter()
            .enumerate()
            .filter(|(place, _)| query.fields.is_empty() || query.fields.contains(&Field(*place)));
        let columns = wanted.flat_map(|(_, name)| match *name {
            "budget" => Column::money("budget").into_iter().chain([Column::within("budget", "per")]).collect(),
            name => vec![Column::of(name)],
        });
        columns.collect()
    }
}

fn canonical(params: &CampaignsParams) -> Result<(CampaignsQuery, Paging), ReadError> {
    let mut fields = FieldErrors::default();
    let of = |text: &Option<String>| values(text.as_deref()).unwrap_or_default();
    if params.q.as_ref().is_some_and(|q| q.chars().count() > LONGEST_SEARCH) {
        fields.push("q", format_args!("must not be longer than {LONGEST_SEARCH} characters"));
    }
    let query = CampaignsQuery {
        status: fields.set("status", &of(&params.status)),
        channel: fields.set("channel", &of(&params.channel)),
        source: fields.set("source", &of(&params.source)),
        q: params.q.clone().filter(|q| !q.is_empty()),
        sort: fields.parse("sort", params.sort.as_deref()).unwrap_or(Sort { by: SortBy::Name, descending: false }),
        fields: fields.set("fields", &of(&params.fields)),
    };
    let paging = fields.paging(params.limit, params.cursor.as_deref());
    fields.finish((query, paging)).map_err(ReadError::Query)
}

/// The sources that a query names, as far as they are there, and what to say of the others.
#[derive(Debug, Default)]
struct Named {
    sources: Vec<Uuid>,
    warnings: Vec<Warning>,
}

/// What a filter by source depends on: one that is not there may be registered later.
async fn sources_named(snapshot: &mut Snapshot, query: &CampaignsQuery) -> Result<(i64, Named), ReadError> {
    if query.source.is_empty() {
        return Ok((0, Named::default()));
    }
    let sources = sources::load(snapshot).await?;
    let last = sources.values().map(|source| source.last_position).max().unwrap_or(0);
    let warnings = Warning::unknown_sources(&query.source, &sources).into_iter().collect();
    let named = sources.values().filter(|source| query.source.contains(&source.definition.name));
    Ok((last, Named { sources: named.map(|source| source.id).collect(), warnings }))
}

fn listed(campaign: CampaignBody, fields: &BTreeSet<Field>) -> Result<Listed, ReadError> {
    if fields.is_empty() {
        return Ok(Listed::Whole(Box::new(campaign)));
    }
    let Value::Object(mut all) = serde_json::to_value(campaign).map_err(ReadError::corrupt)? else {
        return Err(ReadError::corrupt("a campaign is an object"));
    };
    Ok(Listed::Part(fields.iter().filter_map(|field| all.remove_entry(field.name())).collect()))
}

impl Field {
    fn name(self) -> &'static str {
        FIELDS.get(self.0).copied().unwrap_or_default()
    }
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = FIELDS.iter().position(|name| *name == text);
        place.map(Self).ok_or_else(|| format!("is none of {}", FIELDS.join(", ")))
    }
}

impl Serialize for Field {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl SortBy {
    const ALL: [Self; 4] = [Self::Name, Self::CreatedAt, Self::ChangedAt, Self::StartsOn];

    fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::CreatedAt => "created_at",
            Self::ChangedAt => "changed_at",
            Self::StartsOn => "starts_on",
        }
    }
}

/// What campaigns may be sorted by, as it is written.
pub(crate) fn orders() -> Vec<String> {
    let both = |by| [false, true].map(|descending| Sort { by, descending }.to_string());
    SortBy::ALL.into_iter().flat_map(both).collect()
}

impl FromStr for Sort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let by = SortBy::ALL.into_iter().find(|by| by.name() == name);
        by.map(|by| Self { by, descending })
            .ok_or("is none of name, created_at, changed_at, starts_on, with or without a -")
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.descending { "-" } else { "" };
        write!(f, "{sign}{}", self.by.name())
    }
}

impl Serialize for Sort {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
