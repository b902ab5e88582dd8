//! Every event type that a log can hold: its stream, its current version, and the way there from the older ones.
//!
//! An event type's version is an integer, raised when the shape of the payload changes. What is in a log is never
//! rewritten; whoever reads it goes through [`Event::decode`](super::Event::decode) or [`upcast`](super::upcast), which
//! take a payload from the version that it was written in to the current one.

use serde_json::Value;

use super::upcasters;
use crate::{campaign, observation, source, statement, sync, workspace};

/// One step from the shape of a version to that of the next. It must not fail: what it does not understand it leaves, and
/// the decoder then says what is wrong.
pub type Upcaster = fn(Value) -> Value;

/// A type of event.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// Its name, as it is stored. No two streams have events of the same name.
    pub name: &'static str,
    /// The type of the streams that hold it.
    pub stream_type: &'static str,
    /// The first makes version 2 of version 1, the second 3 of 2, the last the current one.
    pub upcasters: &'static [Upcaster],
}

macro_rules! event_types {
    ($($constant:ident = $name:literal of $stream:ident $(, upcasters $upcasters:expr)?;)+) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $constant: EventType =
                EventType { name: $name, stream_type: $stream::STREAM_TYPE, upcasters: &event_types!(@ $($upcasters)?) };
        )+

        impl EventType {
            /// All of them.
            pub const ALL: &'static [Self] = &[$($constant),+];
        }
    };
    (@) => { [] };
    (@ $upcasters:expr) => { $upcasters };
}

event_types! {
    WORKSPACE_OPENED = "WorkspaceOpened" of workspace;
    CAMPAIGN_CREATED = "CampaignCreated" of campaign, upcasters [upcasters::budget_v1_to_v2];
    CAMPAIGN_RENAMED = "CampaignRenamed" of campaign;
    CAMPAIGN_RESCHEDULED = "CampaignRescheduled" of campaign;
    CAMPAIGN_TIME_ZONE_CHANGED = "CampaignTimeZoneChanged" of campaign;
    CAMPAIGN_CURRENCY_CHANGED = "CampaignCurrencyChanged" of campaign;
    CAMPAIGN_CHANNELS_SET = "CampaignChannelsSet" of campaign;
    CAMPAIGN_BUDGET_SET = "CampaignBudgetSet" of campaign, upcasters [upcasters::budget_v1_to_v2];
    CAMPAIGN_EXTERNAL_IDS_SET = "CampaignExternalIdsSet" of campaign;
    CAMPAIGN_ATTRIBUTES_SET = "CampaignAttributesSet" of campaign;
    CAMPAIGN_LAUNCHED = "CampaignLaunched" of campaign;
    CAMPAIGN_PAUSED = "CampaignPaused" of campaign;
    CAMPAIGN_RESUMED = "CampaignResumed" of campaign;
    CAMPAIGN_COMPLETED = "CampaignCompleted" of campaign;
    CAMPAIGN_ARCHIVED = "CampaignArchived" of campaign;
    SOURCE_REGISTERED = "SourceRegistered" of source;
    OBSERVATIONS_RECORDED = "ObservationsRecorded" of observation;
    STATEMENTS_RECORDED = "StatementsRecorded" of statement;
    SYNC_STARTED = "SyncStarted" of sync;
    SYNC_COMPLETED = "SyncCompleted" of sync;
    SYNC_FAILED = "SyncFailed" of sync;
}

impl EventType {
    /// The type of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|known| known.name == name)
    }

    /// The version that is written today.
    pub const fn version(&self) -> usize {
        self.upcasters.len() + 1
    }
}
