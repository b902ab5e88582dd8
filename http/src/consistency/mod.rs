//! The consistency token. It means "at least everything up to this position". The command API returns it with each
//! accepted command, and the read API waits for it.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};

pub const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");

/// A position of one workspace's log, opaque to clients: `2.<workspace>.<position>.<recorded at>` in base64url. The
/// leading number is the version of the format. After a restore, another event may stand at the position: when it was
/// recorded tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsistencyToken {
    pub workspace: i32,
    pub position: i64,
    /// When the event of the position was recorded, in microseconds since 1970; 0 for position 0.
    pub recorded_at: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConsistencyTokenError {
    #[error("a consistency token is passed on as it was received: this one is not base64url")]
    NotBase64Url,
    #[error("this consistency token was made by another version of Highwater")]
    UnknownVersion,
    #[error("a consistency token is passed on as it was received: this one names no position")]
    Malformed,
}

impl ConsistencyToken {
    pub fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(format!("2.{}.{}.{}", self.workspace, self.position, self.recorded_at))
    }

    pub fn parse(text: &str) -> Result<Self, ConsistencyTokenError> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| ConsistencyTokenError::NotBase64Url)?;
        let inner = std::str::from_utf8(&bytes).map_err(|_| ConsistencyTokenError::Malformed)?;
        let (version, rest) = inner.split_once('.').ok_or(ConsistencyTokenError::Malformed)?;
        if version != "2" {
            return Err(ConsistencyTokenError::UnknownVersion);
        }
        Self::from_parts(rest).ok_or(ConsistencyTokenError::Malformed)
    }

    fn from_parts(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let workspace = parts.next()?.parse().ok().filter(|workspace| *workspace >= 0)?;
        let position = parts.next()?.parse().ok().filter(|position| *position >= 0)?;
        let recorded_at = parts.next()?.parse().ok().filter(|recorded_at| *recorded_at >= 0)?;
        parts.next().is_none().then_some(Self { workspace, position, recorded_at })
    }

    /// Reads the request's token, if there is one.
    pub fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, ConsistencyTokenError> {
        let Some(value) = headers.get(CONSISTENCY_TOKEN) else { return Ok(None) };
        let text = value.to_str().map_err(|_| ConsistencyTokenError::NotBase64Url)?;
        Self::parse(text).map(Some)
    }

    pub fn header_value(self) -> HeaderValue {
        // Base64url is valid in a header.
        HeaderValue::from_str(&self.encode()).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encode())
    }
}

impl FromStr for ConsistencyToken {
    type Err = ConsistencyTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
