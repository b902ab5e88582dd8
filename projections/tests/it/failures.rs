//! Crashes, holes, rivals: nothing is skipped, half applied or applied twice, and other logs go on.

use std::time::Duration;

use domain::source::SourceKind;
use projections::{ProjectorError, catch_up};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{Log, at, campaign, clicked, created, opened, pools, registered, source};
use crate::support::rows::{checkpoint, counted, live_rows};

/// The log at which catching up stopped, and where.
async fn stopped(pool: &PgPool) -> (i32, i64, String) {
    match catch_up(pool).await {
        Err(ProjectorError::Stopped(refused)) => (refused.workspace, refused.position, refused.reason.to_string()),
        other => panic!("not stopped: {other:?}"),
    }
}

/// What operators are told of it.
async fn shown(pool: &PgPool, workspace: i32) -> Option<(i64, String)> {
    let status = projections::status(pool).await.unwrap();
    let log = status.into_iter().find(|log| log.workspace == workspace).unwrap();
    log.stopped.map(|stop| (stop.position, stop.reason))
}

async fn with_clicks(admin: &PgPool, clicks: usize) -> Log {
    let mut log = Log::opened(admin).await;
    log.append_all((0..clicks).map(|_| clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z")))).await;
    log
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn hole_stops_its_log_and_is_reported(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let torn = with_clicks(&admin, 5).await;
    let whole = with_clicks(&admin, 5).await;
    torn.tear_out(4).await;
    assert_eq!(stopped(&pool).await, (torn.workspace, 4, "the log has a hole here".to_owned()));
    assert_eq!(shown(&pool, torn.workspace).await, Some((4, "the log has a hole here".to_owned())));
    assert_eq!((checkpoint(&pool, torn.workspace).await, counted(&admin, torn.workspace).await), (3, 2));
    assert_eq!((checkpoint(&pool, whole.workspace).await, counted(&admin, whole.workspace).await), (6, 5));
    assert_eq!(shown(&pool, whole.workspace).await, None);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn missing_last_event_is_a_hole(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let torn = with_clicks(&admin, 2).await;
    torn.tear_out(3).await;
    assert_eq!(stopped(&pool).await.1, 3);
    assert_eq!(checkpoint(&pool, torn.workspace).await, 2);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn log_continues_after_hole_is_filled(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = with_clicks(&admin, 3).await;
    sqlx::query("CREATE TABLE torn AS SELECT * FROM log.events WHERE position = 3").execute(&admin).await.unwrap();
    log.tear_out(3).await;
    assert_eq!(stopped(&pool).await.1, 3);
    assert_eq!((checkpoint(&pool, log.workspace).await, counted(&admin, log.workspace).await), (2, 1));
    sqlx::query("INSERT INTO log.events SELECT * FROM torn").execute(&admin).await.unwrap();
    catch_up(&pool).await.unwrap();
    assert_eq!(shown(&pool, log.workspace).await, None);
    assert_eq!((checkpoint(&pool, log.workspace).await, counted(&admin, log.workspace).await), (4, 3));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn crash_before_commit_leaves_no_rows(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = with_clicks(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;

    // Whoever holds this lock keeps the projector inside its transaction: after the increments, before the marks.
    let mut blocker = admin.begin().await.unwrap();
    sqlx::query("LOCK TABLE read.scope_marks IN EXCLUSIVE MODE").execute(&mut *blocker).await.unwrap();
    let crash = tokio::spawn({
        let pool = pool.clone();
        async move { catch_up(&pool).await }
    });
    until_waiting(&admin, "scope_marks").await;
    crash.abort();
    assert!(crash.await.unwrap_err().is_cancelled());
    blocker.rollback().await.unwrap();

    assert_eq!((checkpoint(&pool, log.workspace).await, counted(&admin, log.workspace).await), (4, 3));
    catch_up(&pool).await.unwrap();
    assert_eq!((checkpoint(&pool, log.workspace).await, counted(&admin, log.workspace).await), (5, 4));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn failed_commit_leaves_no_rows(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    catch_up(&pool).await.unwrap();
    sqlx::raw_sql(
        "CREATE FUNCTION read.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
         CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON read.scope_marks_e1 DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION read.fail();",
    )
    .execute(&admin)
    .await
    .unwrap();
    let log = with_clicks(&admin, 3).await;
    assert!(matches!(catch_up(&pool).await, Err(ProjectorError::Database(_))));
    assert_eq!((checkpoint(&pool, log.workspace).await, counted(&admin, log.workspace).await), (0, 0));
    sqlx::query("DROP TRIGGER fail ON read.scope_marks_e1").execute(&admin).await.unwrap();
    catch_up(&pool).await.unwrap();
    assert_eq!((checkpoint(&pool, log.workspace).await, counted(&admin, log.workspace).await), (4, 3));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn competing_projectors_apply_each_event_once(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut logs = vec![with_clicks(&admin, 0).await, with_clicks(&admin, 0).await, with_clicks(&admin, 0).await];
    for round in 1..=15 {
        let append = async {
            for log in &mut logs {
                log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
            }
        };
        let rival = || async { catch_up(&pool).await.unwrap() };
        tokio::join!(append, rival(), rival(), rival());
        catch_up(&pool).await.unwrap();
        for log in &logs {
            assert_eq!(counted(&admin, log.workspace).await, round);
            assert_eq!(checkpoint(&pool, log.workspace).await, log.head());
        }
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn lost_checkpoint_restarts_log_without_double_count(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = with_clicks(&admin, 3).await;
    log.append_all([created(campaign(1)), registered(source(1), SourceKind::Push)]).await;
    catch_up(&pool).await.unwrap();
    let before = live_rows(&admin, log.workspace).await;
    sqlx::query("DELETE FROM read.checkpoints").execute(&admin).await.unwrap();
    assert_eq!(checkpoint(&pool, log.workspace).await, 0);
    catch_up(&pool).await.unwrap();
    assert_eq!(live_rows(&admin, log.workspace).await, before);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn does_not_follow_epoch_of_another_version(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = with_clicks(&admin, 1).await;
    catch_up(&pool).await.unwrap();
    sqlx::query("UPDATE read.epochs SET version = 99").execute(&admin).await.unwrap();
    log.append(opened()).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(checkpoint(&pool, log.workspace).await, 2);
    let (position, reason) = shown(&pool, log.workspace).await.unwrap();
    assert_eq!(position, 3);
    assert!(reason.contains("replay it"), "{reason}");
}

/// Waits until some session waits for a lock on a table. Nobody is told of that, so it looks again and again.
pub(crate) async fn until_waiting(admin: &PgPool, table: &str) {
    loop {
        let waits: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = ('read.' || $1)::regclass)",
        )
        .bind(table)
        .fetch_one(admin)
        .await
        .unwrap();
        if waits {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
