//! A decoded event, and why one is refused.

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
    /// Who, why, when, as it is stored: views that want it read it with [`EventEnvelope::metadata`], the others need not pay.
    pub stored_metadata: &'a str,
    /// What happened. Of a batch, what is to be taken: a share of it that waits or is left out is not there.
    pub event: Event,
    /// The places in the batch of the items that are there, if some are not.
    places: Option<Vec<usize>>,
}

/// What the command side noted of the request that an event came by. `None` where it did not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RequestMetadata {
    /// Who sent the request. An actor of an unknown kind is `None`: it is no reason to hold numbers back.
    #[serde(deserialize_with = "known_actor")]
    pub actor: Option<Actor>,
    /// The trace: the same for everything that one flow did.
    pub correlation_id: Option<String>,
    /// The span that caused the request.
    pub causation_id: Option<String>,
    /// The request itself, as W3C Trace Context names it.
    pub traceparent: Option<String>,
}

fn known_actor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Actor>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|actor| actor.parse().ok()))
}

/// Why an event cannot be applied, or a log not be followed further.
#[derive(Debug, Error)]
pub enum ApplyError {
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
    /// So many parts of the log are parked that this is no matter of single events any more.
    #[error("too many parts of the log are parked, the last one because: {0}")]
    TooManyParked(String),
    /// The database does not take the rows that this event makes.
    #[error("the database refuses its rows")]
    Rows(#[source] sqlx::Error),
}

/// A refusal, and of which event.
#[derive(Debug, Error)]
#[error("workspace {workspace}, position {position}: {reason}")]
pub struct RejectedEvent {
    /// Whose log.
    pub workspace: i32,
    /// The event that cannot be passed.
    pub position: i64,
    /// Why.
    #[source]
    pub reason: ApplyError,
}

impl RejectedEvent {
    /// Whether there is an event, and it is refused: then it can be parked.
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

    /// Who did it, and in which flow. Metadata of another shape says nothing: it is no reason to hold numbers back.
    pub fn metadata(&self) -> RequestMetadata {
        serde_json::from_str(self.stored_metadata).unwrap_or_default()
    }

    /// The place in its batch, as recorded, of the item that is the `n`th here.
    pub fn item_index(&self, n: usize) -> usize {
        self.places.as_ref().map_or(n, |places| places.get(n).copied().unwrap_or(n))
    }

    /// The campaigns that a batch has numbers of. `None` if it is no batch, or names one that it does not list.
    pub(crate) fn campaigns(&self) -> Option<BTreeSet<CampaignId>> {
        match &self.event {
            Event::Observations(batch) => {
                batch.observations.iter().map(|one| batch.campaigns.get(one.campaign).copied()).collect()
            }
            Event::Statements(batch) => Some(batch.statements.iter().map(|one| one.campaign).collect()),
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Sync(_) => None,
        }
    }

    /// Takes some campaigns' share out of a batch.
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

    /// The campaign whose stream this is.
    pub fn campaign(&self) -> Result<CampaignId, ApplyError> {
        let id = self.stream_id.split_once('/').and_then(|(_, id)| id.parse().ok());
        id.ok_or_else(|| ApplyError::StreamId(self.stream_id.to_owned()))
    }
}

impl ApplyError {
    /// The reason with all that caused it, in one line.
    pub(crate) fn full_text(&self) -> String {
        error_chain(self)
    }
}
