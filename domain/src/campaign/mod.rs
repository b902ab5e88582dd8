//! The campaign aggregate.

mod event;

pub use event::{CampaignEvent, ExternalId};

/// The stream type of campaign events.
pub const STREAM_TYPE: &str = "campaign";
