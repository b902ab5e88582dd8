//! Names as files hold them, mended before they are judged.

use std::borrow::Cow;

/// A name without line breaks, tabs and other control characters, and whether it had some. The first two become spaces.
/// Spaces around a name mean nothing.
pub fn mend(name: &str) -> (Cow<'_, str>, bool) {
    let trimmed = name.trim();
    if !trimmed.contains(char::is_control) {
        return (Cow::Borrowed(trimmed), false);
    }
    let mut mended = String::with_capacity(trimmed.len());
    let mut characters = trimmed.chars().peekable();
    while let Some(each) = characters.next() {
        match each {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' | '\n' | '\t' | '\u{85}' => mended.push(' '),
            _ if each.is_control() => {}
            _ => mended.push(each),
        }
    }
    (Cow::Owned(mended.trim().to_owned()), true)
}
