//! The campaign of a JSON item: by Highwater's id, or by the id that its source uses.

use domain::item::{CampaignRef, ItemError, ItemErrorCode};

use crate::raw_number::StrictStr;

/// Reads the two members of an item, of which at most one may be given.
pub(super) fn read_optional(
    id: Option<StrictStr<'_>>,
    external: Option<StrictStr<'_>>,
) -> Result<Option<CampaignRef>, ItemError> {
    if id.is_none() && external.is_none() { Ok(None) } else { read(id, external).map(Some) }
}

/// Reads the two members of an item, of which exactly one must be given.
pub(super) fn read(id: Option<StrictStr<'_>>, external: Option<StrictStr<'_>>) -> Result<CampaignRef, ItemError> {
    let reject = |detail: &str| ItemError::at(ItemErrorCode::BadCampaign, "campaign_id", detail);
    match (id, external) {
        (Some(StrictStr(id)), None) => id.parse().map(CampaignRef::Id).map_err(|_| reject("is not a campaign id")),
        (None, Some(StrictStr(id))) => Ok(CampaignRef::External(id.into_owned())),
        (None, None) => Err(reject("this or external_campaign_id must be given")),
        (Some(_), Some(_)) => Err(reject("this and external_campaign_id cannot both be given")),
    }
}
