//! Rejections of single items of a batch.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use thiserror::Error;

macro_rules! item_error_codes {
    ($($(#[doc = $doc:literal])+ $code:ident,)+) => {
        /// The stable code of an item's error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, IntoStaticStr)]
        #[serde(rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        pub enum ItemErrorCode {
            $($(#[doc = $doc])+ $code,)+
        }

        impl ItemErrorCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// Its name, as it is written everywhere.
            pub fn name(self) -> &'static str {
                self.into()
            }
        }
    };
}

item_error_codes! {
    /// The item has a missing or unknown member, or one of another type.
    Malformed,
    /// The item requests something that is not supported.
    Unsupported,
    /// The item is too long.
    TooLong,
    /// The id is empty, too long or holds control characters.
    BadId,
    /// The item names no campaign, names two, or uses an invalid id.
    BadCampaign,
    /// The workspace has no campaign with that id.
    UnknownCampaign,
    /// The source has created as many campaigns today as one source may.
    TooManyNewCampaigns,
    /// The campaign was archived. Only the answer to a repeated request has it, whose first answer is of before
    /// archived campaigns took everything.
    Archived,
    /// Of a time after the end of its source.
    SourceEnded,
    /// No observation type has this name.
    UnknownType,
    /// The text is not an instant.
    BadTime,
    /// The instant is in the future.
    InFuture,
    /// Older than the source's acceptance window: its restatement horizon, at least 7 and at most 90 days. A backfill
    /// takes it.
    TooOld,
    /// Too young for this backfill: it lies at its edge or after it. Plain ingest takes it.
    InWindow,
    /// The number is not a valid count of this type.
    BadCount,
    /// The number is not a valid value of this measure.
    BadValue,
    /// The money is beyond the workspace's limit of one amount.
    OverMoneyLimit,
    /// The money is in another currency than the source's.
    CurrencyMismatch,
    /// This type has no value.
    ValueNotTaken,
    /// There are too many dimensions, one has an invalid name or length, or they are not those of the batch's
    /// breakdown.
    BadDimensions,
    /// The breakdown has as many rows of this campaign and bucket as it may.
    TooManyValues,
    /// A correction takes the dimensions of its original.
    DimensionsNotTaken,
    /// The message or the recipient is missing, invalid, or not taken by this type.
    BadMessage,
    /// The member is neither the id of an observation, nor an id with a day.
    BadAdjusts,
    /// No observation of the source and type that could be corrected has this id.
    UnknownObservation,
    /// The id to correct was used on several days.
    AmbiguousObservation,
    /// The observation to correct is itself a correction. Its original can be corrected again.
    AdjustsCorrection,
    /// The observation to correct belongs to another campaign.
    OtherCampaign,
    /// The bucket does not fit the grain and zone.
    BadBucket,
    /// The statement has no measures.
    NoMeasures,
    /// No measure has this name.
    UnknownMeasure,
    /// The source states this measure of the campaign in another grain or zone.
    GrainConflict,
    /// The source states buckets of this date in another zone.
    ZoneMismatch,
    /// The same content was recorded before.
    AlreadyRecorded,
    /// Other content was recorded under the same id.
    OtherContent,
    /// The statement repeats the latest values.
    Unchanged,
    /// A newer statement has other values.
    Superseded,
}

/// The error of an item, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct ItemError {
    /// The kind of error.
    pub reason: ItemErrorCode,
    /// The member with the error.
    pub field: Option<String>,
    /// The error, as the end of a sentence that begins with the field.
    pub detail: String,
}

impl ItemError {
    /// An error of one member.
    pub fn at(reason: ItemErrorCode, field: &str, detail: impl Into<String>) -> Self {
        Self { reason, field: Some(field.to_owned()), detail: detail.into() }
    }

    /// An error of the item as a whole.
    pub fn whole(reason: ItemErrorCode, detail: impl Into<String>) -> Self {
        Self { reason, field: None, detail: detail.into() }
    }
}

/// An unreadable item. It keeps its place in the batch, so that its sender gets the error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedItem {
    /// Its id, if that is readable.
    pub id: Option<String>,
    /// The error.
    pub error: ItemError,
}

impl From<ItemError> for RejectedItem {
    fn from(error: ItemError) -> Self {
        Self { id: None, error }
    }
}

/// Shortens a quoted text, so that an answer does not grow with the request.
pub fn truncate(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
