//! Rejected items, kept for a while so that they can be taken later. They are no events and have no position.
//!
//! What an item says is sealed by whoever writes it, under the key of the day on which it was received. Rows and keys
//! are dropped by whole days. An item is found again by a digest, so one that is sent again on the same day is kept
//! once.

mod keep; // as far as there is room

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgPool;
use uuid::Uuid;

pub use keep::{NewRejection, NewRejections, RejectionRoom, keep_rejections};

/// For how many days rejected items are kept.
pub const REJECTIONS_KEPT_DAYS: u32 = 30;

/// The key of a day, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRejectionKey {
    /// The day.
    pub day: NaiveDate,
    /// Whether the key is sealed itself.
    pub wrapped: bool,
    /// The key.
    pub key: Vec<u8>,
}

/// A kept item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRejection {
    /// Its id.
    pub id: Uuid,
    /// The day under which it is kept.
    pub day: NaiveDate,
    /// The source's name.
    pub source: String,
    /// The digest of its content.
    pub digest: Vec<u8>,
    /// The code of the latest reason.
    pub reason: String,
    /// When it was received first.
    pub received_at: DateTime<Utc>,
    /// When it was taken after all.
    pub accepted_at: Option<DateTime<Utc>>,
    /// Its sealed content; empty, once it was taken.
    pub sealed: Vec<u8>,
}

/// Which items of a workspace are meant, of those that were not taken.
#[derive(Debug, Clone, Copy)]
pub struct RejectionFilter<'a> {
    /// The workspace.
    pub workspace: i32,
    /// Of this source only.
    pub source: Option<&'a str>,
    /// Of this reason only.
    pub reason: Option<&'a str>,
    /// Received at this instant or later.
    pub since: DateTime<Utc>,
}

/// Where a page of items begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionPage {
    /// Newest first, before this id.
    Before(Option<Uuid>),
    /// Oldest first, after this id.
    After(Option<Uuid>),
}

/// How many items of a source are kept for a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionTotal {
    /// The source's name.
    pub source: String,
    /// The code of the reason.
    pub reason: String,
    /// How many.
    pub items: i64,
}

/// The outcome of judging a kept item again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejudged {
    /// It was taken.
    Taken,
    /// It was rejected again.
    Rejected {
        /// The code of the reason.
        reason: &'static str,
        /// Its content, sealed again.
        sealed: Vec<u8>,
    },
}

/// The keys of days.
pub async fn find_rejection_keys(pool: &PgPool, days: &[NaiveDate]) -> Result<Vec<StoredRejectionKey>, sqlx::Error> {
    sqlx::query_as!(StoredRejectionKey, "SELECT day, wrapped, key FROM log.rejection_keys WHERE day = ANY ($1)", days)
        .fetch_all(pool)
        .await
}

/// Stores the key of a day, unless it has one.
pub async fn add_rejection_key(pool: &PgPool, key: &StoredRejectionKey) -> Result<(), sqlx::Error> {
    let StoredRejectionKey { day, wrapped, key } = key;
    sqlx::query!(
        "INSERT INTO log.rejection_keys (day, wrapped, key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        day,
        wrapped,
        key,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// A page of the items that were not taken.
pub async fn find_rejections(
    pool: &PgPool,
    filter: RejectionFilter<'_>,
    page: RejectionPage,
    most: u16,
) -> Result<Vec<StoredRejection>, sqlx::Error> {
    let RejectionFilter { workspace, source, reason, since } = filter;
    let most = i64::from(most);
    let day = since.date_naive();
    match page {
        RejectionPage::Before(id) => {
            sqlx::query_as!(
                StoredRejection,
                "SELECT id, day, source, digest, reason, received_at, accepted_at, sealed FROM log.rejections
                 WHERE workspace = $1 AND ($2::text IS NULL OR source = $2) AND ($3::text IS NULL OR reason = $3)
                   AND received_at >= $4 AND day >= $5 AND accepted_at IS NULL AND ($6::uuid IS NULL OR id < $6)
                 ORDER BY id DESC LIMIT $7",
                workspace,
                source,
                reason,
                since,
                day,
                id,
                most,
            )
            .fetch_all(pool)
            .await
        }
        RejectionPage::After(id) => {
            sqlx::query_as!(
                StoredRejection,
                "SELECT id, day, source, digest, reason, received_at, accepted_at, sealed FROM log.rejections
                 WHERE workspace = $1 AND ($2::text IS NULL OR source = $2) AND ($3::text IS NULL OR reason = $3)
                   AND received_at >= $4 AND day >= $5 AND accepted_at IS NULL AND ($6::uuid IS NULL OR id > $6)
                 ORDER BY id LIMIT $7",
                workspace,
                source,
                reason,
                since,
                day,
                id,
                most,
            )
            .fetch_all(pool)
            .await
        }
    }
}

/// One item of a workspace, taken or not, if it was received at `since` or later.
pub async fn find_rejection(
    pool: &PgPool,
    workspace: i32,
    id: Uuid,
    since: DateTime<Utc>,
) -> Result<Option<StoredRejection>, sqlx::Error> {
    sqlx::query_as!(
        StoredRejection,
        "SELECT id, day, source, digest, reason, received_at, accepted_at, sealed FROM log.rejections
         WHERE workspace = $1 AND id = $2 AND received_at >= $3",
        workspace,
        id,
        since,
    )
    .fetch_optional(pool)
    .await
}

/// How many items are kept, by source and reason.
pub async fn count_rejections(pool: &PgPool, filter: RejectionFilter<'_>) -> Result<Vec<RejectionTotal>, sqlx::Error> {
    let RejectionFilter { workspace, source, reason, since } = filter;
    sqlx::query_as!(
        RejectionTotal,
        r#"SELECT source, reason, count(*) AS "items!" FROM log.rejections
           WHERE workspace = $1 AND ($2::text IS NULL OR source = $2) AND ($3::text IS NULL OR reason = $3)
             AND received_at >= $4 AND day >= $5 AND accepted_at IS NULL
           GROUP BY source, reason ORDER BY source, reason"#,
        workspace,
        source,
        reason,
        since,
        since.date_naive(),
    )
    .fetch_all(pool)
    .await
}

/// How many items of a workspace there was no room for, on the days from `since` on.
pub async fn count_not_kept(pool: &PgPool, workspace: i32, since: DateTime<Utc>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(sum(not_kept), 0)::bigint AS "not_kept!" FROM log.rejection_days
           WHERE workspace = $1 AND day >= $2"#,
        workspace,
        since.date_naive(),
    )
    .fetch_one(pool)
    .await
}

/// Writes the outcomes of judging items again.
pub async fn settle_rejections(
    pool: &PgPool,
    workspace: i32,
    outcomes: &[(Uuid, Rejudged)],
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let taken: Vec<Uuid> =
        outcomes.iter().filter(|(_, outcome)| *outcome == Rejudged::Taken).map(|(id, _)| *id).collect();
    let (mut ids, mut reasons, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for (id, outcome) in outcomes {
        if let Rejudged::Rejected { reason, sealed } = outcome {
            ids.push(*id);
            reasons.push(*reason);
            texts.push(sealed.as_slice());
        }
    }
    let mut transaction = pool.begin().await?;
    sqlx::query!(
        "UPDATE log.rejections SET accepted_at = $3, sealed = ''
         WHERE workspace = $1 AND id = ANY ($2) AND accepted_at IS NULL",
        workspace,
        &taken,
        now,
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "UPDATE log.rejections held SET reason = judged.reason, sealed = judged.sealed
         FROM unnest($2::uuid[], $3::text[], $4::bytea[]) AS judged(id, reason, sealed)
         WHERE held.workspace = $1 AND held.id = judged.id AND held.accepted_at IS NULL",
        workspace,
        &ids,
        &reasons as _,
        &texts as _,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}

/// Deletes the items that a filter finds, and returns how many.
pub async fn delete_rejections(pool: &PgPool, filter: RejectionFilter<'_>) -> Result<u64, sqlx::Error> {
    let RejectionFilter { workspace, source, reason, since } = filter;
    let deleted = sqlx::query!(
        "DELETE FROM log.rejections
         WHERE workspace = $1 AND ($2::text IS NULL OR source = $2) AND ($3::text IS NULL OR reason = $3)
           AND received_at >= $4 AND day >= $5 AND accepted_at IS NULL",
        workspace,
        source,
        reason,
        since,
        since.date_naive(),
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes one item. False if there is none.
pub async fn delete_rejection(pool: &PgPool, workspace: i32, id: Uuid) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM log.rejections WHERE workspace = $1 AND id = $2 AND accepted_at IS NULL",
        workspace,
        id,
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected() > 0)
}

/// Deletes the keys and counts of the days before `day`. It needs the rights of the migrating user.
pub(crate) async fn delete_rejection_days(admin: &PgPool, day: NaiveDate) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM log.rejection_keys WHERE day < $1", day).execute(admin).await?;
    sqlx::query!("DELETE FROM log.rejection_days WHERE day < $1", day).execute(admin).await?;
    Ok(())
}
