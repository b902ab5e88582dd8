//! Every fault of a body, not only the first one that the parser meets.
//!
//! The parser stops at its first error. So the faulty member is put right, and the body is parsed again: a member that
//! is not known is taken out, and what is missing or wrong is replaced by that of the documented example.

use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::{FieldError, JsonError, parse};

/// The most faults that are looked for.
const MOST: usize = 32;
/// The largest body that is looked through, in bytes: each fault parses it once more.
const LARGEST: usize = 64 << 10;

/// The faults of a body whose first one is known.
pub(super) fn all<T: DeserializeOwned + ToSchema>(text: &str, first: FieldError) -> Vec<FieldError> {
    let mut faults = vec![first];
    let (RefOr::T(Schema::Object(schema)), true) = (T::schema(), text.len() <= LARGEST) else { return faults };
    let Ok(mut body) = serde_json::from_str::<Value>(text) else { return faults };
    let example = schema.example.unwrap_or_default();
    while let Some(fault) = faults.last().filter(|_| faults.len() < MOST) {
        if !put_right(&mut body, &example, &fault.field) {
            break;
        }
        match parse::<T>(&body.to_string()) {
            Err(JsonError::Invalid(next)) if faults.iter().all(|fault| fault.field != next.field) => faults.push(next),
            Ok(_) | Err(_) => break,
        }
    }
    faults
}

/// Replaces the value at a path such as `lines[1].count` by that of the example, or takes it out. False where neither
/// changes anything.
fn put_right(body: &mut Value, example: &Value, path: &str) -> bool {
    let pointer = pointer(path);
    let Some((parent, name)) = pointer.rsplit_once('/') else { return false };
    let stand_in = example.pointer(&pointer).cloned();
    let Some(Value::Object(members)) = body.pointer_mut(parent) else { return false };
    match stand_in {
        Some(value) if members.get(name) != Some(&value) => {
            members.insert(name.to_owned(), value);
            true
        }
        Some(_) | None => members.remove(name).is_some(),
    }
}

/// A path as a JSON pointer. Names with a full stop or a bracket in them are not found, and end the search.
fn pointer(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    format!("/{}", path.replace('[', "/").replace(']', "").replace('.', "/"))
}
