//! A log to replay: one workspace, one push source, a hundred campaigns, and one day of observations in the order in
//! which they happened. The same in every run, but for the times of recording.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use domain::campaign::CampaignEvent;
use domain::catalogue::EventType;
use domain::catalogue::{OBSERVATIONS_RECORDED, WORKSPACE_OPENED};
use domain::ids::{CampaignId, SourceId, WorkspaceId};
use domain::money::Currency;
use domain::source::{Horizon, Horizons, IdScope, SourceDefinition, SourceEvent, SourceKind, SourceRole};
use domain::workspace::WorkspaceOpened;
use domain::zone::Zone;
use domain::{campaign, observation, source, workspace};
use event_store::{
    AppendRequest, Appender, AppenderConfig, ExpectedVersion, Metadata, NewEvent, Payload, open_workspace,
};
use platform::clock::{Clock, SystemClock};
use platform::database::{DatabaseRole, connect};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::load::Load;
use crate::server::Database;

const CAMPAIGNS: u32 = 100;
const SOURCE: SourceId = SourceId(Uuid::from_u128(0x5000));
const FIRST_MOMENT: &str = "2026-11-01T00:00:00Z";
/// Of one append.
const OBSERVATIONS_AT_ONCE: u32 = 5_000;

/// Fills the log of a new workspace, and says which.
pub(super) async fn fill(database: &Database, observations: u32, batch: u32) -> Result<i32> {
    let mut admin = database.admin.acquire().await?;
    let workspace = WorkspaceId(open_workspace(&mut admin, "replay", SystemClock.now()).await?);
    let pool = connect(&database.config, DatabaseRole::Command).await?;
    let (appender, writers) = Appender::start(pool.clone(), AppenderConfig::default(), CancellationToken::new());
    let log = Log { appender, workspace };
    log.begin().await?;

    let load = Load {
        source: SOURCE,
        currency: "EUR".parse()?,
        campaigns: (0..CAMPAIGNS).map(campaign).collect(),
        start: FIRST_MOMENT.parse()?,
        span: TimeDelta::days(1),
        in_span: observations,
    };
    let numbers: Vec<u32> = (0..observations).collect();
    let events_at_once = (OBSERVATIONS_AT_ONCE / batch).max(1) as usize;
    let batches: Vec<&[u32]> = numbers.chunks(batch as usize).collect();
    for some in batches.chunks(events_at_once) {
        let events = some
            .iter()
            .map(|batch| event(OBSERVATIONS_RECORDED, &load.batch(batch.iter().copied())))
            .collect::<Result<_>>()?;
        log.append(observation::STREAM_TYPE, SOURCE.stream(workspace), events).await?;
    }
    // The writers end when nobody can give them more.
    drop(log);
    writers.await?;
    pool.close().await;
    Ok(workspace.0)
}

struct Log {
    appender: Appender,
    workspace: WorkspaceId,
}

impl Log {
    /// What a workspace has before its first observation.
    async fn begin(&self) -> Result<()> {
        let (currency, at): (Currency, DateTime<Utc>) = ("EUR".parse()?, FIRST_MOMENT.parse()?);
        let opened = WorkspaceOpened { name: "replay".to_owned(), time_zone: Zone::UTC, currency };
        let stream = format!("{}/workspace", self.workspace);
        self.append(workspace::STREAM_TYPE, stream, vec![event(WORKSPACE_OPENED, &opened)?]).await?;
        let definition = SourceDefinition {
            name: "shop".to_owned(),
            channel: "paid_search".parse()?,
            kind: SourceKind::Push,
            role: SourceRole::Primary,
            measure_roles: BTreeMap::new(),
            measures: [].into(),
            platform: None,
            time_zone: Zone::UTC,
            currency,
            expected_delay_s: 300,
            horizons: Horizons::uniform(Horizon::Seconds(86_400)),
            complete_after_s: None,
            quiet_after_s: None,
            expected_from: None,
            observation_window_s: None,
            id_scope: IdScope::Day,
            unknown_campaigns: domain::source::UnknownCampaigns::Reject,
            dimensions: Vec::new(),
        };
        let registered = SourceEvent::SourceRegistered { source: SOURCE, definition, at };
        let events = vec![event(registered.kind(), &registered)?];
        self.append(source::STREAM_TYPE, SOURCE.stream(self.workspace), events).await?;
        for number in 0..CAMPAIGNS {
            let created = CampaignEvent::CampaignCreated {
                campaign: campaign(number),
                name: format!("Campaign {number}"),
                channels: vec!["paid_search".parse()?],
                currency,
                time_zone: Zone::UTC,
                starts_on: at.date_naive(),
                ends_on: None,
                budget: None,
                external_ids: Vec::new(),
                attributes: BTreeMap::new(),
                created_by_source: None,
                at,
            };
            let stream = campaign(number).stream(self.workspace);
            self.append(campaign::STREAM_TYPE, stream, vec![event(created.kind(), &created)?]).await?;
        }
        Ok(())
    }

    async fn append(&self, stream_type: &'static str, stream_id: String, events: Vec<NewEvent>) -> Result<()> {
        let request = AppendRequest {
            workspace: self.workspace.0,
            stream_type,
            stream_id,
            expected: ExpectedVersion::Any,
            events,
            metadata: Metadata::default(),
            claims: Vec::new(),
            item_preconditions: Vec::new(),
            receipt: None,
            recorded_at: SystemClock.now(),
        };
        self.appender.append(request).await?;
        Ok(())
    }
}

fn event(event_type: EventType, payload: &impl Serialize) -> Result<NewEvent> {
    Ok(NewEvent {
        event_type: event_type.name.to_owned(),
        event_version: event_type.version().to_string(),
        payload: Payload::Json(serde_json::to_string(payload)?),
    })
}

fn campaign(number: u32) -> CampaignId {
    CampaignId(Uuid::from_u128(0xca00 + u128::from(number)))
}
