//! Query strings. An unknown, missing or wrong parameter is rejected (400) by name.

mod list;
mod value;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;

use self::value::{EncodedValue, decoded};
use super::problem::{FieldError, Problem, kinds};
use super::words;

pub use list::{CommaList, to_string};

#[derive(Debug, Clone, Copy)]
pub struct ApiQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Parses a query string as `ApiQuery` does.
pub fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let refused = |wrong: FieldError| Problem::new(kinds::INVALID_QUERY).field(wrong.field, wrong.detail);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs: Vec<(&str, &str)> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    // Decoding accepts any bytes and puts `\u{fffd}` in place of invalid UTF-8.
    for (name, value) in &pairs {
        for text in [name, value] {
            check(text).map_err(|detail| refused(words::field_error(&decoded(name), detail)))?;
        }
    }
    let pairs = pairs.into_iter().map(|(name, value)| (decoded(name), EncodedValue(value)));
    serde_path_to_error::deserialize(MapDeserializer::new(pairs))
        .map_err(|error| refused(words::field_error(&error.path().to_string(), &error.inner().to_string())))
}

/// Checks that percent-encoded bytes are text.
fn check(encoded: &str) -> Result<(), &'static str> {
    let mut pieces = encoded.split('%');
    let mut bytes: Vec<u8> = pieces.next().unwrap_or_default().into();
    for piece in pieces {
        let code = piece.get(..2).filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(byte.ok_or("holds a % without two hexadecimal digits behind it; % itself is written %25")?);
        bytes.extend(piece.bytes().skip(2));
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains('\0') => Err("must not hold the character NUL (%00)"),
        Ok(_) => Ok(()),
        Err(_) => Err("is not UTF-8"),
    }
}

#[cfg(test)]
mod tests;
