//! The sources that have delivered nothing yet, and are expected to.

use std::collections::{BTreeMap, BTreeSet};

use domain::measure::Measure;
use uuid::Uuid;

use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::sources::{self, Source, Sources};

/// The sources that have delivered nothing yet and are expected to: primaries of what is asked. Where the question is
/// of some campaigns, only those on whose channel one of these runs.
pub(super) async fn awaited(
    snapshot: &mut Snapshot,
    sources: &Sources,
    campaigns: Option<&BTreeSet<Uuid>>,
    measures: &BTreeSet<Measure>,
) -> Result<BTreeSet<Uuid>, ReadError> {
    let is_awaited = |source: &&Source| source.is_awaited() && !source.counted_among(measures).is_empty();
    let awaited: Vec<_> = sources.values().filter(is_awaited).collect();
    let on_channel: Box<dyn Fn(&Source) -> bool> = match campaigns {
        Some(ids) if !awaited.is_empty() => {
            let ids: Vec<_> = ids.iter().copied().collect();
            let channels = sources::channels_by_campaign(snapshot, &ids).await?;
            let channels: BTreeSet<String> = channels.into_values().flatten().collect();
            Box::new(move |source| channels.contains(source.definition.channel.name()))
        }
        Some(_) | None => Box::new(|_| true),
    };
    Ok(awaited.into_iter().filter(|source| on_channel(source)).map(|source| source.id).collect())
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
