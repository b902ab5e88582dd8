//! Very many parked parts, and very much that waits behind one.

use domain::campaign::CampaignEvent;
use projections::parked::{RetryOutcome, retry_all, skip};
use projections::{ProjectorError, catch_up};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{Log, at, campaign, changed, clicked, created, naming, pools, source};
use crate::support::parking::{NOON, garbled, repair};
use crate::support::replaying::{MODEL, rebuild};
use crate::support::rows::{checkpoint, counted, live_rows, parked};

/// As if so many parts of a log had been parked one by one.
async fn park(admin: &PgPool, log: &Log, parts: i32) {
    sqlx::query(
        "INSERT INTO read.parked (projection, epoch, workspace, stream_type, stream_id, position, sequence, waiting,
                                  last_position, reason)
         SELECT 'campaign_model', 1, $1, 'comets', $1 || '/' || n, 1, 1, 1, 1, 'a test says so' FROM generate_series(1, $2) n",
    )
    .bind(log.workspace)
    .bind(parts)
    .execute(admin)
    .await
    .unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn log_with_too_many_parked_parts_stops(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let (mut log, mut other) = (Log::opened(&admin).await, Log::opened(&admin).await);
    catch_up(&pool).await.unwrap();
    park(&admin, &log, 999).await;
    let last = log.append_raw("meteors", "m", "MeteorFell", "{}").await;
    let beyond = log.append_raw("meteors", "n", "MeteorFell", "{}").await;
    log.append(clicked(source(1), campaign(1), at(NOON))).await;
    other.append(clicked(source(1), campaign(1), at(NOON))).await;

    let Err(ProjectorError::Stopped(refused)) = catch_up(&pool).await else { panic!("it goes on") };
    let why = "too many parts of the log are parked, the last one because: the stream type \"meteors\" is not known";
    assert_eq!((refused.position, refused.reason.to_string().as_str()), (beyond, why));
    assert_eq!((parked(&pool).await.len(), checkpoint(&pool, log.workspace).await), (1_000, last));
    let status = projections::status(&pool).await.unwrap();
    let shown = status.iter().find(|shown| shown.workspace == log.workspace).unwrap();
    let stop = shown.stopped.as_ref().unwrap();
    assert_eq!((stop.position, stop.reason.as_str(), shown.parked.parts), (beyond, why, 1_000));
    assert_eq!(counted(&admin, other.workspace).await, 1);

    // With one less it goes on.
    skip(&pool, MODEL, log.workspace, last, "a rock").await.unwrap();
    catch_up(&pool).await.unwrap();
    assert_eq!((checkpoint(&pool, log.workspace).await, counted(&admin, log.workspace).await), (log.head(), 1));
    assert_eq!(parked(&pool).await.len(), 1_000);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn retry_applies_many_parked_events_in_order(options: PgPoolOptions, connect: PgConnectOptions) {
    const WAITING: i64 = 10_200;
    let (admin, pool) = pools(options, connect).await;
    // Which values are kept, and which are `(other)`, tells the order.
    projections::retention::limit_dimensions(&admin, 2).await.unwrap();
    let mut log = Log::opened(&admin).await;
    log.append(created(campaign(1))).await;
    let poison = garbled(&mut log, 1).await;
    let values = ["first", "second", "third"];
    let events = (0..WAITING).map(|n| {
        let value = values[usize::try_from(n / 4_000).unwrap()];
        naming(clicked(source(1), campaign(1), at(NOON)), &[&[("ad", value)]])
    });
    log.append_all(events).await;
    log.append(changed(campaign(1), CampaignEvent::CampaignLaunched { at: at(NOON) })).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(parked(&pool).await, [(poison, None, WAITING + 1)]);

    let good: String = sqlx::query_scalar("SELECT payload::text FROM log.events WHERE position = $1")
        .bind(poison + 1)
        .fetch_one(&admin)
        .await
        .unwrap();
    repair(&admin, poison, &good).await;
    let tried = retry_all(&pool, |_| true).await.unwrap();
    assert!(tried.iter().all(|(_, retried)| *retried == RetryOutcome::Applied), "{tried:?}");
    assert_eq!((parked(&pool).await, counted(&admin, log.workspace).await), (vec![], WAITING + 1));
    let kept: Vec<(String, i32)> =
        sqlx::query_as("SELECT value, rank FROM read.dimension_values ORDER BY rank").fetch_all(&admin).await.unwrap();
    assert_eq!(kept, [("first".to_owned(), 1), ("second".to_owned(), 2)]);
    // It was parked, and applied in two steps, each of which readers may have seen.
    let revision: i32 = sqlx::query_scalar("SELECT revision FROM read.checkpoints").fetch_one(&admin).await.unwrap();
    assert_eq!(revision, 3);
    let rows = live_rows(&admin, log.workspace).await;
    rebuild(&pool).await;
    assert_eq!(live_rows(&admin, log.workspace).await, rows);
}
