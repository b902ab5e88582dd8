//! Writes to a log without the APIs: many observations, as fast as possible, and undecodable events.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::catalogue::OBSERVATIONS_RECORDED;
use domain::ids::{CampaignId, SourceId, WorkspaceId};
use domain::observation::{Observation, ObservationType, ObservationsRecorded, STREAM_TYPE};
use event_store::{AppendRequest, Appender, AppenderConfig, ExpectedVersion, Metadata, NewEvent, Payload};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Caller;

/// The observations in one append.
const AT_ONCE: u64 = 5_000;

/// The observations to write.
#[derive(Debug, Clone, Copy)]
pub struct Fill<'a> {
    /// The push source, by name.
    pub source: &'a str,
    /// The campaigns, used in turn.
    pub campaigns: &'a [String],
    /// The number of observations.
    pub observations: u64,
    /// The number of observations in one event.
    pub per_event: u64,
    /// The range of their times, in order.
    pub between: (DateTime<Utc>, DateTime<Utc>),
}

impl Fill<'_> {
    /// Appends them to the log of `caller`'s workspace. Three of four observations are impressions, the fourth is a
    /// click.
    pub async fn append(self, pool: &PgPool, caller: &Caller) {
        let workspace = WorkspaceId(caller.workspace());
        let source = source_id(pool, workspace, self.source).await;
        let numbers: Vec<u64> = (0..self.observations).collect();
        let batches: Vec<&[u64]> = numbers.chunks(usize::try_from(self.per_event).unwrap()).collect();
        let together = batches.chunks(usize::try_from(AT_ONCE.div_ceil(self.per_event)).unwrap());
        let requests = together.map(|batches| {
            let events = batches.iter().map(|numbers| self.event(source, numbers)).collect();
            request(workspace, source, events, self.between.1)
        });
        append(pool, requests).await;
    }

    fn event(self, source: SourceId, numbers: &[u64]) -> NewEvent {
        let campaigns: Vec<CampaignId> =
            self.campaigns.iter().map(|id| CampaignId(id.parse::<Uuid>().unwrap())).collect();
        let observations = numbers.iter().map(|number| self.observation(*number)).collect();
        let batch = ObservationsRecorded::new(source, "EUR".parse().unwrap(), campaigns, observations);
        NewEvent {
            event_type: OBSERVATIONS_RECORDED.name.to_owned(),
            event_version: OBSERVATIONS_RECORDED.version().to_string(),
            payload: Payload::Json(serde_json::to_string(&batch).unwrap()),
        }
    }

    fn observation(self, number: u64) -> Observation {
        let kind = if number % 4 == 3 { ObservationType::Click } else { ObservationType::Impression };
        let (from, to) = self.between;
        let after = i128::from((to - from).num_milliseconds()) * i128::from(number) / i128::from(self.observations);
        Observation {
            id: format!("filled-{number:08}"),
            campaign: usize::try_from(number / 4).unwrap() % self.campaigns.len(),
            kind,
            occurred_at: from + TimeDelta::milliseconds(i64::try_from(after).unwrap()),
            count: kind.unit_count(),
            value_micros: None,
            dimensions: BTreeMap::new(),
            correction: None,
            sealed: None,
        }
    }
}

/// Appends an event to a push source's observations that no view can decode, and returns its position.
pub async fn poison(pool: &PgPool, caller: &Caller, source: &str, at: DateTime<Utc>) -> i64 {
    let workspace = WorkspaceId(caller.workspace());
    let source = source_id(pool, workspace, source).await;
    let event = NewEvent {
        event_type: "ObservationsMangled".to_owned(),
        event_version: "1".to_owned(),
        payload: Payload::Json(r#"{"by":"a test"}"#.to_owned()),
    };
    append(pool, [request(workspace, source, vec![event], at)]).await
}

async fn source_id(pool: &PgPool, workspace: WorkspaceId, name: &str) -> SourceId {
    let owner: String =
        sqlx::query_scalar("SELECT owner FROM log.claims WHERE workspace = $1 AND kind = 'source_name' AND key = $2")
            .bind(workspace.0)
            .bind(name)
            .fetch_one(pool)
            .await
            .unwrap();
    SourceId(owner.parse::<Uuid>().unwrap())
}

fn request(
    workspace: WorkspaceId,
    source: SourceId,
    events: Vec<NewEvent>,
    recorded_at: DateTime<Utc>,
) -> AppendRequest {
    AppendRequest {
        workspace: workspace.0,
        stream_type: STREAM_TYPE,
        stream_id: source.stream(workspace),
        expected: ExpectedVersion::Any,
        events,
        metadata: Metadata::default(),
        claims: Vec::new(),
        item_preconditions: Vec::new(),
        receipt: None,
        recorded_at,
    }
}

/// Appends requests and returns the position of the last event.
async fn append(pool: &PgPool, requests: impl IntoIterator<Item = AppendRequest>) -> i64 {
    let (appender, writers) = Appender::start(pool.clone(), AppenderConfig::default(), CancellationToken::new());
    let mut position = 0;
    for request in requests {
        position = appender.append(request).await.unwrap().position;
    }
    // The writers end when the last appender is dropped.
    drop(appender);
    writers.await.unwrap();
    position
}
