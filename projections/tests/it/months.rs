//! Tables that are partitioned by month.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Months, TimeDelta, Utc};
use domain::observation::ObservationType;
use projections::catch_up;
use serde_json::json;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{Log, at, campaign, clicked, observed, pools, source};
use crate::support::rows::{counted, rows};

/// Partitions by their names, of one table's epoch.
async fn months(admin: &PgPool, table: &str) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = ('read.' || $1)::regclass ORDER BY 1",
    )
    .bind(table)
    .fetch_all(admin)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn hours_and_days_sum_their_quarters(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let seen = |when, count| (campaign(1), ObservationType::Click, at(when), count, Some(count * 10));
    log.append(observed(
        source(1),
        &[seen("2026-11-21T10:07:00Z", 1), seen("2026-11-21T10:59:59Z", 2), seen("2026-11-21T23:45:00Z", 4)],
    ))
    .await;
    catch_up(&pool).await.unwrap();
    log.append(observed(source(1), &[seen("2026-11-21T10:20:00Z", 8), seen("2026-11-22T00:00:00Z", 16)])).await;
    catch_up(&pool).await.unwrap();

    let columns =
        "bucket AT TIME ZONE 'UTC' AS bucket, measure, value, extract(second FROM changed_at)::int AS changed";
    let row = |bucket: &str, measure: &str, value: i64, changed: i32| json!({"bucket": bucket, "measure": measure, "value": value, "changed": changed});
    assert_eq!(
        rows(&admin, log.workspace, "rollup_hourly", columns).await,
        json!([
            row("2026-11-21T10:00:00", "clicks", 11, 3),
            row("2026-11-21T10:00:00", "spend", 110, 3),
            row("2026-11-21T23:00:00", "clicks", 4, 2),
            row("2026-11-21T23:00:00", "spend", 40, 2),
            row("2026-11-22T00:00:00", "clicks", 16, 3),
            row("2026-11-22T00:00:00", "spend", 160, 3),
        ])
    );
    assert_eq!(
        rows(&admin, log.workspace, "rollup_daily", columns).await,
        json!([
            row("2026-11-21T00:00:00", "clicks", 15, 3),
            row("2026-11-21T00:00:00", "spend", 150, 3),
            row("2026-11-22T00:00:00", "clicks", 16, 3),
            row("2026-11-22T00:00:00", "spend", 160, 3),
        ])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn changed_at_never_moves_back(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    let click = || clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"));
    log.append_timed([(click(), at("2026-11-22T09:00:00Z"))]).await;
    catch_up(&pool).await.unwrap();
    log.append_timed([(click(), at("2026-11-22T08:00:00Z"))]).await;
    catch_up(&pool).await.unwrap();
    for table in ["rollup_15m", "rollup_hourly", "rollup_daily"] {
        assert_eq!(
            rows(&admin, log.workspace, table, "value, changed_at AT TIME ZONE 'UTC' AS changed_at").await,
            json!([{"value": 2, "changed_at": "2026-11-22T09:00:00"}]),
            "{table}"
        );
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn creates_month_on_first_write(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(months(&admin, "rollup_15m_e1").await, ["rollup_15m_e1_202611"]);
    // Late ones, the very edges of a month, and instants that no clock of ours shows.
    for when in [
        "2026-09-30T23:59:59Z",
        "2026-10-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "1969-12-31T23:00:00Z",
        "2171-05-05T05:05:05Z",
    ] {
        log.append(clicked(source(1), campaign(1), at(when))).await;
    }
    catch_up(&pool).await.unwrap();
    assert_eq!(counted(&admin, log.workspace).await, 6);
    for table in ["rollup_15m", "rollup_hourly", "rollup_daily"] {
        let named = |suffix: &&str| format!("{table}_e1_{suffix}");
        let expected = ["202609", "202610", "202611", "before_2015", "from_2100"];
        assert_eq!(months(&admin, &format!("{table}_e1")).await, expected.iter().map(named).collect::<Vec<_>>());
    }
    assert!(months(&admin, "dimension_totals_e1").await.is_empty());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn creating_months_blocks_neither_readers_nor_projectors(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut logs = Vec::new();
    for _ in 0..4 {
        logs.push(Log::opened(&admin).await);
    }
    catch_up(&pool).await.unwrap();
    // A reader that holds what it read, from before the first month to after the last.
    let mut reader = admin.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM read.rollup_15m").execute(&mut *reader).await.unwrap();
    let begin: DateTime<Utc> = at("2024-01-31T23:59:00Z");
    let done = AtomicBool::new(false);
    let workspaces: Vec<i32> = logs.iter().map(|log| log.workspace).collect();
    let reading = async {
        while !done.load(Ordering::Relaxed) {
            for workspace in &workspaces {
                counted(&admin, *workspace).await;
            }
        }
    };
    let projecting = async {
        for month in 0..12 {
            let when = begin.checked_add_months(Months::new(month)).unwrap() + TimeDelta::minutes(1);
            for log in &mut logs {
                log.append(clicked(source(1), campaign(1), when)).await;
            }
            // Several at once: each batch is applied by one of them.
            let (a, b, c) = tokio::join!(catch_up(&pool), catch_up(&pool), catch_up(&pool));
            a.and(b).and(c).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(reading, projecting);
    reader.rollback().await.unwrap();
    for workspace in workspaces {
        assert_eq!(counted(&admin, workspace).await, 12);
    }
    assert_eq!(months(&admin, "rollup_daily_e1").await.len(), 12);
}
