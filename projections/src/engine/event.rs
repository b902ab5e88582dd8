//! A decoded event, and why one is refused.

use std::error::Error as _;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use domain::bucket::BucketError;
use domain::event::{DecodeError, Event};
use domain::ids::CampaignId;
use event_store::RawEvent;
use serde::Deserialize;
use thiserror::Error;

/// An event as a view sees it.
#[derive(Debug, Clone)]
pub struct Recorded<'a> {
    /// Whose log it is in.
    pub workspace: i32,
    /// Where in that log.
    pub position: i64,
    /// The stream, named `<workspace>/<id>`.
    pub stream_id: &'a str,
    /// Where in that stream: after this event the stream's version is this.
    pub sequence: i64,
    /// When it was taken into the log.
    pub recorded_at: DateTime<Utc>,
    /// Who, why, when, as it is stored: views that want it read it with [`Recorded::metadata`], the others need not pay.
    pub stored_metadata: &'a str,
    /// What happened.
    pub event: Event,
}

/// What the command side noted of the request that an event came by. `None` where it did not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RequestNote {
    /// The key that was used, by its id.
    pub actor: Option<String>,
    /// The trace: the same for everything that one flow did.
    pub correlation_id: Option<String>,
    /// The span that caused the request.
    pub causation_id: Option<String>,
    /// The request itself, as W3C Trace Context names it.
    pub traceparent: Option<String>,
}

/// Why an event cannot be applied, or a log not be followed further.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The log has no event at this position, but later ones.
    #[error("the log has a hole here")]
    Hole,
    /// The stored event is none that this code can read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The stream's name holds no campaign id.
    #[error("the stream {0:?} is not named after a campaign")]
    StreamId(String),
    /// A statement's bucket is none of its grain and zone.
    #[error("a statement's bucket is not valid")]
    Bucket(#[from] BucketError),
    /// An observation names a campaign by an index that the batch does not have.
    #[error("an observation names campaign {index} of {campaigns}")]
    CampaignIndex {
        /// What it names.
        index: usize,
        /// How many the batch has.
        campaigns: usize,
    },
    /// A campaign changed that was never created.
    #[error("campaign {0} changed before it was created")]
    NotCreated(CampaignId),
    /// The database does not take the rows that this event makes.
    #[error("the database refuses its rows")]
    Rows(#[source] sqlx::Error),
}

/// A refusal, and of which event.
#[derive(Debug, Error)]
#[error("workspace {workspace}, position {position}: {reason}")]
pub struct Refused {
    /// Whose log.
    pub workspace: i32,
    /// The event that cannot be passed.
    pub position: i64,
    /// Why.
    #[source]
    pub reason: Refusal,
}

impl<'a> Recorded<'a> {
    /// Decodes a stored event.
    pub(crate) fn decode(raw: &'a RawEvent) -> Result<Self, Refusal> {
        let event = Event::decode(&raw.stream_type, &raw.event_type, &raw.event_version, &raw.payload)?;
        Ok(Self {
            workspace: raw.workspace,
            position: raw.position,
            stream_id: &raw.stream_id,
            sequence: raw.sequence,
            recorded_at: raw.recorded_at,
            stored_metadata: &raw.metadata,
            event,
        })
    }

    /// Who did it, and in which flow. Metadata of another shape says nothing: it is no reason to hold numbers back.
    pub fn metadata(&self) -> RequestNote {
        serde_json::from_str(self.stored_metadata).unwrap_or_default()
    }

    /// The campaign whose stream this is.
    pub fn campaign(&self) -> Result<CampaignId, Refusal> {
        let id = self.stream_id.split_once('/').and_then(|(_, id)| id.parse().ok());
        id.ok_or_else(|| Refusal::StreamId(self.stream_id.to_owned()))
    }
}

impl Refusal {
    /// The reason with all that caused it, in one line.
    pub(crate) fn full_text(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            // Writing to a String does not fail.
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
        text
    }
}
