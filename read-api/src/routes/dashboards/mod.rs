//! A whole dashboard: many reports, all answered at one position from one snapshot; by POST, and by a GET that caches can keep.

mod request; // the reports, each as it was sent

use std::collections::BTreeMap;

use axum::response::Response;
use domain::bucket::Granularity;
use http_edge::json::{self, ApiEnvelope};
use http_edge::problem::Problem;
use http_edge::query::ApiQuery;
use platform::keys::Principal;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use self::request::{DashboardRequest, Member, Reports};
use super::cacheable::{CacheableParams, Pinned, PostedParams, Sent};
use crate::answer::Envelope;
use crate::consistency::Settled;
use crate::parked::About;
use crate::problems::DashboardProblems;
use crate::refusal::Refusal;
use crate::report::query::{Paging, ReportQuery};
use crate::report::request::ReportRequest;
use crate::report::{self, Ground, ReportBody, Shared, canonical, survey, written};
use crate::serve::{Around, Caller, Lasting, Resource, Sought, Survey, Told, meta};
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

impl Pinned<DashboardQuery> for DashboardRequest {
    /// Each report has its own limit.
    fn is_limited(&self) -> bool {
        false
    }

    /// Its reports have cursors of their own.
    fn pinned(&self, query: &DashboardQuery, _: Option<String>) -> Self {
        let each = self.reports.0.iter().map(|(name, member)| {
            let member = match (query.0.get(name), member) {
                (Some(Ok(sought)), Member::Report(report)) => {
                    Member::Report(Box::new(report.pinned(&sought.query, None)))
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
    caller: Caller,
    ApiQuery(params): ApiQuery<PostedParams>,
    ApiEnvelope(request): ApiEnvelope<DashboardRequest>,
) -> Result<Response, Refusal> {
    let dashboard = Dashboard::new(&caller, Sent::by_post(params, request))?;
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
pub(crate) async fn get(caller: Caller, ApiQuery(params): ApiQuery<CacheableParams>) -> Result<Response, Refusal> {
    let dashboard = Dashboard::new(&caller, Sent::by_get(params, |text| json::parse_envelope(text))?)?;
    caller.answer(dashboard).await
}

/// A dashboard that is asked for.
struct Dashboard {
    principal: Principal,
    params: Sent<DashboardRequest>,
}

impl Dashboard {
    fn new(caller: &Caller, params: Sent<DashboardRequest>) -> Result<Self, Refusal> {
        params.request.check()?;
        // What the address says holds for all of them.
        params.data_state(None)?;
        Ok(Self { principal: caller.principal, params })
    }
}

/// The canonical queries by name, or why there is none.
pub(crate) struct DashboardQuery(BTreeMap<String, Result<Sought<ReportQuery>, Box<RawValue>>>);

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
    type Params = Sent<DashboardRequest>;
    type Query = DashboardQuery;
    type Ground = BTreeMap<String, Result<Ground, Box<RawValue>>>;

    fn params(&self) -> &Sent<DashboardRequest> {
        &self.params
    }

    fn about(&self) -> About {
        let named: Vec<_> = self
            .params
            .request
            .reports
            .0
            .values()
            .filter_map(Member::report)
            .map(ReportRequest::named_campaigns)
            .collect();
        // One report of all campaigns is about all.
        let all = named.iter().any(Vec::is_empty);
        About::numbers(named.into_iter().flatten().filter(|_| !all))
    }

    fn query(&self, around: Around) -> Result<(DashboardQuery, Option<Paging>), Refusal> {
        let mut reports = BTreeMap::new();
        for (name, member) in &self.params.request.reports.0 {
            let query = match member {
                Member::Report(request) => {
                    let data_state = self.params.data_state(request.data_state.as_deref());
                    data_state.and_then(|state| canonical(request, Granularity::All, state, around))
                }
                Member::Misshapen(misshapen) => Err(Refusal::Misshapen(misshapen.error.clone())),
            };
            let sought = match query {
                Ok(query) => Ok(Sought::new(report::MODEL, &self.principal, query)?),
                Err(refusal) => Err(refused(name, refusal)?),
            };
            reports.insert(name.clone(), sought);
        }
        Ok((DashboardQuery(reports), None))
    }

    async fn survey(
        &self,
        settled: &mut Settled,
        query: &DashboardQuery,
    ) -> Result<Option<Survey<Self::Ground>>, Refusal> {
        let snapshot = &mut settled.snapshot;
        let mut shared = Shared::load(snapshot).await?;
        let (mut grounds, mut is_refused_now) = (BTreeMap::new(), false);
        for (name, sought) in &query.0 {
            let ground = match sought {
                Ok(sought) => match survey(snapshot, &mut shared, &sought.query).await {
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
        let version = each().map(|ground| ground.version).fold(least, Version::and);
        let until = each().filter_map(|ground| ground.until).min();
        let state = each().map(|ground| ground.freshness(now).state).min();
        let complete_through = each().map(Ground::complete_through).min().flatten();
        Ok(Some(Survey {
            epoch: snapshot.epoch,
            version,
            lasting: if is_refused_now { Lasting::Unknown } else { Lasting::Until(until) },
            numbers: state.map(|state| (state, complete_through)),
            ground: grounds,
        }))
    }

    async fn result(
        &self,
        snapshot: &mut Snapshot,
        sought: &Sought<DashboardQuery>,
        survey: Survey<Self::Ground>,
    ) -> Result<Told, Refusal> {
        let mut data: BTreeMap<&str, Box<RawValue>> = BTreeMap::new();
        for (name, ground) in survey.ground {
            let Some((name, report)) = sought.query.0.get_key_value(&name) else { continue };
            let tile = match (ground, report) {
                (Ok(ground), Ok(report)) => match written(&ground, snapshot, report).await {
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
        let echo = to_raw_value(&serde_json::json!({ "reports": names })).map_err(Refusal::corrupt)?;
        let meta = meta(Self::MODEL, (snapshot.epoch, snapshot.currency), survey.version, snapshot.time_zone, &echo);
        Told::new(&Envelope { data, page: None, meta }, None)
    }
}

/// What stands for a report that cannot be answered; what fails all of them is passed on.
fn refused(name: &str, refusal: Refusal) -> Result<Box<RawValue>, Refusal> {
    if !refusal.is_of_the_query() {
        return Err(refusal);
    }
    let problem = Problem::from(refusal).extension("report", name);
    to_raw_value(&serde_json::json!({ "problem": problem.to_json() })).map_err(Refusal::corrupt)
}

fn raw(body: Vec<u8>) -> Result<Box<RawValue>, Refusal> {
    let text = String::from_utf8(body).map_err(Refusal::corrupt)?;
    RawValue::from_string(text).map_err(Refusal::corrupt)
}
