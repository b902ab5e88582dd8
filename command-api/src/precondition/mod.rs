//! The `If-Match` header: the versions of a campaign that the caller accepts.

use commands::VersionPrecondition;
use http::{HeaderMap, header};
use thiserror::Error;

/// The error of a header that is not a list of entity tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be a quoted version such as \"3\", as the last answer's ETag had it")]
pub(crate) struct IfMatchError;

/// Reads the header. Tags that are not versions match nothing and are left out.
pub(crate) fn read(headers: &HeaderMap) -> Result<VersionPrecondition, IfMatchError> {
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
            // If-Match uses the strong comparison, so a weak tag is valid but matches nothing.
            versions.extend(tag.parse::<i64>().ok().filter(|_| !weak));
            rest = after.trim_start();
            if rest.is_empty() {
                break;
            }
            rest = rest.strip_prefix(',').ok_or(IfMatchError)?.trim_start();
        }
    }
    Ok(if any { VersionPrecondition::Any } else { VersionPrecondition::Versions(versions) })
}

#[cfg(test)]
mod tests;
