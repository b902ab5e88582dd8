//! A whole dashboard: many reports, all answered at one position from one snapshot; by POST, and by a GET that caches can keep.

mod request; // the reports, each as it was sent

use std::collections::BTreeMap;

use axum::response::Response;
use domain::bucket::Granularity;
use http_edge::json::{self, ApiEnvelope};
use http_edge::problem::Problem;
use http_edge::query::ApiQuery;
use platform::principal::Principal;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use self::request::{DashboardEntry, DashboardRequest, Reports};
use super::post_or_get::{CacheableParams, PinDates, PostedParams, ReportInput};
use crate::consistency::ConsistentSnapshot;
use crate::error::ReadError;
use crate::parked::ResourceScope;
use crate::pipeline::{QueryDefaults, ReadContext, Rendered, ResolvedQuery, Resource, Validity, VersionProbe, meta};
use crate::problems::DashboardProblems;
use crate::report::query::{Paging, ReportQuery};
use crate::report::request::ReportRequest;
use crate::report::{self, ReportBody, ReportContext, SnapshotLookups, canonical, prepare, render};
use crate::response::Envelope;
use crate::snapshot::Snapshot;
use crate::version::{Revision, Version};

/// One report of a dashboard: its answer, or why it has none. One that cannot be answered never fails the others.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is written as it was computed")]
pub(crate) enum Tile {
    /// As `POST /v1/reports` answers.
    Report(Box<ReportBody<'static>>),
    /// What `POST /v1/reports` would have refused it with.
    Refused {
        /// The problem; `report` names the report.
        #[schema(value_type = Problem)]
        problem: serde_json::Value,
    },
}

impl PinDates<DashboardQuery> for DashboardRequest {
    /// Each report has its own limit.
    fn is_limited(&self) -> bool {
        false
    }

    /// Its reports have cursors of their own.
    fn pinned(&self, query: &DashboardQuery, _: Option<String>) -> Self {
        let each = self.reports.0.iter().map(|(name, member)| {
            let member = match (query.0.get(name), member) {
                (Some(Ok(sought)), DashboardEntry::Report(report)) => {
                    DashboardEntry::Report(Box::new(report.pinned(&sought.query, None)))
                }
                // What is refused is refused as it was sent.
                _ => member.clone(),
            };
            (name.clone(), member)
        });
        Self { reports: Reports(each.collect()) }
    }
}

/// Many reports at one position
///
/// Each report is answered, or refused, by itself: its member of `data` is what `POST /v1/reports` would answer at the same
/// position, or holds the `problem`. `ETag` and `meta.version` are those of all of them together. `Content-Location` names the
/// GET that answers the same, which caches can keep.
#[utoipa::path(
    post,
    path = "/v1/dashboards",
    operation_id = "run_dashboard",
    tag = "numbers",
    params(PostedParams),
    request_body = DashboardRequest,
    responses(
        (status = 200, description = "The reports, by their names.", body = Envelope<'static, BTreeMap<String, Tile>>),
        DashboardProblems,
    )
)]
pub(crate) async fn post(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<PostedParams>,
    ApiEnvelope(request): ApiEnvelope<DashboardRequest>,
) -> Result<Response, ReadError> {
    let dashboard = Dashboard::new(&caller, ReportInput::by_post(params, request))?;
    caller.answer(dashboard).await
}

/// Many reports at one position, cacheable
#[utoipa::path(
    get,
    path = "/v1/dashboards",
    operation_id = "get_dashboard",
    tag = "numbers",
    params(CacheableParams),
    responses(
        (status = 200, description = "The reports, by their names.", body = Envelope<'static, BTreeMap<String, Tile>>),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        DashboardProblems,
    )
)]
pub(crate) async fn get(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<CacheableParams>,
) -> Result<Response, ReadError> {
    let dashboard = Dashboard::new(&caller, ReportInput::by_get(params, |text| json::parse_envelope(text))?)?;
    caller.answer(dashboard).await
}

/// A dashboard that is asked for.
struct Dashboard {
    principal: Principal,
    params: ReportInput<DashboardRequest>,
}

impl Dashboard {
    fn new(caller: &ReadContext, params: ReportInput<DashboardRequest>) -> Result<Self, ReadError> {
        params.request.check()?;
        // What the address says holds for all of them.
        params.data_state(None)?;
        Ok(Self { principal: caller.principal.clone(), params })
    }
}

/// The canonical queries by name, or why there is none.
pub(crate) struct DashboardQuery(BTreeMap<String, Result<ResolvedQuery<ReportQuery>, Box<RawValue>>>);

impl Serialize for DashboardQuery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut reports = serializer.serialize_map(Some(self.0.len()))?;
        for (name, sought) in &self.0 {
            match sought {
                Ok(sought) => {
                    let page = sought.paging.as_ref().map(|paging| (paging.limit, paging.cursor.as_deref()));
                    reports.serialize_entry(name, &(&sought.query, page))?;
                }
                Err(problem) => reports.serialize_entry(name, problem)?,
            }
        }
        reports.end()
    }
}

impl Resource for Dashboard {
    const MODEL: &'static str = "dashboard";
    type Params = ReportInput<DashboardRequest>;
    type Query = DashboardQuery;
    type Prepared = BTreeMap<String, Result<ReportContext, Box<RawValue>>>;

    fn params(&self) -> &ReportInput<DashboardRequest> {
        &self.params
    }

    fn scope(&self) -> ResourceScope {
        let named: Vec<_> = self
            .params
            .request
            .reports
            .0
            .values()
            .filter_map(DashboardEntry::report)
            .map(ReportRequest::named_campaigns)
            .collect();
        // One report of all campaigns is about all.
        let all = named.iter().any(Vec::is_empty);
        ResourceScope::numbers(named.into_iter().flatten().filter(|_| !all))
    }

    fn query(&self, around: QueryDefaults) -> Result<(DashboardQuery, Option<Paging>), ReadError> {
        let mut reports = BTreeMap::new();
        for (name, member) in &self.params.request.reports.0 {
            let query = match member {
                DashboardEntry::Report(request) => {
                    let data_state = self.params.data_state(request.data_state.as_deref());
                    data_state.and_then(|state| canonical(request, Granularity::All, state, around))
                }
                DashboardEntry::Misshapen(misshapen) => Err(ReadError::MalformedPart(misshapen.error.clone())),
            };
            let sought = match query {
                Ok(query) => Ok(ResolvedQuery::new(report::MODEL, &self.principal, query)?),
                Err(refusal) => Err(refused(name, refusal)?),
            };
            reports.insert(name.clone(), sought);
        }
        Ok((DashboardQuery(reports), None))
    }

    async fn probe(
        &self,
        settled: &mut ConsistentSnapshot,
        query: &DashboardQuery,
    ) -> Result<Option<VersionProbe<Self::Prepared>>, ReadError> {
        let snapshot = &mut settled.snapshot;
        let mut shared = SnapshotLookups::load(snapshot).await?;
        let (mut grounds, mut is_refused_now) = (BTreeMap::new(), false);
        for (name, sought) in &query.0 {
            let ground = match sought {
                Ok(sought) => match prepare(snapshot, &mut shared, &sought.query).await {
                    Ok(ground) => Ok(ground),
                    Err(refusal) => {
                        is_refused_now = true;
                        Err(refused(name, refusal)?)
                    }
                },
                Err(problem) => Err(problem.clone()),
            };
            grounds.insert(name.clone(), ground);
        }
        let each = || grounds.values().filter_map(|ground| ground.as_ref().ok());
        let now = snapshot.now;
        let (nothing, everything) =
            (Version::new(Revision::default(), 0, None), Version::new(snapshot.revision, snapshot.applied, Some(now)));
        // What is refused as it was sent is refused for ever. What is refused as things stand may be answered as soon as anything
        // happens, and there is nothing to tell by.
        let least = if is_refused_now { everything } else { nothing };
        let version = each().map(|ground| ground.version).fold(least, Version::max);
        let until = each().filter_map(|ground| ground.until).min();
        let state = each().map(|ground| ground.freshness(now).state).min();
        let complete_through = each().map(ReportContext::complete_through).min().flatten();
        Ok(Some(VersionProbe {
            epoch: snapshot.epoch,
            version,
            lasting: if is_refused_now { Validity::Unknown } else { Validity::Until(until) },
            numbers: state.map(|state| (state, complete_through)),
            ground: grounds,
        }))
    }

    async fn render(
        &self,
        snapshot: &mut Snapshot,
        sought: &ResolvedQuery<DashboardQuery>,
        survey: VersionProbe<Self::Prepared>,
    ) -> Result<Rendered, ReadError> {
        let mut data: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
        for (name, ground) in survey.ground {
            let Some((name, report)) = sought.query.0.get_key_value(&name) else { continue };
            let tile = match (ground, report) {
                (Ok(ground), Ok(report)) => match render(&ground, snapshot, report).await {
                    Ok((body, _)) => raw(body)?,
                    Err(refusal) => refused(name, refusal)?,
                },
                (Err(problem), _) => problem,
                (Ok(_), Err(problem)) => problem.clone(),
            };
            data.insert(name, tile);
        }
        // Each report repeats its own query.
        let names: Vec<_> = sought.query.0.keys().collect();
        let echo = to_raw_value(&serde_json::json!({ "reports": names })).map_err(ReadError::corrupt)?;
        let meta = meta(Self::MODEL, (snapshot.epoch, snapshot.currency), survey.version, snapshot.time_zone, &echo);
        Rendered::new(&Envelope { data, page: None, meta }, None)
    }
}

/// What stands for a report that cannot be answered; what fails all of them is passed on.
fn refused(name: &str, refusal: ReadError) -> Result<Box<RawValue>, ReadError> {
    if !refusal.is_client_error() {
        return Err(refusal);
    }
    let problem = Problem::from(refusal).extension("report", name);
    to_raw_value(&serde_json::json!({ "problem": problem.to_json() })).map_err(ReadError::corrupt)
}

fn raw(body: Vec<u8>) -> Result<Box<RawValue>, ReadError> {
    let text = String::from_utf8(body).map_err(ReadError::corrupt)?;
    RawValue::from_string(text).map_err(ReadError::corrupt)
}
