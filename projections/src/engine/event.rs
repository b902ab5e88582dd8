//! A decoded event, and the reasons to refuse one.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::bucket::BucketError;
use domain::event::{DecodeError, Event};
use domain::ids::CampaignId;
use event_store::StoredEvent;
use platform::error_chain;
use platform::principal::Actor;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

/// An event as a view sees it.
#[derive(Debug, Clone)]
pub struct EventEnvelope<'a> {
    /// The workspace of the log.
    pub workspace: i32,
    /// The position in the log.
    pub position: i64,
    /// The stream, named `<workspace>/<id>`.
    pub stream_id: &'a str,
    /// The place in the stream: after this event, the stream's version is this.
    pub sequence: i64,
    /// When it was appended to the log.
    pub recorded_at: DateTime<Utc>,
    /// The metadata as stored. A view that needs it calls [`EventEnvelope::metadata`]; the others save the parsing.
    pub stored_metadata: &'a str,
    /// The event. A batch lacks the shares that are parked or skipped.
    pub event: Event,
    /// The places in the recorded batch of the items that are left, if some were removed.
    places: Option<Vec<usize>>,
}

/// The request that an event came by, as the command side recorded it. A member that was not recorded is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RequestMetadata {
    /// Who sent the request. An actor of an unknown kind is `None`, because numbers must not wait for it.
    #[serde(deserialize_with = "known_actor")]
    pub actor: Option<Actor>,
    /// The trace, which is the same for all of one flow.
    pub correlation_id: Option<String>,
    /// The span that caused the request.
    pub causation_id: Option<String>,
    /// The request, in the form of W3C Trace Context.
    pub traceparent: Option<String>,
    /// Why, as the caller said.
    pub reason: Option<String>,
    /// Where more is written, as the caller said.
    pub note_url: Option<String>,
}

fn known_actor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Actor>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|actor| actor.parse().ok()))
}

/// Why an event cannot be applied, or a log cannot be followed further.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The log lacks this position, but has later ones.
    #[error("the log has a hole here")]
    Hole,
    /// This code cannot decode the stored event.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The stream's name holds no campaign id.
    #[error("the stream {0:?} is not named after a campaign")]
    StreamId(String),
    /// A statement's bucket does not fit its grain and zone.
    #[error("a statement's bucket is not valid")]
    Bucket(#[from] BucketError),
    /// A batch is not broken down by one dimension or two, or a statement of it has more or fewer values.
    #[error("the values of a statement are not those of its breakdown")]
    Breakdown,
    /// An observation refers to a campaign by an index that the batch does not have.
    #[error("an observation names campaign {index} of {campaigns}")]
    CampaignIndex {
        /// The index.
        index: usize,
        /// The number of the batch's campaigns.
        campaigns: usize,
    },
    /// A campaign changed before it was created.
    #[error("campaign {0} changed before it was created")]
    NotCreated(CampaignId),
    /// Too many parts of the log are parked: the cause is not single events.
    #[error("too many parts of the log are parked, the last one because: {0}")]
    TooManyParked(String),
    /// The database refuses the rows of this event.
    #[error("the database refuses its rows")]
    Rows(#[source] sqlx::Error),
}

/// A refused event, and the reason.
#[derive(Debug, Error)]
#[error("workspace {workspace}, position {position}: {reason}")]
pub struct RejectedEvent {
    /// The workspace of the log.
    pub workspace: i32,
    /// The event's position.
    pub position: i64,
    /// The reason.
    #[source]
    pub reason: ApplyError,
}

impl RejectedEvent {
    /// Whether it can be parked: the event exists and is refused.
    pub(crate) fn is_parkable(&self) -> bool {
        !matches!(self.reason, ApplyError::Hole | ApplyError::TooManyParked(_))
    }
}

impl<'a> EventEnvelope<'a> {
    /// Decodes a stored event.
    pub(crate) fn decode(raw: &'a StoredEvent) -> Result<Self, ApplyError> {
        let event = Event::decode(raw.stream_type(), raw.event_type(), raw.event_version(), raw.payload())?;
        Ok(Self {
            workspace: raw.workspace,
            position: raw.position,
            stream_id: raw.stream_id(),
            sequence: raw.sequence,
            recorded_at: raw.recorded_at,
            stored_metadata: raw.metadata(),
            event,
            places: None,
        })
    }

    /// The request that caused the event. Metadata of another shape counts as empty, because numbers must not wait for
    /// it.
    pub fn metadata(&self) -> RequestMetadata {
        serde_json::from_str(self.stored_metadata).unwrap_or_default()
    }

    /// The place in the recorded batch of the `n`th item of this event.
    pub fn item_index(&self, n: usize) -> usize {
        self.places.as_ref().map_or(n, |places| places.get(n).copied().unwrap_or(n))
    }

    /// The campaigns of a batch that has numbers for them. `None` for other events, and for a batch with an invalid
    /// index.
    pub(crate) fn campaigns(&self) -> Option<BTreeSet<CampaignId>> {
        match &self.event {
            Event::Observations(batch) => {
                batch.observations.iter().map(|one| batch.campaigns.get(one.campaign).copied()).collect()
            }
            Event::Statements(batch) => Some(batch.statements.iter().map(|one| one.campaign).collect()),
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Sync(_) => None,
        }
    }

    /// Removes some campaigns' share from a batch.
    pub(crate) fn exclude_campaigns(&mut self, is_out: impl Fn(CampaignId) -> bool) {
        let mut places = Vec::new();
        let mut place = 0;
        let mut keep = |campaign: Option<CampaignId>| {
            let stays = !campaign.is_some_and(&is_out);
            if stays {
                places.push(place);
            }
            place += 1;
            stays
        };
        match &mut self.event {
            Event::Observations(batch) => {
                let campaigns = &batch.campaigns;
                batch.observations.retain(|one| keep(campaigns.get(one.campaign).copied()));
            }
            Event::Statements(batch) => batch.statements.retain(|one| keep(Some(one.campaign))),
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Sync(_) => return,
        }
        self.places = Some(places);
    }

    /// The campaign of the event's stream.
    pub fn campaign(&self) -> Result<CampaignId, ApplyError> {
        let id = self.stream_id.split_once('/').and_then(|(_, id)| id.parse().ok());
        id.ok_or_else(|| ApplyError::StreamId(self.stream_id.to_owned()))
    }
}

impl ApplyError {
    /// The reason with its causes, in one line.
    pub(crate) fn full_text(&self) -> String {
        error_chain(self)
    }
}
