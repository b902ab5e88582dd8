//! Why a command was given: in words, and where more is written.

use serde::Deserialize;
use thiserror::Error;

#[cfg(test)]
mod tests;

/// The most characters of a reason.
pub const MAX_REASON: usize = 500;
/// The most characters of the URL of a note.
pub const MAX_NOTE_URL: usize = 2_000;

/// What a caller notes beside a command. It is kept with the command's events, and decides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandNote {
    /// Why the command was given.
    pub reason: Option<Reason>,
    /// Where more is written: a ticket, a brief.
    pub url: Option<NoteUrl>,
}

/// A reason: 1 to 500 characters, in one or more lines.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Reason(String);

/// A link: an `http` or `https` URL of at most 2,000 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NoteUrl(String);

/// Why a text is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReasonError {
    /// Nothing, or only white space.
    #[error("must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error("has {length} characters, at most 500 are allowed")]
    TooLong {
        /// How many it has.
        length: usize,
    },
    /// A control character that is neither a line feed nor a tab.
    #[error("must not contain control characters other than line feeds and tabs")]
    ControlCharacter,
}

/// Why a text is no link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be an http or https URL of at most 2000 ASCII characters without spaces")]
pub struct NoteUrlError;

impl Reason {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NoteUrl {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = ReasonError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let length = text.chars().count();
        if text.trim().is_empty() {
            Err(ReasonError::Empty)
        } else if length > MAX_REASON {
            Err(ReasonError::TooLong { length })
        } else if text.contains(|each: char| each.is_control() && each != '\n' && each != '\t') {
            Err(ReasonError::ControlCharacter)
        } else {
            Ok(Self(text))
        }
    }
}

impl TryFrom<String> for NoteUrl {
    type Error = NoteUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let has_host =
            rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '['));
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte));
        if has_host && is_plain && text.len() <= MAX_NOTE_URL { Ok(Self(text)) } else { Err(NoteUrlError) }
    }
}
