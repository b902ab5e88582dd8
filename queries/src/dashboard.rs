//! Dashboards: many reports at one position, from one snapshot. A report without a result does not fail the others.

use std::collections::BTreeMap;
use std::fmt;

use domain::bucket::Granularity;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::access::Access;
use crate::database::defaults::QueryDefaults;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::parked::ResourceScope;
use crate::probe::{Probe, Validity};
use crate::report::query::{DataState, ReportQuery};
use crate::report::request::ReportRequest;
use crate::report::{self, ReportContext, ReportData, SnapshotLookups, prepare};
use crate::resolved::Resolved;
use crate::result::{ResultMeta, TypedResult};
use crate::version::Version;

/// The model that dashboards are read from, as answers name it.
pub const MODEL: &str = "dashboard";

/// The requested reports of a dashboard, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DashboardRequest {
    pub reports: BTreeMap<String, DashboardEntry>,
}

/// One requested report of a dashboard.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DashboardEntry {
    Report {
        request: Box<ReportRequest>,
        data_state: DataState,
    },
    /// It was refused before, with a text of the caller of this crate.
    Refused(Box<str>),
}

/// The canonical queries by name, or why there is none.
#[derive(Debug)]
pub struct DashboardQuery(pub BTreeMap<String, Result<Resolved<ReportQuery>, ReadError>>);

/// The result of one report of a dashboard, or why it has none.
pub type ReportResult = Result<Box<TypedResult<ReportData>>, ReadError>;

/// The context of each report, or why the report is refused at present. `None`: it has no query.
pub struct DashboardContexts(BTreeMap<String, Option<Result<ReportContext, ReadError>>>);

impl DashboardRequest {
    /// What its reports are about. A report without campaigns is about all.
    pub(crate) fn scope(&self) -> ResourceScope {
        let reports = self.reports.values().filter_map(|entry| match entry {
            DashboardEntry::Report { request, .. } => Some(request.named_campaigns()),
            DashboardEntry::Refused(_) => None,
        });
        let named: Vec<_> = reports.collect();
        let all = named.iter().any(Vec::is_empty);
        ResourceScope::numbers(named.into_iter().flatten().filter(|_| !all))
    }

    pub(crate) fn canonical(&self, access: Access, defaults: QueryDefaults) -> Result<DashboardQuery, ReadError> {
        let mut reports = BTreeMap::new();
        for (name, entry) in &self.reports {
            let canonical = match entry {
                DashboardEntry::Report { request, data_state } => {
                    report::canonical(request, Granularity::All, *data_state, defaults)
                }
                DashboardEntry::Refused(why) => Err(ReadError::Unreadable(why.clone())),
            };
            let resolved = match canonical {
                Ok((query, paging)) => Ok(Resolved::new(report::MODEL, access, query, Some(paging))?),
                Err(error) => Err(error.of_one_report()?),
            };
            reports.insert(name.clone(), resolved);
        }
        Ok(DashboardQuery(reports))
    }
}

impl Serialize for DashboardQuery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut reports = serializer.serialize_map(Some(self.0.len()))?;
        for (name, resolved) in &self.0 {
            match resolved {
                Ok(resolved) => {
                    let page = resolved.paging.as_ref().map(|paging| (paging.limit, paging.cursor.as_deref()));
                    reports.serialize_entry(name, &(&resolved.query, page))?;
                }
                Err(error) => reports.serialize_entry(name, &error.to_string())?,
            }
        }
        reports.end()
    }
}

impl ReadError {
    /// The error of one report, if its query is at fault. Any other error fails the dashboard.
    fn of_one_report(self) -> Result<Self, Self> {
        if self.is_client_error() { Ok(self) } else { Err(self) }
    }
}

impl fmt::Debug for DashboardContexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

pub(crate) async fn probe(
    snapshot: &mut Snapshot,
    query: &DashboardQuery,
) -> Result<Probe<DashboardContexts>, ReadError> {
    let mut shared = SnapshotLookups::load(snapshot).await?;
    let (mut contexts, mut is_refused_now) = (BTreeMap::new(), false);
    for (name, resolved) in &query.0 {
        let context = match resolved {
            Ok(resolved) => match prepare(snapshot, &mut shared, &resolved.query).await {
                Ok(context) => Some(Ok(context)),
                Err(error) => {
                    is_refused_now = true;
                    Some(Err(error.of_one_report()?))
                }
            },
            Err(_) => None,
        };
        contexts.insert(name.clone(), context);
    }
    let each = || contexts.values().flatten().filter_map(|context| context.as_ref().ok());
    let now = snapshot.now;
    let (nothing, everything) = (Version::of_clock(None), snapshot.version(snapshot.applied, Some(now)).await?);
    // An invalid query is refused in every state. A query that is refused at present may have a result after any
    // change, and no mark shows that change.
    let least = if is_refused_now { everything } else { nothing };
    let version = each().map(|context| context.version).fold(least, Version::max);
    let until = each().filter_map(|context| context.until).min();
    let state = each().map(|context| context.freshness(now).state).min();
    let complete_through = each().map(ReportContext::complete_through).min().flatten();
    Ok(Probe {
        epoch: snapshot.epoch,
        version,
        validity: if is_refused_now { Validity::AlwaysProbe } else { Validity::Until(until) },
        numbers: state.map(|state| (state, complete_through)),
        prepared: DashboardContexts(contexts),
    })
}

pub(crate) async fn load(
    snapshot: &mut Snapshot,
    query: &DashboardQuery,
    version: Version,
    contexts: DashboardContexts,
) -> Result<TypedResult<BTreeMap<String, ReportResult>>, ReadError> {
    let mut reports = BTreeMap::new();
    for (name, context) in contexts.0 {
        let (Some(Ok(resolved)), Some(context)) = (query.0.get(&name), context) else { continue };
        let result = match context {
            Ok(context) => {
                let page = resolved.page(snapshot.epoch, context.version)?;
                match report::load(&context, snapshot, &resolved.query, page).await {
                    Ok(result) => Ok(Box::new(result)),
                    Err(error) => Err(error.of_one_report()?),
                }
            }
            Err(error) => Err(error),
        };
        reports.insert(name, result);
    }
    let meta = ResultMeta::of_snapshot(snapshot, MODEL, version, Vec::new());
    Ok(TypedResult::whole(meta, reports))
}
