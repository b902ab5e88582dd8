//! Short texts: one line, of limited length, without control characters.

use thiserror::Error;

/// The error of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TextError {
    /// The text is empty or only white space.
    #[error("must not be empty")]
    Empty,
    /// The text is too long.
    #[error("has {length} characters, at most {max} are allowed")]
    TooLong {
        /// Its length in characters.
        length: usize,
        /// The longest allowed length.
        max: usize,
    },
    /// The text contains a line break, a tab, NUL or another control character.
    #[error("must not contain control characters such as line breaks")]
    ControlCharacter,
    /// The name has another meaning.
    #[error("must be none of *, . and ..")]
    Reserved,
}

/// Accepts a text of 1 to `max` characters without control characters, unchanged.
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
