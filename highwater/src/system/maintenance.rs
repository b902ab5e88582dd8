//! Background maintenance of partitions. The log's ids and receipts have partitions by day, with the claims of
//! corrections. The read tables have partitions by month.

use std::error::Error;
use std::time::Duration;

use chrono::NaiveDate;
use domain::source::MAX_OBSERVATION_WINDOW_DAYS;
use event_store::day_partitions::{maintain_day_partitions, oldest_period};
use event_store::remove_claims_before;
use platform::clock::SharedClock;
use projections::retention;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// How often the partitions are checked.
const EVERY: Duration = Duration::from_mins(30);

/// Maintains the day partitions until `stop`. An append creates missing ones by itself.
pub(super) async fn run(admin: PgPool, clock: SharedClock, stop: CancellationToken) {
    let maintain = || maintain_days(&admin, clock.now().date_naive());
    repeat("day partitions of ids and receipts", maintain, stop).await;
}

/// Maintains the month partitions of the read tables until `stop`. A projector creates missing ones by itself.
pub(super) async fn run_months(admin: PgPool, clock: SharedClock, stop: CancellationToken) {
    let maintain = || retention::maintain(&admin, clock.now());
    repeat("month partitions of read tables", maintain, stop).await;
}

/// Calls `maintain` periodically until `stop`. It returns the tables that it dropped, and is retried after a failure.
async fn repeat<F, E>(partitions: &str, maintain: impl Fn() -> F, stop: CancellationToken)
where
    F: Future<Output = Result<Vec<String>, E>>,
    E: Error + 'static,
{
    loop {
        match stop.run_until_cancelled(maintain()).await {
            None => return,
            Some(Ok(dropped)) => {
                if !dropped.is_empty() {
                    tracing::info!(tables = ?dropped, "dropped {partitions} that are not kept");
                }
            }
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn Error, "{partitions} were not maintained");
            }
        }
        if stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none() {
            return;
        }
    }
}

/// Creates and drops the day partitions that are due, and returns the dropped tables. A claim of kind `correction`
/// holds the total of an observation. Once the observation's id is dropped, it cannot be corrected any more, so the
/// claim is removed too.
pub async fn maintain_days(admin: &PgPool, today: NaiveDate) -> Result<Vec<String>, sqlx::Error> {
    let dropped = maintain_day_partitions(admin, today, MAX_OBSERVATION_WINDOW_DAYS).await?;
    if let Some(oldest) = oldest_period(today, MAX_OBSERVATION_WINDOW_DAYS) {
        // The keys of these claims begin with the day under which the id is kept: of an item or of a period.
        remove_claims_before(admin, "correction", &oldest.to_string()).await?;
    }
    // What sources created on earlier days limits nothing any more; clocks may differ by a day.
    if let Some(yesterday) = today.pred_opt() {
        remove_claims_before(admin, "created_campaigns", &yesterday.to_string()).await?;
    }
    Ok(dropped)
}
