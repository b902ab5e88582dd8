//! Errors of malformed JSON items.

use domain::item::{ItemError, ItemErrorCode};
use http_edge::json::{JsonError, parse_envelope};
use http_edge::problem::FieldError;
use serde::Deserialize;

/// The error of an item that is not a `T`. A second parse, only for such items, finds the member with the error.
pub(crate) fn malformed<'a, T: Deserialize<'a>>(json: &'a str) -> ItemError {
    match parse_envelope::<T>(json) {
        Err(JsonError::Invalid(FieldError { field, detail })) => {
            let field = Some(field).filter(|field| !field.is_empty());
            ItemError { reason: ItemErrorCode::Malformed, field, detail }
        }
        Err(JsonError::Malformed { .. }) | Ok(_) => ItemError::whole(ItemErrorCode::Malformed, "is not an item"),
    }
}
