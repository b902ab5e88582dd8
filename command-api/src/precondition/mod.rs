//! `If-Match`: a campaign is changed only as the caller last saw it.

use http::{HeaderMap, header};
use thiserror::Error;

/// The versions that the caller accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// Whatever it is by now.
    Any,
    /// One of these. Tags of other origin match nothing and are left out, so this may be empty.
    Versions(Vec<i64>),
}

/// A header that is no list of entity tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be a quoted version such as \"3\", as the last answer's ETag had it")]
pub(crate) struct IfMatchError;

impl IfMatch {
    /// Reads the header, if it is there.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, IfMatchError> {
        let mut versions = Vec::new();
        let mut any = true;
        for value in headers.get_all(header::IF_MATCH) {
            let mut rest = value.to_str().map_err(|_| IfMatchError)?.trim();
            if rest == "*" {
                continue;
            }
            any = false;
            loop {
                let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |strong| (true, strong));
                let (tag, after) = quoted.strip_prefix('"').and_then(|tag| tag.split_once('"')).ok_or(IfMatchError)?;
                // If-Match compares strongly, so a weak tag is well-formed and matches nothing.
                versions.extend(tag.parse::<i64>().ok().filter(|_| !weak));
                rest = after.trim_start();
                if rest.is_empty() {
                    break;
                }
                rest = rest.strip_prefix(',').ok_or(IfMatchError)?.trim_start();
            }
        }
        Ok(if any { Self::Any } else { Self::Versions(versions) })
    }

    /// Whether a campaign at `version` may be changed.
    pub(crate) fn accepts(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.contains(&version),
        }
    }
}

#[cfg(test)]
mod tests;
