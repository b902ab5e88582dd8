//! Parked parts: what of a workspace's log waits because it cannot be applied, and which results lack it.
//!
//! A part is a stream, or one campaign's share of a stream of batches. A whole stream of batches, and a stream of an
//! unknown kind, may be about any campaign: they count for all of them.

use std::collections::BTreeSet;

use domain::{campaign, observation, source, statement, sync};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::CAMPAIGN_MODEL;
use crate::error::ReadError;
use crate::warning::Warning;

/// What a result is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceScope {
    /// Whether it has numbers of sources, or only properties of campaigns.
    numbers: bool,
    /// `None`: any campaign of the workspace.
    campaigns: Option<BTreeSet<Uuid>>,
}

impl ResourceScope {
    /// The properties of these campaigns; of all if none is named.
    pub fn campaigns(ids: impl IntoIterator<Item = Uuid>) -> Self {
        Self { numbers: false, campaigns: Some(ids.into_iter().collect()).filter(|ids: &BTreeSet<_>| !ids.is_empty()) }
    }

    /// The numbers of these campaigns; of all if none is named.
    pub fn numbers(ids: impl IntoIterator<Item = Uuid>) -> Self {
        Self { numbers: true, ..Self::campaigns(ids) }
    }

    fn has(&self, campaign: Uuid) -> bool {
        self.campaigns.as_ref().is_none_or(|ids| ids.contains(&campaign))
    }
}

/// The parked parts of an epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parked(Vec<ParkedPart>);

/// A part of the log that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedPart {
    origin: ParkedOrigin,
    /// The positions of its first and its last event.
    first: i64,
    last: i64,
    /// The number of its events.
    events: i64,
}

/// What the events of a part are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ParkedOrigin {
    /// The campaign itself.
    Campaign(Uuid),
    /// Numbers of a source: for one campaign, or for any.
    Numbers { source: Uuid, campaign: Option<Uuid> },
    /// The source itself, or its syncs.
    Source(Uuid),
    /// The workspace, or an unknown kind of stream.
    Anything,
}

impl ParkedOrigin {
    fn read(stream_type: &str, stream_id: &str, campaign: Option<Uuid>) -> Self {
        let id = stream_id.split_once('/').and_then(|(_, id)| id.parse().ok());
        match (stream_type, id) {
            (campaign::STREAM_TYPE, Some(id)) => Self::Campaign(id),
            (observation::STREAM_TYPE | statement::STREAM_TYPE, Some(source)) => Self::Numbers { source, campaign },
            (source::STREAM_TYPE | sync::STREAM_TYPE, Some(source)) => Self::Source(source),
            _ => Self::Anything,
        }
    }
}

impl ParkedPart {
    fn touches(&self, about: &ResourceScope) -> bool {
        match self.origin {
            ParkedOrigin::Campaign(id) => about.has(id),
            ParkedOrigin::Numbers { campaign, .. } => about.numbers && campaign.is_none_or(|id| about.has(id)),
            ParkedOrigin::Source(_) => about.numbers,
            ParkedOrigin::Anything => true,
        }
    }

    /// The source that it comes from, if it is known to come from one.
    fn source(&self) -> Option<Uuid> {
        match self.origin {
            ParkedOrigin::Numbers { source, .. } | ParkedOrigin::Source(source) => Some(source),
            ParkedOrigin::Campaign(_) | ParkedOrigin::Anything => None,
        }
    }
}

impl Parked {
    fn touching<'a>(&'a self, about: &'a ResourceScope) -> impl Iterator<Item = &'a ParkedPart> {
        self.0.iter().filter(|part| part.touches(about))
    }

    /// Whether no part is parked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many parts a result lacks.
    pub fn count(&self, about: &ResourceScope) -> usize {
        self.touching(about).count()
    }

    /// Whether a result lacks an event up to a position.
    pub fn blocks_position(&self, about: &ResourceScope, position: i64) -> bool {
        self.touching(about).any(|part| part.first <= position)
    }

    /// The position of the last parked event.
    pub fn last(&self) -> i64 {
        self.0.iter().map(|part| part.last).max().unwrap_or(0)
    }

    /// How many events of a source a result lacks.
    pub fn events_of(&self, source: Uuid, about: &ResourceScope) -> u64 {
        let events = self.touching(about).filter(|part| part.source() == Some(source)).map(|part| part.events);
        u64::try_from(events.sum::<i64>()).unwrap_or(0)
    }

    /// The parts of no source, and those of the sources that are admitted.
    pub(crate) fn for_sources(&self, is_admitted: impl Fn(Uuid) -> bool) -> Self {
        Self(self.0.iter().filter(|part| part.source().is_none_or(&is_admitted)).cloned().collect())
    }

    /// Whether a result lacks events that decide on its finality.
    pub fn affects_finality(&self, about: &ResourceScope, decides: impl Fn(Uuid) -> bool) -> bool {
        self.touching(about).any(|part| part.source().is_none_or(&decides))
    }

    /// The warning that a result lacks parts, with the names of their sources.
    pub fn warning<'a>(&self, about: &ResourceScope, source_name: impl Fn(Uuid) -> Option<&'a str>) -> Option<Warning> {
        let touching: Vec<_> = self.touching(about).collect();
        let names: BTreeSet<_> =
            touching.iter().filter_map(|part| source_name(part.source()?)).map(str::to_owned).collect();
        (!touching.is_empty()).then(|| Warning {
            code: "parked",
            detail: "The answer lacks events that could not be applied and are parked; /v1/freshness lists them."
                .to_owned(),
            sources: names.into_iter().collect(),
            measures: Vec::new(),
            spend: None,
        })
    }
}

/// The parked parts of a workspace in an epoch.
pub(crate) async fn load(db: impl PgExecutor<'_>, workspace: i32, epoch: i32) -> Result<Parked, ReadError> {
    let rows = sqlx::query!(
        "SELECT stream_type, stream_id, campaign_id, position, last_position, waiting FROM read.parked
         WHERE projection = $1 AND epoch = $2 AND workspace = $3",
        CAMPAIGN_MODEL,
        epoch,
        workspace,
    )
    .fetch_all(db)
    .await?;
    let parts = rows.into_iter().map(|row| ParkedPart {
        origin: ParkedOrigin::read(&row.stream_type, &row.stream_id, row.campaign_id),
        first: row.position,
        last: row.last_position,
        events: row.waiting,
    });
    Ok(Parked(parts.collect()))
}

#[cfg(test)]
mod tests;
