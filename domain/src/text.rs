//! Short texts that people and systems write: one line, bounded, nothing invisible to break a log or a key.

use thiserror::Error;

/// Why a text is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextError {
    /// Nothing, or only white space.
    #[error("must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error("has {length} characters, at most {max} are allowed")]
    TooLong {
        /// How many it has.
        length: usize,
        /// How many it may have.
        max: usize,
    },
    /// A line break, a tab, NUL or another control character.
    #[error("must not contain control characters such as line breaks")]
    ControlCharacter,
    /// A name that means something else where names are used.
    #[error("must be none of *, . and ..")]
    Reserved,
}

/// Takes a text of 1 to `max` characters without control characters, as it is.
pub(crate) fn check_line(text: &str, max: usize) -> Result<(), TextError> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        Err(TextError::Empty)
    } else if length > max {
        Err(TextError::TooLong { length, max })
    } else if text.contains(char::is_control) {
        Err(TextError::ControlCharacter)
    } else {
        Ok(())
    }
}
