//! What was done to a source: the events of its stream, and what the requests behind them said.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::source::{STREAM_TYPE, Source, SourceDetails, SourceEvent};
use event_store::{PageLimit, StreamKey, read_stream};

use crate::Commands;
use crate::claims::CachePolicy;
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::ingest::ResolvedSource;

/// One event of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceActivity {
    /// Its place among the events of the source.
    pub version: i64,
    /// Its position in the log.
    pub position: i64,
    /// When it was recorded in the log.
    pub recorded_at: DateTime<Utc>,
    /// What the request said of itself: who, in which trace, why.
    pub metadata: BTreeMap<String, String>,
    /// The event.
    pub event: SourceEvent,
    /// The source before it; none before it was registered.
    pub before: Option<SourceDetails>,
}

impl Commands {
    /// The events of the source of a name, oldest first. Like other streams with decisions, it is short.
    pub async fn source_activity(
        &self,
        context: &CommandContext,
        name: &str,
    ) -> Result<Vec<SourceActivity>, CommandError> {
        let mut claims = self.claim_reader(context, CachePolicy::Read);
        let known = ResolvedSource::find(&mut claims, name).await?.ok_or(CommandError::NotFound)?;
        let stream_id = known.details.source.stream(context.workspace());
        let stream = StreamKey { workspace: context.workspace().0, stream_type: STREAM_TYPE, stream_id: &stream_id };
        let whole = PageLimit { events: i64::MAX, bytes: i64::MAX };
        let mut conn = self.pool.acquire().await?;
        let stored = read_stream(&mut conn, stream, 1, i64::MAX, whole).await?;
        let mut source = Source::default();
        let mut activity = Vec::with_capacity(stored.len());
        for stored in stored {
            let (version, position, recorded_at) = (stored.sequence, stored.position, stored.recorded_at);
            let decoded =
                Event::decode(stored.stream_type(), stored.event_type(), stored.event_version(), stored.payload());
            let event = match decoded {
                Ok(Event::Source(event)) => event,
                Ok(_) => continue,
                Err(source) => return Err(CommandError::UnreadableEvent { position, source }),
            };
            let metadata = serde_json::from_str(stored.metadata()).unwrap_or_default();
            let before = source.details.clone();
            source.apply(event.clone());
            activity.push(SourceActivity { version, position, recorded_at, metadata, event, before });
        }
        Ok(activity)
    }
}
