//! The ETag of a result.

use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};
use queries::ResultId;
use sha2::{Digest, Sha256};

/// A result's ETag: `W/"<model>:<epoch>:<version>:<query hash>"`. Weak, because a compressing proxy may alter the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ETag {
    /// What stands between the quotes.
    opaque: String,
    header: HeaderValue,
}

impl ETag {
    pub(crate) fn of(id: &ResultId) -> Self {
        Self::new(id.to_string())
    }

    /// The ETag of what never changes while this process runs.
    pub(super) fn constant(model: &str, body: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(body.as_bytes()).into();
        Self::new(format!("{model}:{}", hex::encode(&digest[..8])))
    }

    /// The same result in another form, which is another representation.
    pub(crate) fn in_form(&self, form: &str) -> Self {
        Self::new(format!("{}:{form}", self.opaque))
    }

    /// Names, digits and colons may stand in a header.
    pub(super) fn new(opaque: String) -> Self {
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
