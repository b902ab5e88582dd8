//! Every event type that a log can hold: its stream, its current version, and the upcasters from older versions.
//!
//! An event type's version is an integer, raised when the shape of the payload changes. The events in a log are never
//! rewritten. All readers use [`Event::decode`](crate::event::Event::decode) or [`upcast`](crate::event::upcast), which
//! convert a payload from its stored version to the current one. The modules of the streams take their types from here,
//! so this one depends on none of them.

mod upcasters;

use serde_json::Value;

/// The stream type of campaign events.
pub const CAMPAIGN_STREAM: &str = "campaign";

/// The stream type of source events.
pub const SOURCE_STREAM: &str = "source";

/// The stream type of observation events: one stream per source.
pub const OBSERVATION_STREAM: &str = "observations";

/// The stream type of statement events: one stream per source.
pub const STATEMENT_STREAM: &str = "statements";

/// The stream type of sync events: one stream per source.
pub const SYNC_STREAM: &str = "syncs";

/// The stream type of workspace events.
pub const WORKSPACE_STREAM: &str = "workspace";

/// One step from the shape of a version to that of the next.
#[derive(Debug, Clone, Copy)]
pub enum Upcaster {
    /// What was added can be left out, and older payloads do: they are read as they are.
    Unchanged,
    /// The payload is written anew. It must not fail: what it does not understand it leaves, and the decoder then says
    /// what is wrong.
    Rewrite(fn(Value) -> Value),
}

/// A type of event.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// Its name, as it is stored. No two streams have events of the same name.
    pub name: &'static str,
    /// The type of the streams that hold it.
    pub stream_type: &'static str,
    /// The upcasters. The first converts version 1 to 2, the second 2 to 3, the last to the current one.
    pub upcasters: &'static [Upcaster],
}

macro_rules! event_types {
    ($($constant:ident = $name:literal of $stream:ident $(, upcasters $upcasters:expr)?;)+) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $constant: EventType =
                EventType { name: $name, stream_type: $stream, upcasters: &event_types!(@ $($upcasters)?) };
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
    WORKSPACE_OPENED = "WorkspaceOpened" of WORKSPACE_STREAM;
    WORKSPACE_CALENDAR_SET = "WorkspaceCalendarSet" of WORKSPACE_STREAM;
    WORKSPACE_MONEY_LIMIT_SET = "WorkspaceMoneyLimitSet" of WORKSPACE_STREAM;
    CAMPAIGN_CREATED = "CampaignCreated" of CAMPAIGN_STREAM,
        upcasters [Upcaster::Rewrite(upcasters::budget_v1_to_v2), Upcaster::Unchanged];
    CAMPAIGN_RENAMED = "CampaignRenamed" of CAMPAIGN_STREAM;
    CAMPAIGN_RESCHEDULED = "CampaignRescheduled" of CAMPAIGN_STREAM;
    CAMPAIGN_TIME_ZONE_CHANGED = "CampaignTimeZoneChanged" of CAMPAIGN_STREAM;
    CAMPAIGN_CURRENCY_CHANGED = "CampaignCurrencyChanged" of CAMPAIGN_STREAM;
    CAMPAIGN_CHANNELS_SET = "CampaignChannelsSet" of CAMPAIGN_STREAM;
    CAMPAIGN_BUDGET_SET = "CampaignBudgetSet" of CAMPAIGN_STREAM,
        upcasters [Upcaster::Rewrite(upcasters::budget_v1_to_v2)];
    CAMPAIGN_EXTERNAL_IDS_SET = "CampaignExternalIdsSet" of CAMPAIGN_STREAM;
    CAMPAIGN_ATTRIBUTES_SET = "CampaignAttributesSet" of CAMPAIGN_STREAM;
    CAMPAIGN_LAUNCHED = "CampaignLaunched" of CAMPAIGN_STREAM;
    CAMPAIGN_PAUSED = "CampaignPaused" of CAMPAIGN_STREAM;
    CAMPAIGN_RESUMED = "CampaignResumed" of CAMPAIGN_STREAM;
    CAMPAIGN_COMPLETED = "CampaignCompleted" of CAMPAIGN_STREAM;
    CAMPAIGN_ARCHIVED = "CampaignArchived" of CAMPAIGN_STREAM;
    CAMPAIGN_UNARCHIVED = "CampaignUnarchived" of CAMPAIGN_STREAM;
    SOURCE_REGISTERED = "SourceRegistered" of SOURCE_STREAM,
        upcasters [
            Upcaster::Rewrite(upcasters::horizon_v1_to_v2), Upcaster::Unchanged, Upcaster::Unchanged,
            Upcaster::Unchanged
        ];
    SOURCE_CHANGED = "SourceChanged" of SOURCE_STREAM,
        upcasters [Upcaster::Unchanged, Upcaster::Unchanged, Upcaster::Unchanged];
    SOURCE_ENDED = "SourceEnded" of SOURCE_STREAM;
    SOURCE_RESUMED = "SourceResumed" of SOURCE_STREAM;
    OBSERVATIONS_RECORDED = "ObservationsRecorded" of OBSERVATION_STREAM,
        upcasters [Upcaster::Unchanged, Upcaster::Unchanged];
    STATEMENTS_RECORDED = "StatementsRecorded" of STATEMENT_STREAM,
        upcasters [Upcaster::Unchanged, Upcaster::Unchanged];
    SYNC_STARTED = "SyncStarted" of SYNC_STREAM;
    SYNC_COMPLETED = "SyncCompleted" of SYNC_STREAM, upcasters [Upcaster::Rewrite(upcasters::completed_v1_to_v2)];
    SYNC_REOPENED = "SyncReopened" of SYNC_STREAM;
    SYNC_FAILED = "SyncFailed" of SYNC_STREAM;
}

impl EventType {
    /// The type of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|known| known.name == name)
    }

    /// The current version, in which events are written.
    pub const fn version(&self) -> usize {
        self.upcasters.len() + 1
    }
}
