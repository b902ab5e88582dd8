//! Which result an answer is: its query's hash, and its ETag.

use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};
use platform::principal::Principal;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::ReadError;
use crate::version::Version;

/// A canonical query and the hash that stands for it in ETags and cursors. The hash begins with the workspace and the
/// caller's scope, so that nothing made for one caller fits another.
#[derive(Debug)]
pub(crate) struct QueryHash {
    pub(crate) hash: String,
    /// All of it, where it must not meet another by any chance.
    pub(crate) digest: [u8; 32],
}

impl QueryHash {
    pub(crate) fn new(model: &str, principal: &Principal, query: &impl Serialize) -> Result<Self, ReadError> {
        let text = serde_json::to_string(&(principal.workspace, principal.scopes, model, query))
            .map_err(ReadError::corrupt)?;
        let digest = Sha256::digest(text.as_bytes()).into();
        Ok(Self { hash: shortened(&digest), digest })
    }

    /// The hash of one page of it.
    pub(crate) fn page_hash(&self, limit: usize, cursor: Option<&str>) -> String {
        short_hash(&format!("{}\n{limit}\n{}", self.hash, cursor.unwrap_or_default()))
    }
}

pub(super) fn short_hash(text: &str) -> String {
    shortened(&Sha256::digest(text.as_bytes()).into())
}

fn shortened(digest: &[u8; 32]) -> String {
    hex::encode(&digest[..8])
}

/// A result's ETag: `W/"<model>:<epoch>:<version>:<query hash>"`. Weak, because a compressing proxy may alter the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ETag {
    /// What stands between the quotes.
    opaque: String,
    header: HeaderValue,
}

impl ETag {
    pub(crate) fn new(model: &str, epoch: i32, version: Version, hash: &str) -> Self {
        Self::of(format!("{model}:{epoch}:{version}:{hash}"))
    }

    /// That of what never changes while this process runs.
    pub(super) fn constant(model: &str, hash: &str) -> Self {
        Self::of(format!("{model}:{hash}"))
    }

    /// The same result in another form, which is another representation.
    pub(crate) fn in_form(&self, form: &str) -> Self {
        Self::of(format!("{}:{form}", self.opaque))
    }

    /// Names, digits and colons may stand in a header.
    fn of(opaque: String) -> Self {
        let header = HeaderValue::try_from(format!("W/\"{opaque}\"")).unwrap_or(HeaderValue::from_static("W/\"\""));
        Self { opaque, header }
    }

    /// As `ETag` says it.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Whether the caller says that it has this result already.
    pub(crate) fn is_held_by(&self, headers: &HeaderMap) -> bool {
        // Most send one back as it was told them.
        headers.get_all(IF_NONE_MATCH).iter().any(|value| *value == self.header || self.is_listed_in(value))
    }

    fn is_listed_in(&self, value: &HeaderValue) -> bool {
        let mut tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.any(|tag| tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == self.opaque)
    }
}
