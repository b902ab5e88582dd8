//! What the reports of a snapshot have in common, looked up once.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use super::expected::CampaignChannels;
use super::rollup::EpochLimits;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::last_change::{LastChange, NumberMarks, Scope};
use crate::sources::{self, Sources};

/// What the reports of a snapshot have in common, looked up once.
pub(crate) struct SnapshotLookups {
    pub(super) sources: Arc<Sources>,
    pub(super) limits: EpochLimits,
    /// By scope and marks of numbers.
    last_changes: HashMap<(Scope, NumberMarks), LastChange>,
    pub(super) campaign_channels: CampaignChannels,
    /// By the campaigns.
    sources_by_campaign: HashMap<Vec<Uuid>, SourcesByCampaign>,
}

/// The sources that feed each campaign.
pub(super) type SourcesByCampaign = BTreeMap<Uuid, BTreeSet<Uuid>>;

impl SnapshotLookups {
    pub(crate) async fn load(snapshot: &mut Snapshot) -> Result<Self, ReadError> {
        let (sources, limits) = (Arc::new(sources::load(snapshot).await?), EpochLimits::load(snapshot).await?);
        Ok(Self {
            sources,
            limits,
            last_changes: HashMap::new(),
            campaign_channels: CampaignChannels::default(),
            sources_by_campaign: HashMap::new(),
        })
    }

    pub(super) async fn last_change(
        &mut self,
        snapshot: &mut Snapshot,
        scope: &Scope,
        marks: NumberMarks,
    ) -> Result<LastChange, ReadError> {
        Ok(match self.last_changes.entry((scope.clone(), marks)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                let (scope, marks) = unknown.key();
                let last_change = scope.last_change(snapshot, marks).await?;
                *unknown.insert(last_change)
            }
        })
    }

    pub(super) async fn sources_by_campaign(
        &mut self,
        snapshot: &mut Snapshot,
        campaigns: &BTreeSet<Uuid>,
    ) -> Result<SourcesByCampaign, ReadError> {
        Ok(match self.sources_by_campaign.entry(campaigns.iter().copied().collect()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(unknown) => {
                let sources_by_campaign = sources::sources_by_campaign(snapshot, unknown.key()).await?;
                unknown.insert(sources_by_campaign).clone()
            }
        })
    }
}
