//! The ETag of a result.

use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};
use queries::ResultId;
use sha2::{Digest, Sha256};

/// A result's ETag: `W/"<model>:<epoch>:<version>:<query hash>"`. Weak, because a compressing proxy may alter the
/// bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ETag {
    /// The text between the quotes.
    opaque: String,
    header: HeaderValue,
}

impl ETag {
    pub(crate) fn of(id: &ResultId) -> Self {
        Self::new(id.to_string())
    }

    /// The ETag of a result that never changes while this process runs.
    pub(super) fn constant(model: &str, body: &str) -> Self {
        let digest: [u8; 32] = Sha256::digest(body.as_bytes()).into();
        Self::new(format!("{model}:{}", hex::encode(&digest[..8])))
    }

    /// The ETag of the same result in another format, which is another representation.
    pub(crate) fn in_form(&self, form: &str) -> Self {
        Self::new(format!("{}:{form}", self.opaque))
    }

    /// An ETag. The text consists of names, digits, colons and `@`, which are valid in a header.
    pub(super) fn new(opaque: String) -> Self {
        let header = HeaderValue::try_from(format!("W/\"{opaque}\"")).unwrap_or(HeaderValue::from_static("W/\"\""));
        Self { opaque, header }
    }

    /// The value of `ETag`.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Whether the caller has this result already.
    pub(crate) fn is_held_by(&self, headers: &HeaderMap) -> bool {
        // Most clients send the ETag back unchanged.
        headers.get_all(IF_NONE_MATCH).iter().any(|value| *value == self.header || self.is_listed_in(value))
    }

    fn is_listed_in(&self, value: &HeaderValue) -> bool {
        let mut tags = value.to_str().unwrap_or_default().split(',').map(str::trim);
        tags.any(|tag| tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == self.opaque)
    }
}
