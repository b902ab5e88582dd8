//! Pacing: whether campaigns spend their budgets as their days pass.

mod body; // the pacing of one campaign, as it is answered
mod campaign; // what it needs to know of a campaign, and what that comes to
mod daily_spend; // the spend of many campaigns by local day
pub(crate) mod list; // the pacing of all campaigns
mod plans; // how plans changed
mod query; // the report of spend by day
pub(crate) mod single; // the pacing of one campaign
mod spend; // what a campaign spent on each of its local days

pub use body::PacingBody;
pub use list::{CampaignPacing, PaceSort, PaceSortBy, PacingListInputs, PacingListQuery, PacingListRequest};
pub use single::PacingInputs;

/// The model that pacing is read from, as answers name it.
pub const MODEL: &str = "pacing";
