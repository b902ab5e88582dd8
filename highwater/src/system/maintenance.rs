//! Keeps partitions. Those of ids and receipts, by day: makes those of the coming days before an append needs them, and drops
//! those that no request can meet any more, with what was remembered of corrections. Those of the read tables, by month: makes
//! the coming ones, and drops what the operator keeps no more.

use std::time::Duration;

use chrono::{Days, NaiveDate};
use domain::source::MAX_OBSERVATION_WINDOW_DAYS;
use platform::clock::SharedClock;
use projections::retention;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// How often the days are looked at.
const EVERY: Duration = Duration::from_mins(30);
/// How many days ahead there are partitions.
const AHEAD: u64 = 2;
/// For how many days ids are kept.
const IDS_KEPT: u32 = MAX_OBSERVATION_WINDOW_DAYS + 2;
/// Parents of day partitions, and for how many days each is kept: ids for as long as any source may send that day's
/// observations and the day that this began in, their batches for as long as any id may lead there, receipts for the two
/// days that they answer for; a day more for clocks that differ.
const KEPT: [(&str, u32); 3] =
    [("item_ids", IDS_KEPT), ("item_batches", MAX_OBSERVATION_WINDOW_DAYS + 4), ("receipts", 4)];

/// Looks after the days until `stop`. What fails is tried again at the next look; an append makes what it misses itself.
pub(super) async fn run(admin: PgPool, clock: SharedClock, stop: CancellationToken) {
    loop {
        let today = clock.now().date_naive();
        match stop.run_until_cancelled(look_after(&admin, today)).await {
            None => return,
            Some(Ok(dropped)) => {
                if !dropped.is_empty() {
                    tracing::info!(tables = ?dropped, "dropped the ids and receipts of days that are over");
                }
            }
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "day partitions were not looked after");
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// Looks after the months of the read tables until `stop`. What fails is tried again at the next look; a projector makes what
/// it misses itself.
pub(super) async fn run_months(admin: PgPool, clock: SharedClock, stop: CancellationToken) {
    loop {
        match stop.run_until_cancelled(retention::look_after(&admin, clock.now())).await {
            None => return,
            Some(Ok(dropped)) => {
                if !dropped.is_empty() {
                    tracing::info!(tables = ?dropped, "dropped months of read tables that are not kept");
                }
            }
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "month partitions were not looked after");
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// Makes and drops what is due on a day. Returns the tables that were dropped.
pub async fn look_after(admin: &PgPool, today: NaiveDate) -> Result<Vec<String>, sqlx::Error> {
    for day in (0..=AHEAD).filter_map(|ahead| today.checked_add_days(Days::new(ahead))) {
        sqlx::query!("SELECT log.ensure_day($1)", day).execute(admin).await?;
    }
    let mut dropped = Vec::new();
    for (parent, days) in KEPT {
        let Some(first_kept) = today.checked_sub_days(Days::new(days.into())) else { continue };
        let oldest_kept = format!("{parent}_{}", first_kept.format("%Y%m%d"));
        let over = sqlx::query_scalar!(
            r#"SELECT child.relname::text AS "name!" FROM pg_inherits i
               JOIN pg_class child ON child.oid = i.inhrelid JOIN pg_class parent ON parent.oid = i.inhparent
               WHERE parent.relnamespace = 'log'::regnamespace AND parent.relname = $1 AND child.relname::text < $2
               ORDER BY 1"#,
            parent,
            oldest_kept,
        )
        .fetch_all(admin)
        .await?;
        for table in over {
            drop_table(admin, &table).await?;
            dropped.push(table);
        }
    }
    forget_corrections(admin, today).await?;
    Ok(dropped)
}

/// Removes what observations come to that nobody can correct any more, because their ids are gone. No append asks for it.
async fn forget_corrections(admin: &PgPool, today: NaiveDate) -> Result<(), sqlx::Error> {
    let Some(first_kept) = today.checked_sub_days(Days::new(IDS_KEPT.into())) else { return Ok(()) };
    // The keys begin with the day. Workspace by workspace, as the claims' key does.
    sqlx::query!(
        r#"DELETE FROM log.claims held USING log.workspaces w
           WHERE held.workspace = w.workspace AND held.kind = 'correction' AND held.key < $1 COLLATE "C""#,
        first_kept.to_string(),
    )
    .execute(admin)
    .await?;
    Ok(())
}

/// Dropping locks the parent, so it waits only briefly: appends that come meanwhile stand behind it.
async fn drop_table(admin: &PgPool, table: &str) -> Result<(), sqlx::Error> {
    let mut transaction = admin.begin().await?;
    sqlx::query("SET LOCAL lock_timeout = '2s'").execute(&mut *transaction).await?;
    // The name comes from the catalogue and is one of ours: a parent's name and a date.
    sqlx::query(&format!("DROP TABLE IF EXISTS log.\"{table}\"")).execute(&mut *transaction).await?;
    transaction.commit().await
}
