//! The source of a batch and the campaigns that it names, from the claims.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::ids::{CampaignId, SourceId};
use domain::item::{CampaignRef, ItemError, ItemErrorCode, truncate};
use domain::source::{SeriesTimeline, SourceDefinition, SourceDetails, SourceKind};
use event_store::{Claim, ClaimEffect};
use serde::{Deserialize, Serialize};

use crate::claims::{self, CAMPAIGN, ClaimReader, EXTERNAL_CAMPAIGN, SOURCE_NAME};
use crate::error::CommandError;

/// A registered source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolvedSource {
    pub(crate) id: SourceId,
    /// What it was registered as.
    pub(crate) definition: SourceDefinition,
    /// The same, with how it changed since.
    pub(crate) details: SourceDetails,
    /// Its series by date.
    pub(crate) series: SeriesTimeline,
    /// The version of its stream.
    pub(crate) version: i64,
}

/// What the claim of a source's name keeps.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SourceState {
    /// The version of its stream.
    pub(crate) version: i64,
    #[serde(flatten)]
    pub(crate) details: SourceDetails,
}

impl ResolvedSource {
    /// Looks a source up by its name.
    pub(crate) async fn find(lookup: &mut ClaimReader<'_>, name: &str) -> Result<Option<Self>, CommandError> {
        // No source has such a name, and PostgreSQL accepts no text with a NUL.
        if name.contains('\0') {
            return Ok(None);
        }
        lookup.find_cached([(SOURCE_NAME, name.to_owned())]).await?;
        Self::seen(lookup, name)
    }

    pub(crate) fn of_state(SourceState { version, details }: SourceState) -> Self {
        let (definition, series) = (details.definition.clone(), details.series());
        Self { id: details.source, definition, details, series, version }
    }

    /// Rejects a batch of a kind that the source does not send.
    pub(crate) fn require(&self, kind: SourceKind) -> Result<(), CommandError> {
        if self.definition.kind == kind {
            return Ok(());
        }
        Err(CommandError::WrongSourceKind { name: self.definition.name.clone(), kind: self.definition.kind })
    }

    /// Rejects an item of a time of which nothing is expected: the source had ended.
    pub(crate) fn check_expected(&self, field: &str, at: DateTime<Utc>) -> Result<(), ItemError> {
        if !self.details.is_paused_at(at) {
            return Ok(());
        }
        let detail = "lies after the end of this source; POST /v1/sources/{name}/resume brings it back";
        Err(ItemError::at(ItemErrorCode::SourceEnded, field, detail.to_owned()))
    }

    /// The source that was looked up under this name.
    fn seen(lookup: &ClaimReader<'_>, name: &str) -> Result<Option<Self>, CommandError> {
        let Some(held) = lookup.held(SOURCE_NAME, name) else { return Ok(None) };
        let state = serde_json::from_str(&held.state).map_err(|_| CommandError::bad_claim(SOURCE_NAME, name))?;
        Ok(Some(Self::of_state(state)))
    }
}

/// A source and campaigns, with the claims that resolved them.
#[derive(Debug)]
pub(crate) struct ResolvedRefs<'a> {
    pub(crate) source: ResolvedSource,
    campaigns: HashMap<&'a CampaignRef, CampaignId>,
    relied_on: BTreeSet<(&'static str, String)>,
    /// Whether the source has created as many campaigns today as it may.
    pub(crate) is_at_limit: bool,
}

impl<'a> ResolvedRefs<'a> {
    /// Looks up a source and the campaigns of its `references`; `None` if there is no such source. A source's own
    /// external ids take precedence over the workspace's.
    pub(crate) async fn find(
        lookup: &mut ClaimReader<'_>,
        source: &str,
        references: impl Iterator<Item = &'a CampaignRef>,
    ) -> Result<Option<Self>, CommandError> {
        if source.contains('\0') {
            return Ok(None);
        }
        let references: HashSet<&CampaignRef> = references.collect();
        let source_key = (SOURCE_NAME, source.to_owned());
        let mut wanted = vec![source_key.clone()];
        for reference in &references {
            match reference {
                CampaignRef::Id(id) => wanted.push((CAMPAIGN, id.to_string())),
                CampaignRef::External(id) => {
                    let own = (EXTERNAL_CAMPAIGN, claims::external_key(Some(source), id));
                    // The workspace rarely has such an id, and absent claims are never cached.
                    if !lookup.take_cached(&own) {
                        wanted.push((EXTERNAL_CAMPAIGN, claims::external_key(None, id)));
                    }
                    wanted.push(own);
                }
            }
        }
        lookup.find_cached(wanted).await?;
        let Some(found) = ResolvedSource::seen(lookup, source)? else { return Ok(None) };

        let mut relied_on = BTreeSet::from([source_key]);
        let mut campaigns = HashMap::new();
        for reference in references {
            let campaign = match reference {
                CampaignRef::Id(id) => existing(lookup, *id, &mut relied_on),
                CampaignRef::External(id) => external_owner(lookup, source, id, &mut relied_on)?,
            };
            campaigns.extend(campaign.map(|campaign| (reference, campaign)));
        }
        Ok(Some(Self { source: found, campaigns, relied_on, is_at_limit: false }))
    }

    /// A known source with campaigns, for tests.
    #[cfg(test)]
    pub(crate) fn of<const N: usize>(source: ResolvedSource, campaigns: [(&'a CampaignRef, CampaignId); N]) -> Self {
        Self { source, campaigns: campaigns.into(), relied_on: BTreeSet::new(), is_at_limit: false }
    }

    /// The campaign that an item means.
    pub(crate) fn campaign(&self, reference: &CampaignRef) -> Result<CampaignId, ItemError> {
        self.campaigns.get(reference).copied().ok_or_else(|| {
            if self.is_at_limit && matches!(reference, CampaignRef::External(_)) {
                let detail = "names no campaign, and this source has created as many today as one source may";
                return ItemError::at(ItemErrorCode::TooManyNewCampaigns, "external_campaign_id", detail);
            }
            let (field, detail) = match reference {
                CampaignRef::Id(id) => ("campaign_id", format!("no campaign has the id \"{id}\"")),
                CampaignRef::External(id) => (
                    "external_campaign_id",
                    format!(
                        "no campaign has the external id \"{}\" for the source \"{}\", or for any source",
                        truncate(id),
                        truncate(&self.source.definition.name)
                    ),
                ),
            };
            ItemError::at(ItemErrorCode::UnknownCampaign, field, detail)
        })
    }

    /// Asserts every claim that was relied on.
    pub(crate) fn assertions(&self, lookup: &ClaimReader<'_>) -> Vec<Claim> {
        self.relied_on.iter().map(|(kind, key)| lookup.assert(kind, key, ClaimEffect::Keep)).collect()
    }
}

/// A campaign by its own id, if there is one.
fn existing(
    lookup: &ClaimReader<'_>,
    id: CampaignId,
    relied_on: &mut BTreeSet<(&'static str, String)>,
) -> Option<CampaignId> {
    let key = id.to_string();
    lookup.held(CAMPAIGN, &key)?;
    relied_on.insert((CAMPAIGN, key));
    Some(id)
}

/// The campaign that an external id stands for. When the workspace's is used, that the source has no such id of its own
/// is relied on too.
fn external_owner(
    lookup: &ClaimReader<'_>,
    source: &str,
    id: &str,
    relied_on: &mut BTreeSet<(&'static str, String)>,
) -> Result<Option<CampaignId>, CommandError> {
    for scope in [Some(source), None] {
        let key = claims::external_key(scope, id);
        if let Some(held) = lookup.held(EXTERNAL_CAMPAIGN, &key) {
            let owner = held.owner.parse().map_err(|_| CommandError::bad_claim(EXTERNAL_CAMPAIGN, &key))?;
            relied_on.insert((EXTERNAL_CAMPAIGN, key));
            if scope.is_none() {
                relied_on.insert((EXTERNAL_CAMPAIGN, claims::external_key(Some(source), id)));
            }
            return Ok(Some(owner));
        }
    }
    Ok(None)
}
