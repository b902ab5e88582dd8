//! Resolved queries: a canonical query, its requested page, and the hash that stands for it in cursors,
//! ETags and the cache.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::access::Access;
use crate::error::ReadError;
use crate::paging::{PageRequest, Paging};
use crate::version::Version;

/// A canonical query, its requested page, and its hash.
#[derive(Debug)]
pub struct Resolved<Q> {
    pub query: Q,
    pub paging: Option<Paging>,
    hash: QueryHash,
}

/// The hash of a canonical query, which begins with the access, so that nothing made for one caller fits another.
#[derive(Debug, Clone)]
pub(crate) struct QueryHash {
    /// The first digits, which stand for the query in cursors and result ids.
    pub(crate) short: String,
    /// The whole hash, for keys that must never collide.
    pub(crate) digest: [u8; 32],
}

/// The id of a result, which is equal in all processes and changes with the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultId {
    model: &'static str,
    epoch: i32,
    version: Version,
    /// Of the query, and of the page where there are pages.
    hash: String,
}

impl<Q: Serialize> Resolved<Q> {
    pub(crate) fn new(model: &str, access: Access, query: Q, paging: Option<Paging>) -> Result<Self, ReadError> {
        let hash = QueryHash::new(model, access, &query)?;
        Ok(Self { query, paging, hash })
    }
}

impl<Q> Resolved<Q> {
    /// The requested page of this epoch and version. An error if the query has no pages.
    pub(crate) fn page(&self, epoch: i32, version: Version) -> Result<PageRequest<'_>, ReadError> {
        let Paging { limit, cursor } = self.paging.as_ref().ok_or_else(|| ReadError::corrupt("it has no pages"))?;
        Ok(PageRequest {
            limit: *limit,
            cursor: cursor.as_deref(),
            hash: &self.hash.short,
            epoch,
            version,
            dates: None,
        })
    }

    pub(crate) fn hash(&self) -> &QueryHash {
        &self.hash
    }

    /// The id of its result of this version.
    pub(crate) fn result_id(&self, model: &'static str, epoch: i32, version: Version) -> ResultId {
        let hash = match &self.paging {
            None => self.hash.short.clone(),
            Some(paging) => self.hash.of_page(paging.limit, paging.cursor.as_deref()),
        };
        ResultId { model, epoch, version, hash }
    }
}

impl QueryHash {
    fn new(model: &str, access: Access, query: &impl Serialize) -> Result<Self, ReadError> {
        let text = serde_json::to_vec(&(access, model, query)).map_err(ReadError::corrupt)?;
        let digest = Sha256::digest(&text).into();
        Ok(Self { short: shortened(&digest), digest })
    }

    /// The hash of one page of it.
    fn of_page(&self, limit: usize, cursor: Option<&str>) -> String {
        let text = format!("{}\n{limit}\n{}", self.short, cursor.unwrap_or_default());
        shortened(&Sha256::digest(text.as_bytes()).into())
    }
}

fn shortened(digest: &[u8; 32]) -> String {
    hex::encode(&digest[..8])
}

impl ResultId {
    /// When the result last changed, by an event or by the clock.
    pub fn last_modified(&self) -> Option<DateTime<Utc>> {
        self.version.last_modified()
    }
}

impl fmt::Display for ResultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}", self.model, self.epoch, self.version, self.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{RowFilter, Visibility};

    #[test]
    fn hash_begins_with_the_access() {
        let access = |workspace| Access { workspace, rows: RowFilter::Unrestricted, shown: Visibility::Full };
        let hash = |workspace, query: &str| QueryHash::new("model", access(workspace), &query).unwrap();
        let ours = hash(1, "q");
        assert_eq!(ours.short.len(), 16);
        assert_eq!(ours.digest, hash(1, "q").digest);
        assert_ne!(ours.short, hash(2, "q").short);
        assert_ne!(ours.short, hash(1, "r").short);
        assert_ne!(ours.of_page(10, None), ours.of_page(11, None));
        assert_ne!(ours.of_page(10, None), ours.of_page(10, Some("c")));
    }
}
