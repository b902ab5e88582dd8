//! Escaping of HTML, and a minimal markup.

/// Escapes text for use between tags and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Renders one line of a description: text, and code between backticks.
pub(super) fn inline(text: &str) -> String {
    let mut parts = text.split('`').enumerate().peekable();
    let mut html = String::new();
    while let Some((place, part)) = parts.next() {
        let is_code = place % 2 == 1;
        match (is_code, parts.peek()) {
            (true, Some(_)) => {
                html.push_str("<code>");
                html.push_str(&escape(part));
                html.push_str("</code>");
            }
            // An unmatched backtick stands for itself.
            (true, None) => {
                html.push('`');
                html.push_str(&escape(part));
            }
            (false, _) => html.push_str(&escape(part)),
        }
    }
    html
}

/// Renders a description: paragraphs with blank lines between them.
pub(super) fn paragraphs(text: &str) -> String {
    let paragraph = |text: &str| format!("<p>{}</p>", inline(text.trim()));
    joined(text.split("\n\n").filter(|text| !text.trim().is_empty()).map(paragraph))
}

/// Concatenates parts of a page.
pub(super) fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().concat()
}
