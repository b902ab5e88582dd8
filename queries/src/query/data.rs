//! The data of results, by the kind of the query.

use std::collections::BTreeMap;

use crate::activity::ActivityEntry;
use crate::campaign::Campaign;
use crate::corrections::Correction;
use crate::dashboard::ReportResult;
use crate::error::ReadError;
use crate::leaderboard::Leaderboard;
use crate::pacing::{CampaignPacing, PacingBody};
use crate::report::ReportData;
use crate::result::TypedResult;
use crate::workspace::WorkspaceBody;

/// The result of a query.
pub type QueryResult = TypedResult<Data>;

/// The data of a result, typed.
#[derive(Debug)]
pub enum Data {
    Campaigns(Vec<Campaign>),
    Campaign(Box<Campaign>),
    Activity(Vec<ActivityEntry>),
    Corrections(Vec<Correction>),
    Pacing(Box<PacingBody>),
    PacingList(Vec<CampaignPacing>),
    Report(Box<ReportData>),
    Dashboard(BTreeMap<String, ReportResult>),
    Leaderboard(Leaderboard),
    Workspace(WorkspaceBody),
}

impl Data {
    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Campaigns(campaigns) => campaigns.iter().map(Campaign::weight).sum(),
            Self::Campaign(campaign) => campaign.weight(),
            Self::Activity(entries) => entries.iter().map(ActivityEntry::weight).sum(),
            Self::Corrections(corrections) => corrections.iter().map(Correction::weight).sum(),
            Self::Pacing(_) => size_of::<PacingBody>(),
            Self::PacingList(campaigns) => campaigns.iter().map(CampaignPacing::weight).sum(),
            Self::Report(report) => report.weight(),
            Self::Dashboard(reports) => {
                let each = |(name, report): (&String, &ReportResult)| {
                    let weight = |report: &TypedResult<_>| report.weight(ReportData::weight);
                    name.len() + report.as_deref().map_or(size_of::<ReadError>(), weight)
                };
                reports.iter().map(each).sum()
            }
            Self::Leaderboard(leaderboard) => leaderboard.weight(),
            Self::Workspace(workspace) => workspace.weight(),
        }
    }
}
