//! Why one item of a batch was not taken. Its neighbours are none the worse for it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A stable name for what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ItemErrorCode {
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
    /// Occurred after its campaign was archived.
    Archived,
    /// No observation type has this name.
    UnknownType,
    /// Not an instant.
    BadTime,
    /// Lies ahead of our clock.
    InFuture,
    /// Older than the window in which ids are kept.
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemError {
    pub(crate) reason: ItemErrorCode,
    /// The member at fault.
    pub(crate) field: Option<String>,
    /// What is wrong with it.
    pub(crate) detail: String,
}

impl ItemError {
    pub(crate) fn at(reason: ItemErrorCode, field: &str, detail: impl Into<String>) -> Self {
        Self { reason, field: Some(field.to_owned()), detail: detail.into() }
    }

    /// An item that could not be read. Costs a second parse, which only such items pay, to find the member at fault.
    pub(crate) fn malformed<'a, T: Deserialize<'a>>(json: &'a str) -> Self {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let (field, detail) = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
            Ok(_) => (None, "is not an item".to_owned()),
            Err(error) => {
                let path = error.path().to_string();
                // "." is the path of the item itself; the position within an item would tell the caller nothing.
                let field = (path != ".").then_some(path);
                let detail = error.into_inner().to_string();
                (field, detail.split(" at line ").next().unwrap_or_default().to_owned())
            }
        };
        Self { reason: ItemErrorCode::Malformed, field, detail: truncate(&detail) }
    }
}

/// Texts that quote the caller are cut: an answer must not grow with what was sent.
pub(crate) fn truncate(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
