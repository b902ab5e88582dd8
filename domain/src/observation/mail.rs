//! Mail: what happened to one message to one recipient.

use super::ObservationType;
use crate::item::{ItemError, ItemErrorCode};

const MAX_TEXT: usize = 320;

/// A message, and whom it was sent to. It is never kept: only its digest is, for as long as it must be recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The message, as its sender names it: of a campaign, or of one mailing.
    pub message: String,
    /// The recipient: an address, or any other name of one person.
    pub recipient: String,
}

impl Delivered {
    /// A message and its recipient, of which none is given without the other.
    pub fn of(message: Option<String>, recipient: Option<String>) -> Result<Option<Self>, ItemError> {
        match (message, recipient) {
            (Some(message), Some(recipient)) => Ok(Some(Self { message, recipient })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(bad_message("recipient", "is needed beside message")),
            (None, Some(_)) => Err(bad_message("message", "is needed beside recipient")),
        }
    }

    /// The recipient as it is compared: without white space around it, and whatever its case.
    pub fn compared_recipient(&self) -> String {
        self.recipient.trim().to_lowercase()
    }

    /// Rejects texts that name nothing.
    pub(super) fn validate(&self) -> Result<(), ItemError> {
        for (field, text) in [("message", &self.message), ("recipient", &self.recipient)] {
            if text.trim().is_empty() || text.chars().count() > MAX_TEXT || text.chars().any(char::is_control) {
                let detail = format!("must be 1 to {MAX_TEXT} characters, none of them a control character");
                return Err(bad_message(field, detail));
            }
        }
        Ok(())
    }
}

impl ObservationType {
    /// The type that counts every time, of a type that counts the first time of a message and recipient.
    pub fn every_time(self) -> Option<Self> {
        [(Self::Open, Self::OpenTotal), (Self::Click, Self::ClickTotal)]
            .into_iter()
            .find_map(|(first, every)| (self == first).then_some(every))
    }
}

/// The error of a message or a recipient.
pub fn bad_message(field: &str, detail: impl Into<String>) -> ItemError {
    ItemError::at(ItemErrorCode::BadMessage, field, detail)
}
