//! JSON request bodies. A text that is not JSON is malformed (400). JSON that does not fit the route is invalid (422),
//! and the problem names the field. PostgreSQL's text cannot hold the character NUL, so it is rejected here.

mod faults; // every fault of a body

use std::fmt::Write as _;
use std::ops::Deref;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use utoipa::ToSchema;

use super::problem::{FieldError, Problem, kinds};
use super::{body, words};

/// What some programs write before a text.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// A JSON body that is checked whole. One string with a NUL rejects the request. A route that checks items one by one
/// reads the bytes with `read` and their envelope with `parse_envelope`.
#[derive(Debug, Clone, Copy)]
pub struct ApiJson<T>(pub T);

impl<T> Deref for ApiJson<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A JSON body whose members are kept as raw text and checked one by one, by `parse_envelope`.
#[derive(Debug, Clone, Copy)]
pub struct ApiEnvelope<T>(pub T);

/// An error of parsing a JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonError {
    /// The text is not JSON.
    Malformed { detail: String },
    /// The text is JSON, but this field is wrong.
    Invalid(FieldError),
}

impl From<JsonError> for Problem {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Malformed { detail } => Problem::new(kinds::MALFORMED_JSON).detail(detail),
            JsonError::Invalid(FieldError { field, detail }) => Problem::new(kinds::INVALID_BODY).field(field, detail),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned + ToSchema> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = read(request, state).await?;
        Ok(Self(parse_body(text(&body)?)?))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ApiEnvelope<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = read(request, state).await?;
        Ok(Self(parse_envelope(text(&body)?)?))
    }
}

/// Parses one JSON text with every check of `ApiJson`.
pub fn parse<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, JsonError> {
    if text.contains("\\u0000")
        && let Some(field) = find_nul(text)?
    {
        let detail = "must not hold the character NUL (\\u0000)".to_owned();
        return Err(JsonError::Invalid(FieldError { field, detail }));
    }
    deserialize(text)
}

/// Parses a body with every check of `ApiJson`. The problem names every member with a fault, as far as they are found.
pub fn parse_body<T: DeserializeOwned + ToSchema>(text: &str) -> Result<T, Problem> {
    parse(text).map_err(|error| match error {
        JsonError::Invalid(first) => faults::all::<T>(text, first)
            .into_iter()
            .fold(Problem::new(kinds::INVALID_BODY), |problem, fault| problem.field(fault.field, fault.detail)),
        malformed @ JsonError::Malformed { .. } => malformed.into(),
    })
}

/// Parses the envelope of a batch. Its items stay `serde_json::value::RawValue` and go through `parse` one by one, so
/// that one bad item never fails the batch. Unlike with `parse`, strings of the envelope itself may still hold a NUL.
pub fn parse_envelope<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, JsonError> {
    deserialize(text)
}

fn deserialize<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        // serde_json reports some values of a wrong type, such as a number for a name, as if the text were not JSON.
        let is_json = error.inner().is_data() || serde_json::from_str::<IgnoredAny>(text).is_ok();
        describe(error.inner(), is_json, &path)
    })?;
    deserializer.end().map_err(|error| describe(&error, false, ""))?;
    Ok(value)
}

fn describe(error: &serde_json::Error, is_json: bool, path: &str) -> JsonError {
    if is_json {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let text = error.to_string();
        JsonError::Invalid(words::field_error(path, text.strip_suffix(&place).unwrap_or(&text)))
    } else {
        JsonError::Malformed { detail: words::shortened(&error.to_string()) }
    }
}

/// The path of the first string that holds a NUL. The text contains the escape, but the backslash may itself be
/// escaped.
fn find_nul(text: &str) -> Result<Option<String>, JsonError> {
    let value: Value = deserialize(text)?;
    Ok(nul_in(&value, &mut String::new()))
}

fn nul_in(value: &Value, path: &mut String) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| path.clone()),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            let parent = path.len();
            // Writing to a string cannot fail.
            let _ = write!(path, "[{index}]");
            let found = nul_in(item, path);
            path.truncate(parent);
            found
        }),
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if name.contains('\0') {
                return Some(path.clone());
            }
            let parent = path.len();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name);
            let found = nul_in(member, path);
            path.truncate(parent);
            found
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Reads the bytes of a JSON body, for a handler that needs them unchanged.
pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if body::media_type(request.headers()).is_none_or(|media_type| media_type != "application/json") {
        return Err(body::unsupported_media_type("Send `Content-Type: application/json`."));
    }
    body::read_to_end(request, state).await
}

/// A JSON body as text. A byte order mark before it is ignored (RFC 8259, 8.1).
pub fn text(body: &Bytes) -> Result<&str, JsonError> {
    std::str::from_utf8(body)
        .map(|text| text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
        .map_err(|error| JsonError::Malformed { detail: format!("not UTF-8 from byte {} on", error.valid_up_to()) })
}

#[cfg(test)]
mod tests;
