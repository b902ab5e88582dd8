//! Logs to project: events are written straight into the tables, at given times, so that a test says all that matters.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::bucket::{Bucket, Grain};
use domain::campaign::{Budget, CampaignEvent, ExternalId};
use domain::catalogue::EventType;
use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use domain::measure::Measure;
use domain::money::{Currency, Money};
use domain::observation::{Correction, Observation, ObservationType, ObservationsRecorded};
use domain::source::{Horizon, Horizons, IdScope, SourceDefinition, SourceEvent, SourceKind, SourceRole};
use domain::statement::{Statement, StatementsRecorded};
use domain::sync::{FinalThrough, SyncEvent};
use domain::workspace::{self, WorkspaceEvent, WorkspaceOpened};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgPool};
use uuid::Uuid;

/// Pools of a test: one that may do anything, one with the projector's rights.
pub(crate) async fn pools(options: PgPoolOptions, connect: PgConnectOptions) -> (PgPool, PgPool) {
    let admin = options.connect_with(connect.clone()).await.unwrap();
    (admin, projector_pool(connect, 12).await)
}

/// Connections as a projector has them.
pub(crate) async fn projector_pool(connect: PgConnectOptions, max_connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_secs(10))
        .after_connect(|conn, _| {
            Box::pin(async move { conn.execute("SET ROLE highwater_projector").await.map(|_| ()) })
        })
        .connect_with(connect)
        .await
        .unwrap()
}

/// A workspace's log.
pub(crate) struct Log {
    pub(crate) workspace: i32,
    admin: PgPool,
    head: i64,
    versions: HashMap<(&'static str, String), i64>,
}

impl Log {
    /// An empty log.
    pub(crate) async fn empty(admin: &PgPool) -> Self {
        let mut conn = admin.acquire().await.unwrap();
        let name = Uuid::now_v7().to_string();
        let workspace = event_store::open_workspace(&mut conn, &name, at("2026-11-01T00:00:00Z")).await.unwrap();
        Self { workspace, admin: admin.clone(), head: 0, versions: HashMap::new() }
    }

    /// A log that begins as every log does.
    pub(crate) async fn opened(admin: &PgPool) -> Self {
        let mut log = Self::empty(admin).await;
        log.append(opened()).await;
        log
    }

    pub(crate) fn head(&self) -> i64 {
        self.head
    }

    /// Appends an event; recorded a second after the one before it.
    pub(crate) async fn append(&mut self, event: TestEvent) -> i64 {
        self.append_all([event]).await
    }

    /// Appends events; each recorded a second after the one before it.
    pub(crate) async fn append_all(&mut self, events: impl IntoIterator<Item = TestEvent>) -> i64 {
        let timed = events.into_iter().zip(self.head + 1..).map(|(event, position)| (event, recorded_at(position)));
        self.append_timed(timed).await
    }

    /// Appends events that are recorded when the test says.
    pub(crate) async fn append_timed(&mut self, events: impl IntoIterator<Item = (TestEvent, DateTime<Utc>)>) -> i64 {
        let stored: Vec<Stored> = events.into_iter().map(|(event, recorded_at)| event.stored(recorded_at)).collect();
        self.append_stored(&stored).await
    }

    /// Appends whatever this is, in one transaction.
    pub(crate) async fn append_stored(&mut self, events: &[Stored]) -> i64 {
        let (first, mut sequences) = (self.head + 1, Vec::new());
        for event in events {
            let version = self.versions.entry((event.stream_type, event.id.clone())).or_default();
            *version += 1;
            self.head += 1;
            sequences.push(*version);
        }
        let texts = |of: fn(&Stored) -> &str| events.iter().map(|event| of(event).to_owned()).collect::<Vec<_>>();
        let times: Vec<DateTime<Utc>> = events.iter().map(|event| event.recorded_at).collect();
        sqlx::query(
            "WITH appended AS (
                 INSERT INTO log.events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                                         workspace, position, recorded_at)
                 SELECT e.stream_type, $1 || '/' || e.id, e.sequence, e.event_type, e.event_version, e.payload::json,
                        e.metadata::json, $1::integer, $2 + e.ordinal - 1, e.recorded_at
                 FROM unnest($3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[], $8::text[], $9::timestamptz[],
                             $11::text[])
                      WITH ORDINALITY
                      AS e (stream_type, id, sequence, event_type, event_version, payload, recorded_at, metadata, ordinal)
             )
             UPDATE log.heads SET position = $10 WHERE workspace = $1",
        )
        .bind(self.workspace)
        .bind(first)
        .bind(texts(|event| event.stream_type))
        .bind(texts(|event| &event.id))
        .bind(sequences)
        .bind(texts(|event| event.event_type))
        .bind(texts(|event| &event.event_version))
        .bind(texts(|event| &event.payload))
        .bind(times)
        .bind(self.head)
        .bind(texts(|event| &event.metadata))
        .execute(&self.admin)
        .await
        .unwrap();
        self.head
    }

    /// Appends an event that no code of ours would write.
    pub(crate) async fn append_raw(
        &mut self,
        stream_type: &'static str,
        id: &str,
        event_type: &'static str,
        payload: &str,
    ) -> i64 {
        self.append_version(stream_type, id, (event_type, 1), payload).await
    }

    /// Appends an event in a version of its type.
    pub(crate) async fn append_version(
        &mut self,
        stream_type: &'static str,
        id: &str,
        (event_type, version): (&'static str, usize),
        payload: &str,
    ) -> i64 {
        let recorded_at = recorded_at(self.head + 1);
        let metadata = "{}".to_owned();
        let (id, event_version, payload) = (id.to_owned(), version.to_string(), payload.to_owned());
        self.append_stored(&[Stored { stream_type, id, event_type, event_version, payload, metadata, recorded_at }])
            .await
    }

    /// Appends an event with this metadata.
    pub(crate) async fn append_noted(&mut self, event: TestEvent, metadata: &str) -> i64 {
        let stored = event.stored(recorded_at(self.head + 1));
        self.append_stored(&[Stored { metadata: metadata.to_owned(), ..stored }]).await
    }

    /// Removes an event: what a correct log never does.
    pub(crate) async fn tear_out(&self, position: i64) {
        let deleted = sqlx::query("DELETE FROM log.events WHERE workspace = $1 AND position = $2")
            .bind(self.workspace)
            .bind(position)
            .execute(&self.admin)
            .await
            .unwrap();
        assert_eq!(deleted.rows_affected(), 1);
    }
}

/// An event and the stream that it belongs to.
#[derive(Debug, Clone)]
pub(crate) struct TestEvent {
    pub(crate) stream: Uuid,
    pub(crate) event: Event,
}

/// A row of the log, as far as a test decides it.
pub(crate) struct Stored {
    stream_type: &'static str,
    id: String,
    event_type: &'static str,
    event_version: String,
    payload: String,
    metadata: String,
    recorded_at: DateTime<Utc>,
}

impl TestEvent {
    /// One batch of observations that holds those of both; they must be of the same campaigns.
    pub(crate) fn and(mut self, other: Self) -> Self {
        let (Event::Observations(batch), Event::Observations(more)) = (&mut self.event, other.event) else {
            unreachable!("batches of observations")
        };
        batch.observations.extend(more.observations);
        self
    }

    fn stored(&self, recorded_at: DateTime<Utc>) -> Stored {
        let id = self.stream.to_string();
        let EventType { name: event_type, stream_type, .. } = self.event.event_type();
        let id = if stream_type == workspace::STREAM_TYPE { "workspace".to_owned() } else { id };
        let (event_version, payload) = (self.event.event_type().version().to_string(), self.payload());
        Stored { stream_type, id, event_type, event_version, payload, metadata: "{}".to_owned(), recorded_at }
    }

    fn payload(&self) -> String {
        serde_json::to_string(&self.event).unwrap()
    }
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// When the event at a position is recorded, unless a test says otherwise.
pub(crate) fn recorded_at(position: i64) -> DateTime<Utc> {
    at("2026-11-22T00:00:00Z") + TimeDelta::seconds(position)
}

pub(crate) fn eur() -> Currency {
    "EUR".parse().unwrap()
}

pub(crate) fn campaign(n: u128) -> CampaignId {
    CampaignId(Uuid::from_u128(0xca00 + n))
}

pub(crate) fn source(n: u128) -> SourceId {
    SourceId(Uuid::from_u128(0x5000 + n))
}

pub(crate) fn opened() -> TestEvent {
    opened_in("Europe/Berlin")
}

/// A workspace with this time zone.
pub(crate) fn opened_in(zone: &str) -> TestEvent {
    let event = WorkspaceOpened { name: "Acme".into(), time_zone: zone.parse().unwrap(), currency: eur() };
    TestEvent { stream: Uuid::nil(), event: Event::Workspace(WorkspaceEvent::Opened(event)) }
}

pub(crate) fn created(id: CampaignId) -> TestEvent {
    let event = CampaignEvent::CampaignCreated {
        campaign: id,
        name: format!("Campaign {id}"),
        channels: vec!["paid_search".parse().unwrap(), "email".parse().unwrap()],
        currency: eur(),
        time_zone: "Europe/Berlin".parse().unwrap(),
        starts_on: date("2026-11-01"),
        ends_on: Some(date("2026-12-31")),
        budget: Some(Budget::total(Money { micros: 5_000_000_000, currency: eur() })),
        external_ids: vec![ExternalId { source: Some("google_ads".into()), id: "g-1".into() }],
        attributes: BTreeMap::from([("region".to_owned(), "DACH \"süd\"".to_owned())]),
        created_by_source: None,
        at: at("2026-10-20T09:00:00Z"),
    };
    changed(id, event)
}

pub(crate) fn changed(id: CampaignId, event: CampaignEvent) -> TestEvent {
    TestEvent { stream: id.0, event: Event::Campaign(event) }
}

pub(crate) fn registered(id: SourceId, kind: SourceKind) -> TestEvent {
    let definition = SourceDefinition {
        name: format!("source_{}", id.0.as_u128()),
        channel: "paid_search".parse().unwrap(),
        kind,
        role: SourceRole::Primary,
        measure_roles: BTreeMap::from([(Measure::Conversions, SourceRole::Reference)]),
        measures: [].into(),
        platform: None,
        time_zone: "America/New_York".parse().unwrap(),
        currency: eur(),
        expected_delay_s: 3_600,
        horizons: Horizons::uniform(Horizon::Seconds(259_200)),
        complete_after_s: None,
        quiet_after_s: None,
        expected_from: None,
        observation_window_s: None,
        id_scope: IdScope::Day,
        unknown_campaigns: domain::source::UnknownCampaigns::Reject,
        dimensions: Vec::new(),
    };
    let event = SourceEvent::SourceRegistered { source: id, definition, at: at("2026-10-20T09:00:00Z") };
    TestEvent { stream: id.0, event: Event::Source(event) }
}

/// Campaign, type, occurred at, count, value in micros.
pub(crate) type Seen = (CampaignId, ObservationType, DateTime<Utc>, i64, Option<i64>);
/// Campaign, bucket, stated at, measures.
pub(crate) type Said<'a> = (CampaignId, Bucket, DateTime<Utc>, &'a [(Measure, i64)]);

/// A batch of observations.
pub(crate) fn observed(from: SourceId, observations: &[Seen]) -> TestEvent {
    let mut campaigns: Vec<CampaignId> = Vec::new();
    let mut rows = Vec::new();
    for (n, &(id, kind, occurred_at, count, value_micros)) in observations.iter().enumerate() {
        let index = campaigns.iter().position(|known| *known == id).unwrap_or_else(|| {
            campaigns.push(id);
            campaigns.len() - 1
        });
        rows.push(Observation {
            id: format!("o-{n}"),
            campaign: index,
            kind,
            occurred_at,
            count,
            value_micros,
            dimensions: BTreeMap::new(),
            correction: None,
            sealed: None,
        });
    }
    let event = ObservationsRecorded::new(from, eur(), campaigns, rows);
    TestEvent { stream: from.0, event: Event::Observations(event) }
}

/// The same observations, each naming its dimensions.
pub(crate) fn naming(given: TestEvent, dimensions: &[&[(&str, &str)]]) -> TestEvent {
    let TestEvent { stream, event } = given;
    let Event::Observations(mut batch) = event else { unreachable!("a batch of observations") };
    for (observation, named) in batch.observations.iter_mut().zip(dimensions) {
        observation.dimensions = named.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    }
    TestEvent { stream, event: Event::Observations(batch) }
}

/// A correction of an observation of `seen`: (id, original's id, happened at), and what the original comes to with it.
/// Count and value of `seen` are the changes.
pub(crate) fn corrected(
    from: SourceId,
    (id, of, at): (&str, &str, DateTime<Utc>),
    seen: Seen,
    (count, value_micros): (i64, Option<i64>),
) -> TestEvent {
    let TestEvent { stream, event } = observed(from, &[seen]);
    let Event::Observations(mut batch) = event else { unreachable!("a batch of observations") };
    id.clone_into(&mut batch.observations[0].id);
    batch.observations[0].correction = Some(Box::new(Correction { of: of.to_owned(), at, count, value_micros }));
    TestEvent { stream, event: Event::Observations(batch) }
}

/// One click.
pub(crate) fn clicked(from: SourceId, id: CampaignId, occurred_at: DateTime<Utc>) -> TestEvent {
    observed(from, &[(id, ObservationType::Click, occurred_at, 1, None)])
}

/// A batch of statements.
pub(crate) fn stated(from: SourceId, grain: Grain, time_zone: &str, statements: &[Said<'_>]) -> TestEvent {
    let event = StatementsRecorded {
        source: from,
        series: None,
        currency: eur(),
        grain,
        time_zone: time_zone.parse().unwrap(),
        breakdown: Vec::new(),
        precedence: None,
        sealed_with: None,
        statements: statements
            .iter()
            .map(|&(campaign, bucket, stated_at, measures)| {
                let measures = measures.iter().map(|&(measure, value)| (measure, Some(value))).collect();
                Statement { campaign, bucket, values: Vec::new(), stated_at, measures, sealed: None }
            })
            .collect(),
    };
    TestEvent { stream: from.0, event: Event::Statements(event) }
}

/// The same statements, each taking back what it names.
pub(crate) fn taking_back(mut given: TestEvent) -> TestEvent {
    let Event::Statements(batch) = &mut given.event else { unreachable!("a batch of statements") };
    batch.statements.iter_mut().flat_map(|one| one.measures.values_mut()).for_each(|value| *value = None);
    given
}

pub(crate) fn synced(event: SyncEvent) -> TestEvent {
    TestEvent { stream: event.source().0, event: Event::Sync(event) }
}

pub(crate) fn completed(from: SourceId, said_at: &str, through: &str, grain: Grain) -> TestEvent {
    synced(SyncEvent::SyncCompleted {
        source: from,
        at: at(said_at),
        complete_through: Some(at(through)),
        grain,
        covers: None,
        lookback_s: 3 * 86_400,
        final_through: FinalThrough::default(),
    })
}
