//! What a workspace does not switch to unless it is said that it may.

use projections::parked::skip;
use projections::{ReplayError, ReplayOptions, ReplayOutcome, SwitchBlocked, catch_up, rollback};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::support::logs::{Log, at, campaign, clicked, created, pools, source};
use crate::support::parking::garbled;
use crate::support::replaying::{MODEL, of_all, rebuild, rebuild_with, varied};
use crate::support::rows::{counted, live_epoch};

async fn notes(admin: &PgPool) -> Vec<(i32, String)> {
    sqlx::query_as("SELECT epoch, reason FROM read.stopped_logs").fetch_all(admin).await.unwrap()
}

#[track_caller]
fn assert_unlike(refused: &Result<ReplayOutcome, ReplayError>, unlike: &SwitchBlocked) {
    assert!(matches!(refused, Err(ReplayError::SwitchBlocked { reason: found, .. }) if found == unlike), "{refused:?}");
}

/// A log whose rows an event has got to, though it does not decode any more. And the event's position.
async fn spoilt(admin: &PgPool, pool: &PgPool) -> (Log, i64) {
    let mut log = Log::opened(admin).await;
    log.append_all([created(campaign(1)), clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))]).await;
    let spoilt = log.append(clicked(source(2), campaign(1), at("2026-11-21T12:00:00Z"))).await;
    catch_up(pool).await.unwrap();
    write(admin, &log, spoilt, r#"{"source": 7}"#).await;
    (log, spoilt)
}

async fn payload(admin: &PgPool, log: &Log, position: i64) -> String {
    sqlx::query_scalar("SELECT payload::text FROM log.events WHERE workspace = $1 AND position = $2")
        .bind(log.workspace)
        .bind(position)
        .fetch_one(admin)
        .await
        .unwrap()
}

async fn write(admin: &PgPool, log: &Log, position: i64, payload: &str) {
    sqlx::query("UPDATE log.events SET payload = $1::json WHERE workspace = $2 AND position = $3")
        .bind(payload)
        .bind(log.workspace)
        .bind(position)
        .execute(admin)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_switch_to_different_row_counts(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    sqlx::query("DELETE FROM read.campaigns WHERE epoch = 1").execute(&admin).await.unwrap();
    let unlike = SwitchBlocked::Rows { table: "campaigns", live: 0, filled: 1 };
    assert_unlike(&rebuild_with(&pool, &of_all()).await, &unlike);
    assert_eq!(live_epoch(&admin, log.workspace).await, 1);
    assert_eq!(notes(&admin).await, [(2, unlike.to_string())]);

    let allowed = ReplayOptions { allow_differences: true, ..of_all() };
    let outcome = rebuild_with(&pool, &allowed).await.unwrap();
    assert!(matches!(outcome, ReplayOutcome::Completed { epoch: 2, workspaces: 1, .. }), "{outcome:?}");
    assert_eq!(live_epoch(&admin, log.workspace).await, 2);
    assert_eq!(notes(&admin).await, []);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_switch_to_more_parked_parts(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let (log, spoilt) = spoilt(&admin, &pool).await;
    // Another workspace is not held up.
    let other = varied(&admin, 1).await;
    catch_up(&pool).await.unwrap();
    let unlike = SwitchBlocked::MoreParked { live: 0, filled: 1 };
    assert_unlike(&rebuild_with(&pool, &of_all()).await, &unlike);
    assert_eq!((live_epoch(&admin, log.workspace).await, live_epoch(&admin, other.workspace).await), (1, 2));
    assert_eq!((counted(&admin, log.workspace).await, notes(&admin).await), (2, vec![(2, unlike.to_string())]));

    // Who wants it parked wants its rows away.
    let allowed = ReplayOptions { allow_parked: true, ..of_all() };
    let outcome = rebuild_with(&pool, &allowed).await.unwrap();
    assert!(matches!(outcome, ReplayOutcome::Completed { epoch: 2, workspaces: 1, .. }), "{outcome:?}");
    assert_eq!((live_epoch(&admin, log.workspace).await, counted(&admin, log.workspace).await), (2, 1));
    assert_eq!(notes(&admin).await, []);

    // As much parked or less is no reason to stay, though the live rows lack what the new ones have.
    rebuild(&pool).await;
    let good = payload(&admin, &log, spoilt - 1).await;
    write(&admin, &log, spoilt, &good).await;
    rebuild(&pool).await;
    assert_eq!((live_epoch(&admin, log.workspace).await, counted(&admin, log.workspace).await), (4, 2));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn allows_switch_after_skip(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let (log, spoilt) = spoilt(&admin, &pool).await;
    rebuild_with(&pool, &ReplayOptions { allow_parked: true, ..of_all() }).await.unwrap();
    skip(&pool, MODEL, log.workspace, spoilt, "garbled").await.unwrap();
    rollback(&pool, MODEL, &of_all(), CancellationToken::new()).await.unwrap();
    assert_eq!((live_epoch(&admin, log.workspace).await, counted(&admin, log.workspace).await), (1, 2));
    rebuild(&pool).await;
    assert_eq!((live_epoch(&admin, log.workspace).await, counted(&admin, log.workspace).await), (3, 1));

    // From then on the count is looked at again.
    sqlx::query("DELETE FROM read.campaigns WHERE epoch = 3").execute(&admin).await.unwrap();
    let refused = rebuild_with(&pool, &of_all()).await;
    assert_unlike(&refused, &SwitchBlocked::Rows { table: "campaigns", live: 0, filled: 1 });
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_switch_to_rows_that_differ(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let (log, fine) = (varied(&admin, 3).await, varied(&admin, 2).await);
    catch_up(&pool).await.unwrap();
    let change = format!("UPDATE read.campaigns SET name = name || '!' WHERE workspace = {}", log.workspace);
    sqlx::query(&change).execute(&admin).await.unwrap();
    let verified = ReplayOptions { verify: true, ..of_all() };
    let refused = rebuild_with(&pool, &verified).await.unwrap_err();
    let ReplayError::SwitchBlocked { workspace, reason: SwitchBlocked::Differs { rows: 1, first } } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((workspace, first.table), (log.workspace, "campaigns"));
    let told = format!("campaigns campaign_id={0}: name is Campaign {0}!, not Campaign {0}", campaign(1));
    assert_eq!(first.to_string(), told);
    assert_eq!((live_epoch(&admin, log.workspace).await, live_epoch(&admin, fine.workspace).await), (1, 2));
    let noted = format!("1 of its rows differ between the live epoch and the new one, the first: {told}");
    assert_eq!(notes(&admin).await, [(2, noted)]);
    // As many rows, so it takes a comparison to see it. It counts as a verify.
    let last = projections::last_verified(&pool).await.unwrap();
    assert_eq!((last[0].sampled, last[0].differences, last[0].problems), (false, 1, 0));

    let repair = format!("UPDATE read.campaigns SET name = trim('!' FROM name) WHERE workspace = {}", log.workspace);
    sqlx::query(&repair).execute(&admin).await.unwrap();
    let outcome = rebuild_with(&pool, &verified).await.unwrap();
    assert!(matches!(outcome, ReplayOutcome::Completed { epoch: 2, workspaces: 1, .. }), "{outcome:?}");
    assert_eq!(live_epoch(&admin, log.workspace).await, 2);
    assert_eq!(projections::last_verified(&pool).await.unwrap()[0].differences, 0);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_switch_to_rows_that_cannot_be_compared(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 1).await;
    catch_up(&pool).await.unwrap();
    projections::retention::limit_dimensions(&admin, 7).await.unwrap();
    let refused = rebuild_with(&pool, &ReplayOptions { verify: true, ..of_all() }).await.unwrap_err();
    let reason = "the live rows keep another number of values of a dimension".to_owned();
    assert_unlike(&Err(refused), &SwitchBlocked::Unverified { reason });
    assert_eq!(live_epoch(&admin, log.workspace).await, 1);
    rebuild(&pool).await;
    assert_eq!(live_epoch(&admin, log.workspace).await, 2);
}

/// What is parked on both sides is no difference, and what comes while it is compared is applied before the switch.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn switches_to_equal_rows(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = varied(&admin, 3).await;
    garbled(&mut log, 3).await;
    catch_up(&pool).await.unwrap();
    log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
    let outcome = rebuild_with(&pool, &ReplayOptions { verify: true, ..of_all() }).await.unwrap();
    assert!(matches!(outcome, ReplayOutcome::Completed { epoch: 2, workspaces: 1, .. }), "{outcome:?}");
    catch_up(&pool).await.unwrap();
    assert_eq!(counted(&admin, log.workspace).await, 4);
}
