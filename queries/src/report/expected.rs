//! The sources that have delivered nothing yet, and are expected to.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::measure::Measure;
use uuid::Uuid;

use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::sources::{self, DateRange, PeriodId, Source, SourcePeriods, periods_of};

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

/// Those of `others`, which feed nothing that is asked, that may have to be waited for: where the question is of some
/// campaigns, the sources on whose channel one of these runs. Whether one of them still delivers nothing may change, so
/// the version rests on each.
pub(super) async fn candidates(
    snapshot: &mut Snapshot,
    known: &mut CampaignChannels,
    others: &[&Source],
    range: &DateRange,
    campaigns: Option<&BTreeSet<Uuid>>,
) -> Result<BTreeSet<Uuid>, ReadError> {
    let Some(campaigns) = campaigns.filter(|_| !others.is_empty()) else {
        return Ok(others.iter().map(|source| source.id).collect());
    };
    let channels = known.of(snapshot, campaigns).await?;
    let on_channel = |source: &&&Source| {
        let mut definitions = source.definitions_within(range).into_iter();
        definitions.any(|own| channels.contains(own.definition.channel.name()))
    };
    Ok(others.iter().filter(on_channel).map(|source| source.id).collect())
}

/// Those of the candidates that have delivered nothing yet and are expected to: primaries of what is asked.
pub(super) async fn awaited(
    snapshot: &mut Snapshot,
    known: &mut CampaignChannels,
    candidates: &BTreeSet<Uuid>,
    (admitted, measures): (&SourcePeriods, &BTreeSet<Measure>),
    campaigns: Option<&BTreeSet<Uuid>>,
) -> Result<BTreeSet<PeriodId>, ReadError> {
    let is_awaited = |source: &&Source| source.is_awaited() && !source.counted_among(measures).is_empty();
    let awaited: Vec<_> = candidates.iter().flat_map(|id| periods_of(admitted, *id)).filter(is_awaited).collect();
    let Some(campaigns) = campaigns.filter(|_| !awaited.is_empty()) else {
        return Ok(awaited.into_iter().map(Source::period_id).collect());
    };
    // A source may have been on the channel for a part of the time.
    let channels = known.of(snapshot, campaigns).await?;
    let on_channel = awaited.into_iter().filter(|source| channels.contains(source.definition.channel.name()));
    Ok(on_channel.map(Source::period_id).collect())
}

/// Adds them to the sources of each campaign that runs on their channel.
pub(super) async fn add_awaited(
    snapshot: &mut Snapshot,
    by_campaign: &mut BTreeMap<Uuid, BTreeSet<PeriodId>>,
    awaited: &BTreeSet<PeriodId>,
    all: &SourcePeriods,
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
        ids.extend(awaited.filter(on_channel).map(Source::period_id));
    }
    Ok(())
}
