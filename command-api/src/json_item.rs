//! Errors of malformed JSON items.

use domain::item::{ItemError, ItemErrorCode, truncate};
use serde::Deserialize;

/// The error of an item that is not a `T`. A second parse, only for such items, finds the member with the error.
pub(crate) fn malformed<'a, T: Deserialize<'a>>(json: &'a str) -> ItemError {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        return ItemError::whole(ItemErrorCode::Malformed, "is not an item");
    };
    let path = error.path().to_string();
    let error = error.into_inner();
    // "." is the path of the item itself, and the position within an item is of no use to the caller.
    let field = (path != ".").then_some(path);
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let detail = truncate(text.strip_suffix(&position).unwrap_or(&text));
    ItemError { reason: ItemErrorCode::Malformed, field, detail }
}
