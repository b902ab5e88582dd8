//! Keeping rejected items: those of one source that were received together, in one transaction.

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

/// How much of one workspace and day is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectionRoom {
    /// The most items.
    pub items: u32,
    /// The most bytes of sealed content.
    pub bytes: u64,
}

/// Rejected items of one source that were received together.
#[derive(Debug)]
pub struct NewRejections<'a> {
    /// The workspace.
    pub workspace: i32,
    /// The source's name.
    pub source: &'a str,
    /// When they were received.
    pub received_at: DateTime<Utc>,
    /// Whether they were rejected before, by the answer that is given again now. Those that are kept stay as they are.
    pub is_repeated: bool,
    /// How much is kept.
    pub room: RejectionRoom,
    /// The items, no two with one digest.
    pub items: Vec<NewRejection>,
}

/// A rejected item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRejection {
    /// Its id, made from the time of receipt.
    pub id: Uuid,
    /// The digest of its content.
    pub digest: [u8; 32],
    /// The code of the reason.
    pub reason: &'static str,
    /// Its sealed content.
    pub sealed: Vec<u8>,
}

/// Keeps rejected items, as far as there is room. Returns for each item whether it is kept. The commit does not wait
/// for the disk: a crash of the database may lose the last of them.
pub async fn keep_rejections(pool: &PgPool, new: &NewRejections<'_>) -> Result<Vec<bool>, sqlx::Error> {
    match try_to_keep(pool, new).await {
        Err(sqlx::Error::Database(error)) if error.is_check_violation() => {
            // The day has no partition yet.
            sqlx::query!("SELECT log.ensure_day($1)", new.received_at.date_naive()).execute(pool).await?;
            try_to_keep(pool, new).await
        }
        kept => kept,
    }
}

async fn try_to_keep(pool: &PgPool, new: &NewRejections<'_>) -> Result<Vec<bool>, sqlx::Error> {
    let day = new.received_at.date_naive();
    let mut transaction = pool.begin().await?;
    sqlx::query("SET LOCAL synchronous_commit TO off").execute(&mut *transaction).await?;
    let used = sqlx::query!(
        "INSERT INTO log.rejection_days AS held (workspace, day) VALUES ($1, $2)
         ON CONFLICT (workspace, day) DO UPDATE SET items = held.items RETURNING items, bytes",
        new.workspace,
        day,
    )
    .fetch_one(&mut *transaction)
    .await?;
    let digests: Vec<Vec<u8>> = new.items.iter().map(|item| item.digest.to_vec()).collect();
    let held = sqlx::query_scalar!(
        "SELECT digest FROM log.rejections WHERE workspace = $1 AND source = $2 AND day = $3 AND digest = ANY ($4)",
        new.workspace,
        new.source,
        day,
        &digests,
    )
    .fetch_all(&mut *transaction)
    .await?;
    let held: HashSet<Vec<u8>> = held.into_iter().collect();
    let held: Vec<bool> = new.items.iter().map(|item| held.contains(&item.digest[..])).collect();
    let (items, bytes) = (u32::try_from(used.items).unwrap_or_default(), u64::try_from(used.bytes).unwrap_or_default());
    let left =
        RejectionRoom { items: new.room.items.saturating_sub(items), bytes: new.room.bytes.saturating_sub(bytes) };
    let sizes = new.items.iter().map(|item| item.sealed.len() as u64);
    let fits = left.fits(held.iter().copied().zip(sizes));
    let written: Vec<&NewRejection> = (new.items.iter().zip(&held).zip(&fits))
        .filter(|((_, held), fits)| **fits && !(**held && new.is_repeated))
        .map(|((item, _), _)| item)
        .collect();
    write(&mut transaction, new, day, &written).await?;
    let added = || new.items.iter().zip(&held).zip(&fits).filter(|((_, held), fits)| **fits && !**held);
    let bytes: usize = added().map(|((item, _), _)| item.sealed.len()).sum();
    let not_kept = fits.iter().filter(|fits| !**fits).count();
    sqlx::query!(
        "UPDATE log.rejection_days SET items = items + $3, bytes = bytes + $4, not_kept = not_kept + $5
         WHERE workspace = $1 AND day = $2",
        new.workspace,
        day,
        i32::try_from(added().count()).unwrap_or(i32::MAX),
        i64::try_from(bytes).unwrap_or(i64::MAX),
        if new.is_repeated { 0 } else { i64::try_from(not_kept).unwrap_or(i64::MAX) },
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(fits)
}

async fn write(
    transaction: &mut Transaction<'_, Postgres>,
    new: &NewRejections<'_>,
    day: NaiveDate,
    items: &[&NewRejection],
) -> Result<(), sqlx::Error> {
    let digests: Vec<Vec<u8>> = items.iter().map(|item| item.digest.to_vec()).collect();
    let ids: Vec<Uuid> = items.iter().map(|item| item.id).collect();
    let reasons: Vec<&str> = items.iter().map(|item| item.reason).collect();
    let sealed: Vec<&[u8]> = items.iter().map(|item| item.sealed.as_slice()).collect();
    sqlx::query!(
        "INSERT INTO log.rejections (workspace, day, source, received_at, digest, id, reason, sealed)
         SELECT $1, $2, $3, $4, sent.digest, sent.id, sent.reason, sent.sealed
         FROM unnest($5::bytea[], $6::uuid[], $7::text[], $8::bytea[]) AS sent(digest, id, reason, sealed)
         ON CONFLICT (workspace, source, digest, day)
         DO UPDATE SET reason = excluded.reason, sealed = excluded.sealed, accepted_at = NULL",
        new.workspace,
        day,
        new.source,
        new.received_at,
        &digests,
        &ids,
        &reasons as _,
        &sealed as _,
    )
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

impl Default for RejectionRoom {
    fn default() -> Self {
        Self { items: 100_000, bytes: 64 << 20 }
    }
}

impl RejectionRoom {
    /// Which items there is room for, in order: each with whether it is held already, and its size. What is held takes
    /// no more room.
    fn fits(self, items: impl Iterator<Item = (bool, u64)>) -> Vec<bool> {
        let Self { items: mut items_left, bytes: mut bytes_left } = self;
        let fits = |(is_held, bytes): (bool, u64)| {
            let fits = is_held || items_left > 0 && bytes <= bytes_left;
            if fits && !is_held {
                items_left -= 1;
                bytes_left -= bytes;
            }
            fits
        };
        items.map(fits).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of items of these sizes there is room for. `h`: one that is held.
    fn fits(items: u32, bytes: u64, sizes: &[(char, u64)]) -> Vec<bool> {
        RejectionRoom { items, bytes }.fits(sizes.iter().map(|(held, size)| (*held == 'h', *size)))
    }

    #[test]
    fn items_are_kept_up_to_their_number_and_their_bytes() {
        assert_eq!(fits(2, 100, &[('n', 10), ('n', 10), ('n', 10)]), [true, true, false]);
        // One that is too large leaves room for smaller ones.
        assert_eq!(fits(9, 100, &[('n', 60), ('n', 60), ('n', 40), ('n', 1)]), [true, false, true, false]);
        assert_eq!(fits(0, 0, &[('n', 0)]), [false]);
    }

    #[test]
    fn what_is_held_takes_no_more_room() {
        assert_eq!(fits(1, 10, &[('h', 99), ('n', 10), ('h', 1), ('n', 1)]), [true, true, true, false]);
    }
}
