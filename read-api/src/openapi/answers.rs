//! The schemas of answers: each names the data that its envelope holds.

use std::collections::BTreeMap;

use queries::activity::ActivityEntry;
use queries::campaign::Campaign;
use queries::corrections::Correction;
use queries::pacing::{CampaignPacing, PacingBody};
use queries::workspace::WorkspaceBody;
use utoipa::ToSchema;

use crate::json::{Meta, Page, Tile};

/// Declares the schema of an envelope with this data; `in pages`, of one page of a list.
macro_rules! answers {
    ($($(#[$about:meta])+ $name:ident = $data:ty $(, in $pages:ident)?;)+) => {$(
        $(#[$about])+
        #[derive(ToSchema)]
        #[expect(dead_code, reason = "describes a body, which `json::Envelope` writes")]
        pub(crate) struct $name {
            data: $data,
            $(#[doc = concat!("The position among the ", stringify!($pages), ".")] page: Page<'static>,)?
            meta: Meta<'static>,
        }
    )+};
}

answers! {
    /// A campaign.
    CampaignAnswer = Campaign;
    /// What was done to a campaign, newest first.
    ActivityAnswer = Vec<ActivityEntry>, in pages;
    /// The corrections of a campaign's numbers.
    CorrectionsAnswer = Vec<Correction>, in pages;
    /// The pacing of a campaign.
    PacingAnswer = PacingBody;
    /// The pacing of campaigns.
    PacingListAnswer = Vec<CampaignPacing>, in pages;
    /// The reports of a dashboard by name.
    DashboardAnswer = BTreeMap<String, Tile<'static>>;
    /// The workspace.
    WorkspaceAnswer = WorkspaceBody;
}
