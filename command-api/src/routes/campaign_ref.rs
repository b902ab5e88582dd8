//! How an item names its campaign: by our id, or by the id that its source uses.

use std::borrow::Cow;

use domain::ids::CampaignId;

use crate::item_error::{ItemError, ItemErrorCode};
use crate::raw_number::StrictStr;

const LONGEST_EXTERNAL_ID: usize = 200;

/// A campaign as an item names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum CampaignRef<'a> {
    /// Ours.
    Id(CampaignId),
    /// The source's.
    External(Cow<'a, str>),
}

/// Reads the two members of an item of which at most one may be there.
pub(crate) fn read_if_given<'a>(
    id: Option<StrictStr<'a>>,
    external: Option<StrictStr<'a>>,
) -> Result<Option<CampaignRef<'a>>, ItemError> {
    if id.is_none() && external.is_none() { Ok(None) } else { read(id, external).map(Some) }
}

/// Reads the two members of an item of which exactly one must be there.
pub(crate) fn read<'a>(
    id: Option<StrictStr<'a>>,
    external: Option<StrictStr<'a>>,
) -> Result<CampaignRef<'a>, ItemError> {
    match (id, external) {
        (Some(StrictStr(id)), None) => {
            let refuse = || ItemError::at(ItemErrorCode::BadCampaign, "campaign_id", "is not a campaign id");
            id.parse().map(CampaignRef::Id).map_err(|_| refuse())
        }
        (None, Some(StrictStr(id))) => {
            let length = id.chars().count();
            if length == 0 || length > LONGEST_EXTERNAL_ID || id.chars().any(char::is_control) {
                let detail = format!("must be 1 to {LONGEST_EXTERNAL_ID} characters, none a control character");
                return Err(ItemError::at(ItemErrorCode::BadCampaign, "external_campaign_id", detail));
            }
            Ok(CampaignRef::External(id))
        }
        (None, None) => {
            Err(ItemError::at(ItemErrorCode::BadCampaign, "campaign_id", "this or external_campaign_id must be given"))
        }
        (Some(_), Some(_)) => Err(ItemError::at(
            ItemErrorCode::BadCampaign,
            "campaign_id",
            "this and external_campaign_id cannot both be given",
        )),
    }
}
