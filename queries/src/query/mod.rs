//! Queries in two forms: as requested, with open dates, and canonical, resolved at a time zone and an instant. The hash
//! of the canonical form is the key of a result.

mod data; // the data of its result
mod steps; // its probe, and the computation of its result

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::access::Access;
use crate::activity::ActivityRequest;
use crate::campaign::CampaignQuery;
use crate::campaigns::{CampaignsQuery, CampaignsRequest};
use crate::corrections::{CorrectionsQuery, CorrectionsRequest};
use crate::dashboard::{DashboardQuery, DashboardRequest};
use crate::database::defaults::QueryDefaults;
use crate::error::ReadError;
use crate::leaderboard::{LeaderboardQuery, LeaderboardRequest};
use crate::pacing::{PacingListQuery, PacingListRequest};
use crate::parked::ResourceScope;
use crate::report::query::ReportQuery;
use crate::report::{self, Report};
use crate::resolved::Resolved;
use crate::workspace::WorkspaceQuery;
use crate::{activity, campaign, corrections, dashboard, leaderboard, pacing, workspace};

pub use data::{Data, QueryResult};
pub(crate) use steps::{Prepared, load, probe};

/// A query as it was requested. Dates may be open, and the workspace decides on defaults.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Query {
    Campaigns(CampaignsRequest),
    Campaign { id: Uuid },
    Activity(ActivityRequest),
    Corrections(CorrectionsRequest),
    Pacing { id: Uuid },
    PacingList(PacingListRequest),
    Report(Box<Report>),
    Dashboard(DashboardRequest),
    Leaderboard(LeaderboardRequest),
    Workspace(WorkspaceQuery),
}

/// A query in its canonical form: two with the same meaning are equal.
#[derive(Debug)]
pub enum CanonicalQuery {
    Campaigns(CampaignsQuery),
    Campaign(CampaignQuery),
    Activity(CampaignQuery),
    Corrections(CorrectionsQuery),
    Pacing(CampaignQuery),
    PacingList(PacingListQuery),
    /// `campaign`: the one that it is about, which must exist.
    Report {
        query: ReportQuery,
        campaign: Option<Uuid>,
    },
    Dashboard(DashboardQuery),
    Leaderboard(LeaderboardQuery),
    Workspace(WorkspaceQuery),
}

/// A canonical query with its page and its hash.
pub type ResolvedQuery = Resolved<CanonicalQuery>;

impl Query {
    /// The model that it reads, as answers name it.
    pub fn model(&self) -> &'static str {
        match self {
            Self::Campaigns(_) | Self::Campaign { .. } => campaign::MODEL,
            Self::Activity(_) => activity::MODEL,
            Self::Corrections(_) => corrections::MODEL,
            Self::Pacing { .. } | Self::PacingList(_) => pacing::MODEL,
            Self::Report(_) => report::MODEL,
            Self::Dashboard(_) => dashboard::MODEL,
            Self::Leaderboard(_) => leaderboard::MODEL,
            Self::Workspace(_) => workspace::MODEL,
        }
    }

    /// Whether a caller may wait for the projection. Nobody waits for a refresh of the leaderboard.
    pub fn may_wait(&self) -> bool {
        !matches!(self, Self::Leaderboard(_))
    }

    /// What the result is about, as far as the request shows it.
    pub fn scope(&self) -> ResourceScope {
        match self {
            Self::Campaigns(_) | Self::Workspace(_) => ResourceScope::campaigns([]),
            Self::Campaign { id } => ResourceScope::campaigns([*id]),
            Self::Activity(ActivityRequest { id, .. })
            | Self::Corrections(CorrectionsRequest { id, .. })
            | Self::Pacing { id } => ResourceScope::numbers([*id]),
            Self::Report(report) => ResourceScope::numbers(report.request.named_campaigns()),
            Self::Dashboard(dashboard) => dashboard.scope(),
            Self::Leaderboard(_) | Self::PacingList(_) => ResourceScope::numbers([]),
        }
    }

    /// The canonical query of a caller, with the requested page.
    pub(crate) fn resolve(&self, access: Access, defaults: QueryDefaults) -> Result<ResolvedQuery, ReadError> {
        let (query, paging) = match self {
            Self::Campaigns(request) => {
                let (query, paging) = request.canonical()?;
                (CanonicalQuery::Campaigns(query), Some(paging))
            }
            Self::Campaign { id } => (CanonicalQuery::Campaign(CampaignQuery { campaign_id: *id }), None),
            Self::Activity(request) => {
                let (query, paging) = request.canonical()?;
                (CanonicalQuery::Activity(query), Some(paging))
            }
            Self::Corrections(request) => {
                let (query, paging) = request.canonical(defaults)?;
                (CanonicalQuery::Corrections(query), Some(paging))
            }
            Self::Pacing { id } => (CanonicalQuery::Pacing(CampaignQuery { campaign_id: *id }), None),
            Self::PacingList(request) => {
                let (query, paging) = request.canonical()?;
                (CanonicalQuery::PacingList(query), Some(paging))
            }
            Self::Report(report) => {
                let (query, paging) = report.canonical(defaults)?;
                (CanonicalQuery::Report { query, campaign: report.campaign }, Some(paging))
            }
            Self::Dashboard(request) => (CanonicalQuery::Dashboard(request.canonical(access, defaults)?), None),
            Self::Leaderboard(request) => {
                let (query, paging) = request.canonical()?;
                (CanonicalQuery::Leaderboard(query), Some(paging))
            }
            Self::Workspace(query) => (CanonicalQuery::Workspace(query.clone()), None),
        };
        ResolvedQuery::new(self.model(), access, query, paging)
    }
}

impl CanonicalQuery {
    /// Its local days, if it has any and they do not depend on the day on which it is asked.
    pub fn dates(&self) -> Option<(NaiveDate, NaiveDate)> {
        match self {
            Self::Corrections(query) => Some((query.date_from, query.date_to)),
            Self::Report { query, .. } => query.dates.as_given(),
            _ => None,
        }
    }

    /// Whether it means the same days at this instant.
    pub(crate) fn holds_at(&self, now: DateTime<Utc>) -> bool {
        match self {
            Self::Report { query, .. } => query.holds_at(now),
            Self::Dashboard(query) => query.0.values().flatten().all(|resolved| resolved.query.holds_at(now)),
            _ => true,
        }
    }
}

impl Serialize for CanonicalQuery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Campaigns(query) => query.serialize(serializer),
            Self::Campaign(query) | Self::Activity(query) | Self::Pacing(query) => query.serialize(serializer),
            Self::Corrections(query) => query.serialize(serializer),
            Self::PacingList(query) => query.serialize(serializer),
            Self::Report { query, .. } => query.serialize(serializer),
            Self::Dashboard(query) => query.serialize(serializer),
            Self::Leaderboard(query) => query.serialize(serializer),
            Self::Workspace(query) => query.serialize(serializer),
        }
    }
}
