//! Receipts: stored outcomes of requests, so that the same key gets the same answer.

use chrono::NaiveDate;
use sqlx::PgPool;

/// A receipt, which makes a request safe to repeat. It is written in the request's own transaction if the request is
/// accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The caller's key, unique in the workspace.
    pub key: String,
    /// A digest of the request's content. The same key with another digest is rejected.
    pub digest: [u8; 32],
    /// The response for now and for a repetition. The log does not read it.
    pub response: String,
}

/// A stored receipt, with the results of the append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReceipt {
    /// The digest of the content that was accepted.
    pub digest: Vec<u8>,
    /// The response.
    pub response: String,
    /// The stream's version after the request.
    pub version: Option<i64>,
    /// The position of the request's last event; the head if it wrote none.
    pub position: i64,
    /// The items that were duplicates.
    pub duplicates: Vec<usize>,
    /// The items that were conflicts.
    pub conflicts: Vec<usize>,
    /// Whether commits wait for a standby, so that this one may not be there yet.
    pub awaits_standby: bool,
}

/// The receipt of a key, written today or within the two days before. This lookup only saves a decision; the append
/// checks again.
pub async fn find_receipt(
    pool: &PgPool,
    workspace: i32,
    key: &str,
    today: NaiveDate,
) -> Result<Option<StoredReceipt>, sqlx::Error> {
    let found = sqlx::query!(
        r#"SELECT digest AS "digest!", response AS "response!", version, position AS "position!",
                  duplicates AS "duplicates!", conflicts AS "conflicts!",
                  current_setting('synchronous_standby_names') <> '' AS "awaits_standby!"
           FROM log.find_receipt($1, $2, $3)"#,
        workspace,
        key,
        today,
    )
    .fetch_optional(pool)
    .await?;
    Ok(found.map(|found| StoredReceipt {
        digest: found.digest,
        response: found.response,
        version: found.version,
        position: found.position,
        duplicates: item_indices(found.duplicates),
        conflicts: item_indices(found.conflicts),
        awaits_standby: found.awaits_standby,
    }))
}

/// Converts the database's item indexes.
pub(crate) fn item_indices(stored: Vec<i32>) -> Vec<usize> {
    stored.into_iter().filter_map(|index| usize::try_from(index).ok()).collect()
}
