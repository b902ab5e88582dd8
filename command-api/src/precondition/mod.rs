//! The entity tag of a campaign, and the `If-Match` header: the versions of a campaign that the caller accepts.

use commands::VersionPrecondition;
use domain::campaign::CampaignVersion;
use http::{HeaderMap, header};
use thiserror::Error;

/// The error of a header that is not a list of entity tags of campaigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be the `ETag` of an answer, passed on as it was received, such as \"3.1795253400000123\"")]
pub(crate) struct IfMatchError;

/// The entity tag of a campaign. It is opaque to clients.
pub(crate) fn etag(version: CampaignVersion) -> String {
    format!("\"{version}\"")
}

/// Reads the header. Tags that are no versions match nothing and are left out. A bare number is an error: it does not
/// say of which history of the log it is.
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
            if !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(IfMatchError);
            }
            versions.extend(tag.parse::<CampaignVersion>().ok().filter(|_| !weak));
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
