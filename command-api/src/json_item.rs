//! JSON items that cannot be read.

use domain::item::{ItemError, ItemErrorCode, truncate};
use serde::Deserialize;

/// The error of an item that is not a `T`. Costs a second parse, which only such items pay, to find the member at
/// fault.
pub(crate) fn malformed<'a, T: Deserialize<'a>>(json: &'a str) -> ItemError {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        return ItemError::whole(ItemErrorCode::Malformed, "is not an item");
    };
    let path = error.path().to_string();
    let error = error.into_inner();
    // "." is the path of the item itself; the position within an item would tell the caller nothing.
    let field = (path != ".").then_some(path);
    let position = format!(" at line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let detail = truncate(text.strip_suffix(&position).unwrap_or(&text));
    ItemError { reason: ItemErrorCode::Malformed, field, detail }
}
