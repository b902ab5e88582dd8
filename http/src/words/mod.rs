//! Messages of parsers, reworded for callers of the API.

use std::num::ParseIntError;

use super::problem::FieldError;

/// The longest value that is quoted. serde quotes a value of any length.
const LONGEST: usize = 300;
const UNKNOWN: &str = "unknown field";

/// The error of a parser at `path`. It may name a missing, unknown or duplicate member.
pub(super) fn field_error(path: &str, message: &str) -> FieldError {
    let path = if path == "." { "" } else { path };
    let (member, detail) = rewrite_message(message);
    let field = match member {
        None => path.to_owned(),
        // An unknown member is reported at its own path. A missing or duplicate member is reported below the path of
        // its object.
        Some(member) if message.starts_with(UNKNOWN) && (path == member || path.ends_with(&format!(".{member}"))) => {
            path.to_owned()
        }
        Some(member) if path.is_empty() => member.to_owned(),
        Some(member) => format!("{path}.{member}"),
    };
    FieldError { field: shortened(&field), detail: shortened(&detail) }
}

fn rewrite_message(message: &str) -> (Option<&str>, String) {
    let of_member = |what: &str| message.strip_prefix(what)?.strip_prefix(" `")?.split_once('`');
    if let Some((member, _)) = of_member("missing field") {
        return (Some(member), "is missing".to_owned());
    }
    if let Some((member, _)) = of_member("duplicate field") {
        return (Some(member), "is there more than once".to_owned());
    }
    if let Some((member, known)) = of_member(UNKNOWN) {
        return (
            Some(member),
            alternatives(known)
                .map_or("is not known; there are none".to_owned(), |known| format!("is not known; known are {known}")),
        );
    }
    if let Some((_, known)) = of_member("unknown variant") {
        return (
            None,
            alternatives(known).map_or("is not known".to_owned(), |known| format!("must be one of {known}")),
        );
    }
    let of_value = ["invalid type: ", "invalid value: "].into_iter().find_map(|what| message.strip_prefix(what));
    if let Some((found, wanted)) = of_value.and_then(|message| message.rsplit_once(", expected ")) {
        return (None, format!("must be {}, not {}", kind(wanted), value(found)));
    }
    // serde also accepts a list for an object and reports one that is too short.
    if message.starts_with("invalid length ") && message.contains(", expected struct ") {
        return (None, "must be an object, not a list".to_owned());
    }
    (None, number(message).or_else(|| id(message)).unwrap_or(message).to_owned())
}

/// Names as serde lists them: "expected `a`", "expected `a` or `b`", "expected one of `a`, `b`, `c`".
fn alternatives(message: &str) -> Option<String> {
    let (_, names) = message.split_once("expected ")?;
    Some(names.strip_prefix("one of ").unwrap_or(names).replace('`', ""))
}

/// The expected type.
fn kind(wanted: &str) -> &str {
    match wanted {
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => {
            "a whole number"
        }
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        "string" => "a string",
        other if other.starts_with("struct ") || other.starts_with("internally tagged enum ") => "an object",
        other if other.starts_with("enum ") => "a name",
        other => other,
    }
}

/// The value that was found.
fn value(found: &str) -> &str {
    match found {
        "sequence" => "a list",
        "map" => "an object",
        "unit value" => "null",
        other => {
            let plain =
                ["boolean `", "integer `", "floating point `"].into_iter().find_map(|kind| other.strip_prefix(kind));
            plain.and_then(|plain| plain.strip_suffix('`')).or_else(|| other.strip_prefix("string ")).unwrap_or(other)
        }
    }
}

/// The standard library's message for a text that is not a number or boolean.
fn number(message: &str) -> Option<&'static str> {
    let says = |text: &str| text.parse::<u8>().is_err_and(|error: ParseIntError| error.to_string() == message);
    if ["x", ""].into_iter().any(says) {
        Some("is not a whole number")
    } else if message == "provided string was not `true` or `false`" {
        Some("is neither true nor false")
    } else if says("256") || message == "number too small to fit in target type" {
        Some("is out of range")
    } else {
        None
    }
}

/// uuid's message for a text that is no id.
fn id(message: &str) -> Option<&'static str> {
    message.starts_with("UUID parsing failed").then_some("is not a UUID")
}

/// Shortens a text of any length.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((cut, _)) => format!("{}…", &text[..cut]),
    }
}

#[cfg(test)]
mod tests;
