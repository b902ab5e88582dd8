//! Why one item of a batch is rejected.

use serde::{Deserialize, Serialize};
use thiserror::Error;

macro_rules! item_error_codes {
    ($($(#[doc = $doc:literal])+ $code:ident,)+) => {
        /// A stable name for what is wrong with an item.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ItemErrorCode {
            $($(#[doc = $doc])+ $code,)+
        }

        impl ItemErrorCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];
        }
    };
}

item_error_codes! {
    /// Not the shape of an item: a missing or unknown member, or one of another type.
    Malformed,
    /// Asks for something that is not offered.
    Unsupported,
    /// Longer than an item may be.
    TooLong,
    /// The id is empty, too long or holds control characters.
    BadId,
    /// Names no campaign, names two, or names one in no way that could be an id.
    BadCampaign,
    /// No campaign of this workspace goes by that id.
    UnknownCampaign,
    /// No observation type has this name.
    UnknownType,
    /// Not an instant.
    BadTime,
    /// Lies ahead of our clock.
    InFuture,
    /// Older than the source's acceptance window: its restatement horizon, at least 7 and at most 90 days.
    TooOld,
    /// Not a count of this type.
    BadCount,
    /// Not a value of this measure.
    BadValue,
    /// Money in another currency than the source's.
    CurrencyMismatch,
    /// This type has no value.
    ValueNotTaken,
    /// Too many dimensions, or one that is misnamed or too long.
    BadDimensions,
    /// A correction takes the dimensions of its original.
    DimensionsNotTaken,
    /// Not the id of an observation, nor an id with a day.
    BadAdjusts,
    /// No observation of the source and type that could be corrected has this id.
    UnknownObservation,
    /// The id to correct was used on several days.
    AmbiguousObservation,
    /// A correction cannot be corrected; its original can, again.
    AdjustsCorrection,
    /// The observation to correct is another campaign's.
    OtherCampaign,
    /// Not a bucket of the grain and zone.
    BadBucket,
    /// States nothing.
    NoMeasures,
    /// No measure has this name.
    UnknownMeasure,
    /// The source states this measure of the campaign in another grain or zone.
    GrainConflict,
    /// The same content was recorded before.
    AlreadyRecorded,
    /// Other content was recorded under the same id.
    OtherContent,
    /// States what was last stated.
    Unchanged,
    /// A newer statement says otherwise.
    Superseded,
}

/// What is wrong with an item, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{detail}")]
pub struct ItemError {
    /// The kind of error.
    pub reason: ItemErrorCode,
    /// The member at fault.
    pub field: Option<String>,
    /// What is wrong with it, as the end of a sentence that begins with the field.
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

/// An item that could not be read. It keeps its place in the batch, so that its sender is told what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedItem {
    /// Its id, where that could be read.
    pub id: Option<String>,
    /// Why it was rejected.
    pub error: ItemError,
}

impl From<ItemError> for RejectedItem {
    fn from(error: ItemError) -> Self {
        Self { id: None, error }
    }
}

/// Cuts a text that quotes the sender: an answer must not grow with what was sent.
pub fn truncate(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
