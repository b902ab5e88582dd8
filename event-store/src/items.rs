//! Lookup of recorded items by their ids.

use chrono::NaiveDate;
use sqlx::PgPool;
use uuid::Uuid;

/// A lookup of an item on any day of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemQuery {
    /// The digest of its identity.
    pub id: Uuid,
    /// The first day of the range.
    pub first_day: NaiveDate,
    /// The last one.
    pub last_day: NaiveDate,
}

/// A recorded item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredItem {
    /// The digest of its identity.
    pub id: Uuid,
    /// The day under which its id is kept.
    pub day: NaiveDate,
    /// The digest of its content.
    pub fingerprint: i64,
    /// The position of the event that holds it.
    pub position: i64,
}

/// The recorded items of a workspace with these ids, one for each day of the range on which the id was used. Dropped
/// days have none. An append asserts the items that it depends on ([`ItemPrecondition`](crate::ItemPrecondition)).
pub async fn find_items(pool: &PgPool, workspace: i32, wanted: &[ItemQuery]) -> Result<Vec<StoredItem>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = wanted.iter().map(|item| item.id).collect();
    let first_days: Vec<NaiveDate> = wanted.iter().map(|item| item.first_day).collect();
    let last_days: Vec<NaiveDate> = wanted.iter().map(|item| item.last_day).collect();
    sqlx::query_as!(
        StoredItem,
        r#"SELECT id AS "id!", day AS "day!", fingerprint AS "fingerprint!", position AS "position!"
           FROM log.find_items($1, $2, $3, $4) WHERE position IS NOT NULL"#,
        workspace,
        &ids,
        &first_days,
        &last_days,
    )
    .fetch_all(pool)
    .await
}

/// The recorded items of a workspace with these ids that are kept under these days.
pub async fn find_items_under(
    pool: &PgPool,
    workspace: i32,
    ids: &[Uuid],
    days: &[NaiveDate],
) -> Result<Vec<StoredItem>, sqlx::Error> {
    if ids.is_empty() || days.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as!(
        StoredItem,
        r#"SELECT id AS "id!", day AS "day!", fingerprint AS "fingerprint!", position AS "position!"
           FROM log.find_items_under($1, $2, $3) WHERE position IS NOT NULL"#,
        workspace,
        ids,
        days,
    )
    .fetch_all(pool)
    .await
}
