//! Compatibility with cqrs-es: its `EventStore` on the log, so that its framework and its tools work. This program's
//! decisions do not use it: they load from an [`AggregateStore`], call the domain and append.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Utc};
use cqrs_es::persist::SerializedEvent;
use cqrs_es::{Aggregate, AggregateContext, AggregateError, EventEnvelope, EventStore};

use crate::aggregate_store::{AggregateStore, CommitContext, Loaded, sequence};
use crate::append::Metadata;
use crate::codec;
use crate::error::{AppendError, LoadError};

/// The streams of one kind of aggregate, as cqrs-es's framework uses them.
pub struct CqrsEventStore<A> {
    store: AggregateStore<A>,
    now: Box<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

impl<A> fmt::Debug for CqrsEventStore<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CqrsEventStore").field("store", &self.store).finish_non_exhaustive()
    }
}

impl<A: Aggregate + Clone> CqrsEventStore<A> {
    /// The framework's view of `store`. `now` gives the time of the framework's commits.
    pub fn new(store: AggregateStore<A>, now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self { store, now: Box::new(now) }
    }

    fn envelope(&self, mut stored: SerializedEvent) -> Result<EventEnvelope<A>, codec::DecodeError> {
        let metadata = codec::decode_metadata(stored.metadata.take())?;
        let (aggregate_id, sequence) = (stored.aggregate_id.clone(), stored.sequence);
        Ok(EventEnvelope { aggregate_id, sequence, payload: self.store.decode(stored)?, metadata })
    }
}

impl<A: Aggregate> AggregateContext<A> for Loaded<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

impl<A: Aggregate + Clone> EventStore<A> for CqrsEventStore<A> {
    type AC = Loaded<A>;

    async fn load_events(&self, aggregate_id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let mut envelopes = Vec::new();
        for stored in self.store.read(aggregate_id).await? {
            let sequence = sequence(&stored);
            let envelope = self.envelope(stored).map_err(|source| LoadError::Event {
                stream_id: aggregate_id.to_owned(),
                sequence,
                source,
            })?;
            envelopes.push(envelope);
        }
        Ok(envelopes)
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Loaded<A>, AggregateError<A::Error>> {
        Ok(self.store.load(aggregate_id).await?)
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Loaded<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let alongside = CommitContext {
            metadata: Metadata(metadata.clone().into_iter().collect()),
            claims: Vec::new(),
            receipt: None,
            recorded_at: (self.now)(),
        };
        self.store.append(&context, &events, alongside).await?;
        let before = usize::try_from(context.version).unwrap_or(0);
        Ok(events
            .into_iter()
            .enumerate()
            .map(|(index, payload)| EventEnvelope {
                aggregate_id: context.stream_id.clone(),
                sequence: before + index + 1,
                payload,
                metadata: metadata.clone(),
            })
            .collect())
    }
}

impl<E: std::error::Error> From<LoadError> for AggregateError<E> {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Event { .. } => Self::DeserializationError(Box::new(error)),
            LoadError::Database { .. } => Self::DatabaseConnectionError(Box::new(error)),
        }
    }
}

impl<E: std::error::Error> From<AppendError> for AggregateError<E> {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Version { .. }
            | AppendError::Claim { .. }
            | AppendError::Item
            | AppendError::ServerStartedAnew => Self::AggregateConflict,
            AppendError::Unavailable(_)
            | AppendError::Unconfirmed
            | AppendError::Overloaded
            | AppendError::ShuttingDown => Self::DatabaseConnectionError(Box::new(error)),
            AppendError::ReceiptMismatch | AppendError::Invalid(_) => Self::UnexpectedError(Box::new(error)),
        }
    }
}
