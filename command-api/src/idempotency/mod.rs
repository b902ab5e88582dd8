//! `Idempotency-Key`: the same key with the same content gets the first answer again.
//!
//! The receipt is written in the transaction of the events that it stands for, so there is no moment at which one exists
//! without the other. Where a route looks before its append, it is only a short cut: the append judges under the head's lock.
//! While a command is carried out, its key is in flight: a twin is told to come again.

mod in_flight; // twins that come while the first is carried out

use http::{HeaderMap, HeaderName, Method};
use sha2::{Digest, Sha256};
use thiserror::Error;

pub(crate) use in_flight::{InFlight, InFlightGuard};

/// The request header.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The answer's header, where the answer was given before.
pub(crate) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const LONGEST: usize = 255;

/// What makes two requests the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Idempotency {
    /// As the caller chose it.
    pub(crate) key: String,
    /// Of method, path and body: what the key may not be used for twice.
    pub(crate) digest: [u8; 32],
}

/// Why a header is no key.
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
    if key.is_empty() || key.len() > LONGEST || !visible {
        return Err(IdempotencyKeyError::Malformed);
    }
    Ok(Some(key))
}

/// What stands before the closing quote, which must be the end.
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

/// The digest of a request's content, taken as it comes. Of the query only what is part of the content is put in; the rest
/// chooses how an answer is shown.
#[derive(Debug, Clone)]
pub(crate) struct RequestDigest(Sha256);

impl RequestDigest {
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        Self(Sha256::new()).with(method.as_str()).with(path)
    }

    /// With what is said beside the body. Its length goes before it, so that no two requests share a digest by moving a border.
    pub(crate) fn with(mut self, part: &str) -> Self {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
        self
    }

    /// More of the body, which comes last.
    pub(crate) fn add(&mut self, body: &[u8]) {
        self.0.update(body);
    }

    pub(crate) fn digest(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests;
