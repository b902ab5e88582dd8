//! The sources that have delivered nothing yet, and are expected to.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::measure::Measure;
use uuid::Uuid;

use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::sources::{self, Source, Sources};

/// The channels on which campaigns run, looked up once for all reports of a snapshot.
#[derive(Debug, Default)]
pub(super) struct CampaignChannels(HashMap<Vec<Uuid>, BTreeSet<String>>);

impl CampaignChannels {
    async fn of(
        &mut self,
        snapshot: &mut Snapshot,
        campaigns: &BTreeSet<Uuid>,
    ) -> Result<&BTreeSet<String>, ReadError> {
        Ok(match self.0.entry(campaigns.iter().copied().collect()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let channels = sources::channels_by_campaign(snapshot, unknown.key()).await?;
                unknown.insert(channels.into_values().flatten().collect())
            }
        })
    }
}

/// The sources that may have to be waited for, though they feed nothing that is asked: where the question is of some
/// campaigns, those on whose channel one of these runs. Whether one of them still delivers nothing may change, so the
/// version rests on each.
pub(super) async fn candidates(
    snapshot: &mut Snapshot,
    known: &mut CampaignChannels,
    all: &Sources,
    feeding: &BTreeSet<&Uuid>,
    campaigns: Option<&BTreeSet<Uuid>>,
) -> Result<BTreeSet<Uuid>, ReadError> {
    let others: Vec<_> = all.values().filter(|source| !feeding.contains(&source.id)).collect();
    let Some(campaigns) = campaigns.filter(|_| !others.is_empty()) else {
        return Ok(others.into_iter().map(|source| source.id).collect());
    };
    let channels = known.of(snapshot, campaigns).await?;
    let on_channel = |source: &&Source| channels.contains(source.definition.channel.name());
    Ok(others.into_iter().filter(on_channel).map(|source| source.id).collect())
}

/// Those of the candidates that have delivered nothing yet and are expected to: primaries of what is asked.
pub(super) fn awaited(candidates: &BTreeSet<Uuid>, admitted: &Sources, measures: &BTreeSet<Measure>) -> BTreeSet<Uuid> {
    let is_awaited = |source: &&Source| source.is_awaited() && !source.counted_among(measures).is_empty();
    let sources = candidates.iter().filter_map(|id| admitted.get(id));
    sources.filter(is_awaited).map(|source| source.id).collect()
}

/// Adds them to the sources of each campaign that runs on their channel.
pub(super) async fn add_awaited(
    snapshot: &mut Snapshot,
    by_campaign: &mut BTreeMap<Uuid, BTreeSet<Uuid>>,
    awaited: &BTreeSet<Uuid>,
    all: &Sources,
) -> Result<(), ReadError> {
    if awaited.is_empty() {
        return Ok(());
    }
    let campaigns: Vec<_> = by_campaign.keys().copied().collect();
    let channels = sources::channels_by_campaign(snapshot, &campaigns).await?;
    for (campaign, ids) in by_campaign {
        let channels = channels.get(campaign).map_or(&[][..], Vec::as_slice);
        let awaited = awaited.iter().filter_map(|id| all.get(id));
        let on_channel = |source: &&Source| channels.iter().any(|channel| channel == source.definition.channel.name());
        ids.extend(awaited.filter(on_channel).map(|source| source.id));
    }
    Ok(())
}
