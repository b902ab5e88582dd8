//! Queries in their two forms: as they were asked, which is the key of a live view, and resolved at a time zone and an instant,
//! which is the key of a result.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use domain::zone::Zone;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::access::Access;
use crate::activity::ActivityRequest;
use crate::campaign::CampaignQuery;
use crate::campaigns::{CampaignsQuery, CampaignsRequest};
use crate::corrections::{CorrectionsQuery, CorrectionsRequest};
use crate::cursor::{PageRequest, Paging};
use crate::dashboard::{DashboardQuery, DashboardRequest};
use crate::error::ReadError;
use crate::leaderboard::{LeaderboardQuery, LeaderboardRequest};
use crate::parked::ResourceScope;
use crate::report::query::ReportQuery;
use crate::report::{self, Report};
use crate::version::Version;
use crate::{activity, campaign, corrections, dashboard, leaderboard, pacing};

/// A query as it was asked: dates may be left open, and what was left out is decided by the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Query {
    Campaigns(CampaignsRequest),
    Campaign { id: Uuid },
    Activity(ActivityRequest),
    Corrections(CorrectionsRequest),
    Pacing { id: Uuid },
    Report(Box<Report>),
    Dashboard(DashboardRequest),
    Leaderboard(LeaderboardRequest),
}

/// What decides where a query says nothing.
#[derive(Debug, Clone, Copy)]
pub struct QueryDefaults {
    pub time_zone: Zone,
    pub now: DateTime<Utc>,
}

/// A query in its canonical form: two that mean the same are the same.
#[derive(Debug)]
pub enum CanonicalQuery {
    Campaigns(CampaignsQuery),
    Campaign(CampaignQuery),
    Activity(CampaignQuery),
    Corrections(CorrectionsQuery),
    Pacing(CampaignQuery),
    /// `campaign`: the one that it is of, which must be there.
    Report {
        query: ReportQuery,
        campaign: Option<Uuid>,
    },
    Dashboard(DashboardQuery),
    Leaderboard(LeaderboardQuery),
}

/// A canonical query, the page of it that is wanted, and its hash.
#[derive(Debug)]
pub struct ResolvedQuery {
    pub query: CanonicalQuery,
    pub paging: Option<Paging>,
    hash: QueryHash,
}

/// The hash of a canonical query, which begins with the access, so that nothing made for one caller fits another.
#[derive(Debug, Clone)]
pub(crate) struct QueryHash {
    /// Its beginning, which stands for the query in cursors and result ids.
    pub(crate) short: String,
    /// The whole, where two queries must not meet by chance.
    pub(crate) digest: [u8; 32],
}

/// The id of a result: the same as long as the result is, whatever process made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultId {
    model: &'static str,
    epoch: i32,
    version: Version,
    /// Of the query, and of the page where there are pages.
    hash: String,
}

impl Query {
    /// The model that it is read from, as answers name it.
    pub fn model(&self) -> &'static str {
        match self {
            Self::Campaigns(_) | Self::Campaign { .. } => campaign::MODEL,
            Self::Activity(_) => activity::MODEL,
            Self::Corrections(_) => corrections::MODEL,
            Self::Pacing { .. } => pacing::MODEL,
            Self::Report(_) => report::MODEL,
            Self::Dashboard(_) => dashboard::MODEL,
            Self::Leaderboard(_) => leaderboard::MODEL,
        }
    }

    /// Whether a caller may wait until the projection has come far enough. A refresh of the leaderboard is not waited for.
    pub fn may_wait(&self) -> bool {
        !matches!(self, Self::Leaderboard(_))
    }

    /// What the result is about, as far as that is known before anything is read.
    pub fn scope(&self) -> ResourceScope {
        match self {
            Self::Campaigns(_) => ResourceScope::campaigns([]),
            Self::Campaign { id } => ResourceScope::campaigns([*id]),
            Self::Activity(ActivityRequest { id, .. })
            | Self::Corrections(CorrectionsRequest { id, .. })
            | Self::Pacing { id } => ResourceScope::numbers([*id]),
            Self::Report(report) => ResourceScope::numbers(report.request.named_campaigns()),
            Self::Dashboard(dashboard) => dashboard.scope(),
            Self::Leaderboard(_) => ResourceScope::numbers([]),
        }
    }

    /// The canonical query of a caller, and which page of it.
    pub fn resolve(&self, access: Access, defaults: QueryDefaults) -> Result<ResolvedQuery, ReadError> {
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
            Self::Report(report) => {
                let (query, paging) = report.canonical(defaults)?;
                (CanonicalQuery::Report { query, campaign: report.campaign }, Some(paging))
            }
            Self::Dashboard(request) => (CanonicalQuery::Dashboard(request.canonical(access, defaults)?), None),
            Self::Leaderboard(request) => {
                let (query, paging) = request.canonical()?;
                (CanonicalQuery::Leaderboard(query), Some(paging))
            }
        };
        ResolvedQuery::new(self.model(), access, query, paging)
    }
}

impl CanonicalQuery {
    /// The local days that it is about, if it names any.
    pub fn dates(&self) -> Option<(NaiveDate, NaiveDate)> {
        match self {
            Self::Corrections(query) => Some((query.date_from, query.date_to)),
            Self::Report { query, .. } => Some((query.date_from, query.date_to)),
            _ => None,
        }
    }
}

impl Serialize for CanonicalQuery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Campaigns(query) => query.serialize(serializer),
            Self::Campaign(query) | Self::Activity(query) | Self::Pacing(query) => query.serialize(serializer),
            Self::Corrections(query) => query.serialize(serializer),
            Self::Report { query, .. } => query.serialize(serializer),
            Self::Dashboard(query) => query.serialize(serializer),
            Self::Leaderboard(query) => query.serialize(serializer),
        }
    }
}

impl ResolvedQuery {
    pub(crate) fn new(
        model: &str,
        access: Access,
        query: CanonicalQuery,
        paging: Option<Paging>,
    ) -> Result<Self, ReadError> {
        let hash = QueryHash::new(model, access, &query)?;
        Ok(Self { query, paging, hash })
    }

    /// Which page of this epoch is wanted, of what has pages.
    pub(crate) fn page(&self, epoch: i32) -> Result<PageRequest<'_>, ReadError> {
        let Paging { limit, cursor } = self.paging.as_ref().ok_or_else(|| ReadError::corrupt("it has no pages"))?;
        Ok(PageRequest { limit: *limit, cursor: cursor.as_deref(), hash: &self.hash.short, epoch })
    }

    pub(crate) fn hash(&self) -> &QueryHash {
        &self.hash
    }

    /// The id of its result of this version.
    pub(crate) fn result_id(&self, model: &'static str, epoch: i32, version: Version) -> ResultId {
        let hash = match &self.paging {
            None => self.hash.short.clone(),
            Some(paging) => self.hash.of_page(paging.limit, paging.cursor.as_deref()),
        };
        ResultId { model, epoch, version, hash }
    }
}

impl QueryHash {
    pub(crate) fn new(model: &str, access: Access, query: &impl Serialize) -> Result<Self, ReadError> {
        let text = serde_json::to_vec(&(access, model, query)).map_err(ReadError::corrupt)?;
        let digest = Sha256::digest(&text).into();
        Ok(Self { short: shortened(&digest), digest })
    }

    /// The hash of one page of it.
    fn of_page(&self, limit: usize, cursor: Option<&str>) -> String {
        let text = format!("{}\n{limit}\n{}", self.short, cursor.unwrap_or_default());
        shortened(&Sha256::digest(text.as_bytes()).into())
    }
}

fn shortened(digest: &[u8; 32]) -> String {
    hex::encode(&digest[..8])
}

impl fmt::Display for ResultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.model, self.epoch, self.version, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{RowFilter, Visibility};

    #[test]
    fn hash_begins_with_the_access() {
        let access = |workspace| Access { workspace, rows: RowFilter::Unrestricted, shown: Visibility::Full };
        let hash = |workspace, query: &str| QueryHash::new("model", access(workspace), &query).unwrap();
        let ours = hash(1, "q");
        assert_eq!(ours.short.len(), 16);
        assert_eq!(ours.digest, hash(1, "q").digest);
        assert_ne!(ours.short, hash(2, "q").short);
        assert_ne!(ours.short, hash(1, "r").short);
        assert_ne!(ours.of_page(10, None), ours.of_page(11, None));
        assert_ne!(ours.of_page(10, None), ours.of_page(10, Some("c")));
    }
}
