//! The `Idempotency-Key` header, and the digest of a key's request.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The request header.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of a repeated response.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Its value.
pub(crate) const REPLAYED: HeaderValue = HeaderValue::from_static("true");

const MAX_KEY: usize = 255;

/// The error of a header without a valid key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum IdempotencyKeyError {
    #[error("is given more than once")]
    Repeated,
    #[error("must be 1 to 255 visible ASCII characters, bare or as a quoted string")]
    Malformed,
}

/// Reads the key: a bare token, or the quoted string of RFC 8941 with `\"` and `\\` escaped.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, IdempotencyKeyError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(IdempotencyKeyError::Repeated);
    }
    let text = value.to_str().map_err(|_| IdempotencyKeyError::Malformed)?.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest).ok_or(IdempotencyKeyError::Malformed)?,
        None => text.to_owned(),
    };
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if key.is_empty() || key.len() > MAX_KEY || !visible {
        return Err(IdempotencyKeyError::Malformed);
    }
    Ok(Some(key))
}

/// The text before the closing quote, which must be the last character.
fn unquoted(rest: &str) -> Option<String> {
    let mut key = String::with_capacity(rest.len());
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(key),
            '\\' => match characters.next()? {
                escaped @ ('"' | '\\') => key.push(escaped),
                _ => return None,
            },
            plain => key.push(plain),
        }
    }
}

/// The digest of a request's content, computed as the content arrives. Of the query, it covers only what belongs to the
/// content; the rest only affects the response.
#[derive(Debug, Clone)]
pub(crate) struct RequestDigest(Sha256);

impl RequestDigest {
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        Self(Sha256::new()).with(method.as_str()).with(path)
    }

    /// Adds a part besides the body. Its length precedes it, so that moving a border between parts changes the digest.
    pub(crate) fn with(mut self, part: &str) -> Self {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    /// Adds a piece of the body, which comes last.
    pub(crate) fn add(&mut self, body: &[u8]) {
        self.0.update(body);
    }

    pub(crate) fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// The digest of a body alone.
pub(crate) fn digest(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

#[cfg(test)]
mod tests;
