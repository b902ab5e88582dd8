//! Loads aggregates from their streams through postgres-es's repository, and appends the events decided on them.
//!
//! There are no snapshots: cqrs-es 0.5's snapshot stores apply events twice. A stream with decisions is short.
//! Observations and statements, which are many, are appended without a load.

use std::fmt;

use chrono::{DateTime, Utc};
use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use cqrs_es::{Aggregate, DomainEvent};
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;

use crate::aggregate_cache::{AggregateCache, Entry};
use crate::append::{AppendOutcome, AppendRequest, ExpectedVersion, Metadata, NewEvent, Payload};
use crate::appender::Appender;
use crate::claims::Claim;
use crate::codec::{self, Upcast};
use crate::error::{AppendError, LoadError};
use crate::log::{StreamKey, recorded_at_of_version};
use crate::receipts::Receipt;
use crate::server_start::ServerStart;

/// An aggregate from its stream, with the version that a decision depends on.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// The stream, as `<workspace>/<id>`.
    pub stream_id: String,
    /// The state.
    pub aggregate: A,
    /// The number of events of the stream; 0 if it does not exist.
    pub version: i64,
    /// The server from which it was read.
    server: ServerStart,
}

impl<A: Default> Loaded<A> {
    /// The aggregate of a new stream, without a query: the append checks that the stream does not exist.
    pub fn new_stream(stream_id: String) -> Self {
        Self { stream_id, aggregate: A::default(), version: 0, server: ServerStart::UNKNOWN }
    }
}

/// The parts of an append besides the events of an aggregate.
#[derive(Debug, Clone)]
pub struct CommitContext {
    /// The metadata of the events.
    pub metadata: Metadata,
    /// The claims that the append checks and changes.
    pub claims: Vec<Claim>,
    /// The receipt, which makes the request safe to repeat.
    pub receipt: Option<Receipt>,
    /// The time of the append.
    pub recorded_at: DateTime<Utc>,
}

/// The streams of one kind of aggregate.
pub struct AggregateStore<A> {
    pool: PgPool,
    repository: PostgresEventRepository,
    appender: Appender,
    upcast: Upcast,
    remembered: AggregateCache<A>,
}

impl<A> fmt::Debug for AggregateStore<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateStore").field("appender", &self.appender).finish_non_exhaustive()
    }
}

impl<A: Aggregate + Clone> AggregateStore<A> {
    /// A store that reads through `pool`, upcasts with `upcast`, and writes through `appender`.
    pub fn new(pool: PgPool, appender: Appender, upcast: Upcast) -> Self {
        // The second table would hold cqrs-es's snapshots, which are not used.
        let repository = PostgresEventRepository::new(pool.clone()).with_tables("log.events", "log.snapshots");
        Self { pool, repository, appender, upcast, remembered: AggregateCache::new() }
    }

    /// The aggregate of a new stream, without a query: the append checks that the stream does not exist.
    pub fn new_stream(&self, stream_id: String) -> Loaded<A> {
        Loaded { server: self.appender.server(), ..Loaded::new_stream(stream_id) }
    }

    /// The aggregate of a stream; its default, at version 0, if the stream does not exist.
    pub async fn load(&self, stream_id: &str) -> Result<Loaded<A>, LoadError> {
        let server = self.appender.server();
        let mut loaded = Loaded::<A> { server, ..Loaded::new_stream(stream_id.to_owned()) };
        for stored in self.read(stream_id).await? {
            let sequence = sequence(&stored);
            let event = self.decode(stored).map_err(|source| LoadError::Event {
                stream_id: stream_id.to_owned(),
                sequence,
                source,
            })?;
            loaded.aggregate.apply(event);
            loaded.version = sequence;
        }
        if loaded.version > 0 {
            let Loaded { version, ref aggregate, .. } = loaded;
            self.remembered.put(stream_id, Entry { version, aggregate: aggregate.clone(), server });
        }
        Ok(loaded)
    }

    /// When the event was recorded that made this version of a stream. `None` if there is no such event.
    pub async fn recorded_at(&self, stream_id: &str, version: i64) -> Result<Option<DateTime<Utc>>, LoadError> {
        let unreadable = |source: Box<dyn std::error::Error + Send + Sync>| LoadError::Database {
            stream_id: stream_id.to_owned(),
            source,
        };
        let workspace = workspace_of(stream_id).map_err(|error| unreadable(Box::new(error)))?;
        let stream = StreamKey { workspace, stream_type: A::TYPE, stream_id };
        recorded_at_of_version(&self.pool, stream, version).await.map_err(|error| unreadable(Box::new(error)))
    }

    /// The aggregate as this process last saw it, without a query. It may be out of date, so only a decision that an
    /// append asserts may use it.
    pub fn cached(&self, stream_id: &str) -> Option<Loaded<A>> {
        let Entry { version, aggregate, server } = self.remembered.get(stream_id, self.appender.server())?;
        Some(Loaded { stream_id: stream_id.to_owned(), aggregate, version, server })
    }

    /// Appends the events of a decision, if the stream is still at the version of the loaded aggregate.
    pub async fn append(
        &self,
        on: &Loaded<A>,
        events: &[A::Event],
        alongside: CommitContext,
    ) -> Result<AppendOutcome, AppendError> {
        let request = AppendRequest {
            workspace: workspace_of(&on.stream_id)?,
            stream_type: A::TYPE,
            stream_id: on.stream_id.clone(),
            expected: ExpectedVersion::Exact(on.version),
            events: events.iter().map(new_event).collect::<Result<_, _>>()?,
            metadata: alongside.metadata,
            claims: alongside.claims,
            item_preconditions: Vec::new(),
            receipt: alongside.receipt,
            recorded_at: alongside.recorded_at,
        };
        let appended = self.appender.append_judged(request, on.server).await;
        match &appended {
            Ok(AppendOutcome { replayed: false, version, .. }) if !events.is_empty() => {
                let mut aggregate = on.aggregate.clone();
                for event in events {
                    aggregate.apply(event.clone());
                }
                if on.server != ServerStart::UNKNOWN {
                    let entry = Entry { version: *version, aggregate, server: on.server };
                    self.remembered.put(&on.stream_id, entry);
                }
            }
            Err(AppendError::Version { .. }) => self.remembered.forget(&on.stream_id, on.version),
            Ok(_) | Err(_) => {}
        }
        appended
    }

    pub(crate) async fn read(&self, stream_id: &str) -> Result<Vec<SerializedEvent>, LoadError> {
        self.repository
            .get_events::<A>(stream_id)
            .await
            .map_err(|source| LoadError::Database { stream_id: stream_id.to_owned(), source: Box::new(source) })
    }

    pub(crate) fn decode(&self, stored: SerializedEvent) -> Result<A::Event, codec::DecodeError> {
        codec::decode_value(self.upcast, &stored.event_type, &stored.event_version, stored.payload)
    }
}

fn new_event<E: DomainEvent>(event: &E) -> Result<NewEvent, AppendError> {
    let payload = serde_json::to_string(event).map_err(|error| AppendError::Invalid(error.to_string()))?;
    Ok(NewEvent {
        event_type: event.event_type(),
        event_version: event.event_version(),
        payload: Payload::Json(payload),
    })
}

pub(crate) fn sequence(stored: &SerializedEvent) -> i64 {
    i64::try_from(stored.sequence).unwrap_or(i64::MAX)
}

fn workspace_of(stream_id: &str) -> Result<i32, AppendError> {
    stream_id
        .split_once('/')
        .and_then(|(workspace, _id)| workspace.parse().ok())
        .ok_or_else(|| AppendError::Invalid(format!("the stream id {stream_id:?} does not begin with a workspace")))
}
