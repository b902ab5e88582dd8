//! Day partitions of item ids, of their batches, of receipts and of rejected items. Partitions of the coming days are
//! created before an append needs them. Those that no request can use any more are dropped.

use chrono::{Days, NaiveDate};
use sqlx::PgPool;

use crate::item_periods::{PERIOD_DAYS, period_start};
use crate::rejections::{REJECTIONS_KEPT_DAYS, delete_rejection_days};

/// The number of days ahead with partitions.
const DAYS_AHEAD: u64 = 2;
/// The number of days of receipts. They are used for two days; one day is added for the day in which that began, and
/// one for clock differences.
const RECEIPT_DAYS: u32 = 4;

/// The oldest day whose item ids are kept, if items are accepted for `window_days`. One day is added for the day in
/// which the window began, and one for clock differences.
pub fn oldest_item_day(today: NaiveDate, window_days: u32) -> Option<NaiveDate> {
    today.checked_sub_days(Days::new((window_days + 2).into()))
}

/// The first day of the oldest period whose ids are kept: the one that holds [`oldest_item_day`].
pub fn oldest_period(today: NaiveDate, window_days: u32) -> Option<NaiveDate> {
    oldest_item_day(today, window_days).map(period_start)
}

/// Creates and drops the partitions that are due today, if items are accepted for `window_days`. Returns the dropped
/// tables. It needs the rights of the migrating user.
pub async fn maintain_day_partitions(
    admin: &PgPool,
    today: NaiveDate,
    window_days: u32,
) -> Result<Vec<String>, sqlx::Error> {
    for day in (0..=DAYS_AHEAD).filter_map(|ahead| today.checked_add_days(Days::new(ahead))) {
        sqlx::query!("SELECT log.ensure_day($1)", day).execute(admin).await?;
    }
    // The days that begin a period hold its ids too, so they are kept for as long as the period is.
    let step = |day: &NaiveDate| day.checked_add_days(Days::new(PERIOD_DAYS.into()));
    let periods = std::iter::successors(oldest_period(today, window_days), step).take_while(|day| *day <= today);
    let kept_periods: Vec<String> = periods.map(|day| partition("item_ids", day)).collect();
    let oldest_rejections = today.checked_sub_days(Days::new(REJECTIONS_KEPT_DAYS.into()));
    let oldest_days = [
        ("item_ids", oldest_item_day(today, window_days)),
        // An id may refer to a batch for as long as the id is kept.
        ("item_batches", today.checked_sub_days(Days::new((window_days + PERIOD_DAYS + 4).into()))),
        ("receipts", today.checked_sub_days(Days::new(RECEIPT_DAYS.into()))),
        ("rejections", oldest_rejections),
    ];
    // The keys go first: without them, what a table still holds says nothing.
    if let Some(oldest) = oldest_rejections {
        delete_rejection_days(admin, oldest).await?;
    }
    let mut dropped = Vec::new();
    for (parent, oldest_day) in oldest_days {
        let Some(oldest_day) = oldest_day else { continue };
        let oldest_kept = partition(parent, oldest_day);
        let over = sqlx::query_scalar!(
            r#"SELECT child.relname::text AS "name!" FROM pg_inherits i
               JOIN pg_class child ON child.oid = i.inhrelid JOIN pg_class parent ON parent.oid = i.inhparent
               WHERE parent.relnamespace = 'log'::regnamespace AND parent.relname = $1 AND child.relname::text < $2
                 AND child.relname::text <> ALL ($3)
               ORDER BY 1"#,
            parent,
            oldest_kept,
            &kept_periods,
        )
        .fetch_all(admin)
        .await?;
        for table in over {
            drop_table(admin, &table).await?;
            dropped.push(table);
        }
    }
    Ok(dropped)
}

/// The name of a parent's partition of a day.
fn partition(parent: &str, day: NaiveDate) -> String {
    format!("{parent}_{}", day.format("%Y%m%d"))
}

/// Drops a table. Dropping locks the parent, so it waits only briefly: appends would queue behind it.
async fn drop_table(admin: &PgPool, table: &str) -> Result<(), sqlx::Error> {
    let mut transaction = admin.begin().await?;
    sqlx::query("SET LOCAL lock_timeout = '2s'").execute(&mut *transaction).await?;
    // The name comes from the catalogue and consists of a parent's name and a date.
    sqlx::query(&format!("DROP TABLE IF EXISTS log.\"{table}\"")).execute(&mut *transaction).await?;
    transaction.commit().await
}
