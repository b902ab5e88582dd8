//! Patterns with `*` for any text.

/// Whether a pattern fits a text, whatever the case of either.
pub fn fits(pattern: &str, text: &str) -> bool {
    captured(&pattern.to_lowercase(), &text.to_lowercase()).is_some()
}

/// What the first `*` stands for; all of the text where there is none. `None`: the pattern does not fit.
pub fn captured<'a>(pattern: &str, text: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once('*') else { return (pattern == text).then_some(text) };
    let rest = text.strip_prefix(before)?;
    if !after.contains('*') {
        return rest.strip_suffix(after);
    }
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.into_iter().find(|end| captured(after, &rest[*end..]).is_some()).map(|end| &rest[..end])
}
