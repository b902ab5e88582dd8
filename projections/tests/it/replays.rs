//! Rebuilding beside the live rows.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use projections::{ReplayError, ReplayOutcome, ReplayProgress, catch_up, replay};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};
use tokio_util::sync::CancellationToken;

use crate::support::logs::{Log, at, campaign, clicked, pools, source};
use crate::support::replaying::{MODEL, applied, epochs, of_all, rebuild, unseen, varied};
use crate::support::rows::{checkpoint, counted, everything, live_epoch, live_rows};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn replay_gives_identical_rows(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut logs = Vec::new();
    for clicks in [0, 60, 2_500] {
        let log = varied(&admin, clicks).await;
        catch_up(&pool).await.unwrap();
        logs.push(log);
    }
    let mut before = Vec::new();
    for log in &logs {
        before.push(live_rows(&admin, log.workspace).await);
    }
    let last = Mutex::new(None);
    let note = |progress: ReplayProgress| *last.lock().unwrap() = Some(progress);
    let outcome = replay(&pool, MODEL, &of_all(), &note, CancellationToken::new()).await.unwrap();
    let events: i64 = logs.iter().map(Log::head).sum();
    assert_eq!(outcome, ReplayOutcome::Completed { epoch: 2, workspaces: 3, events });
    let last = last.lock().unwrap().unwrap();
    assert_eq!((last.workspaces_done, last.workspaces, last.events_done, last.events_total), (3, 3, events, events));
    for (log, before) in logs.iter().zip(before) {
        assert_eq!(live_epoch(&admin, log.workspace).await, 2);
        assert_eq!(checkpoint(&pool, log.workspace).await, log.head());
        assert_eq!(live_rows(&admin, log.workspace).await, before);
    }
    assert_eq!(epochs(&admin).await, applied(&[1, 2]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn follows_both_epochs_until_older_is_dropped(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = varied(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    rebuild(&pool).await;
    log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
    catch_up(&pool).await.unwrap();
    let new = everything(&admin, log.workspace, 2, &[]).await;
    assert_eq!(everything(&admin, log.workspace, 1, &[]).await, new);
    // The way back is one row.
    sqlx::query("UPDATE read.live_epochs SET epoch = 1").execute(&admin).await.unwrap();
    assert_eq!(counted(&admin, log.workspace).await, 4);
    sqlx::query("UPDATE read.live_epochs SET epoch = 2").execute(&admin).await.unwrap();

    rebuild(&pool).await;
    assert_eq!(epochs(&admin).await, applied(&[2, 3]));
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_e1' AND relkind = 'r'")
        .fetch_one(&admin)
        .await
        .unwrap();
    assert_eq!(tables, 0);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn drops_old_epoch_beside_busy_readers(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    rebuild(&pool).await;
    let mut reader = admin.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM read.campaigns").execute(&mut *reader).await.unwrap();
    let released = async {
        crate::failures::until_waiting(&admin, "campaigns").await;
        // Others still read while the drop waits: it gives up its place in the queue soon.
        assert_eq!(counted(&admin, log.workspace).await, 3);
        sqlx::query("SELECT count(*) FROM read.campaigns").execute(&admin).await.unwrap();
        reader.rollback().await.unwrap();
    };
    let (outcome, ()) = tokio::join!(rebuild(&pool), released);
    assert!(matches!(outcome, ReplayOutcome::Completed { epoch: 3, .. }));
    assert_eq!(epochs(&admin).await, applied(&[2, 3]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn keeps_up_with_appends_during_replay(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    for _ in 0..50 {
        log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
    }
    catch_up(&pool).await.unwrap();
    let workspace = log.workspace;
    let done = AtomicBool::new(false);
    let appending = async {
        while !done.load(Ordering::Relaxed) {
            log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
            catch_up(&pool).await.unwrap();
        }
    };
    let reading = async {
        let mut last = 0;
        while !done.load(Ordering::Relaxed) {
            let (position, counted) = snapshot(&admin, workspace).await;
            // One event opened the workspace, each other one is a click.
            assert_eq!(counted, position - 1, "rows and position differ");
            assert!(position >= last, "from {last} back to {position}");
            last = position;
        }
    };
    let replaying = async {
        for _ in 0..4 {
            rebuild(&pool).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(appending, reading, replaying);
    catch_up(&pool).await.unwrap();
    assert_eq!((live_epoch(&admin, workspace).await, counted(&admin, workspace).await), (5, log.head() - 1));
    assert_eq!(everything(&admin, workspace, 4, &[]).await, everything(&admin, workspace, 5, &[]).await);
}

/// Position and number of clicks as readers take them: from one snapshot, which is there before the statement that reads rows is
/// planned. By one statement they could belong to different partitions: it is planned before it takes its snapshot.
async fn snapshot(admin: &PgPool, workspace: i32) -> (i64, i64) {
    let mut reading = admin.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.unwrap();
    let (epoch, position): (i32, i64) = sqlx::query_as(
        "SELECT epoch, position FROM read.live_epochs JOIN read.checkpoints USING (projection, workspace, epoch) WHERE workspace = $1",
    )
    .bind(workspace)
    .fetch_one(&mut *reading)
    .await
    .unwrap();
    let clicks = sqlx::query_scalar(
        "SELECT coalesce(sum(value), 0)::bigint FROM read.rollup_15m WHERE epoch = $1 AND workspace = $2",
    )
    .bind(epoch)
    .bind(workspace)
    .fetch_one(&mut *reading)
    .await
    .unwrap();
    (position, clicks)
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn next_replay_continues_interrupted_one(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut logs = Vec::new();
    for _ in 0..4 {
        logs.push(varied(&admin, 20).await);
    }
    catch_up(&pool).await.unwrap();
    let mut before = Vec::new();
    for log in &logs {
        before.push(live_rows(&admin, log.workspace).await);
    }

    // Interrupted as soon as one workspace has switched. One more may be in the middle of it: two are filled at a time.
    let shutdown = CancellationToken::new();
    let interrupt = |progress: ReplayProgress| {
        if progress.workspaces_done == 1 {
            shutdown.cancel();
        }
    };
    let outcome = replay(&pool, MODEL, &of_all(), &interrupt, shutdown.clone()).await.unwrap();
    assert_eq!(outcome, ReplayOutcome::Interrupted { epoch: 2 });
    let mut switched = 0;
    for log in &logs {
        switched += usize::from(live_epoch(&admin, log.workspace).await == 2);
    }
    assert!((1..=2).contains(&switched), "{switched} workspaces had switched");
    assert_eq!(epochs(&admin).await, vec![(1, "applied".to_owned()), (2, "building".to_owned())]);

    // Meanwhile everything is followed where it lives, and a new workspace starts on the applied epoch.
    let late = varied(&admin, 2).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(live_epoch(&admin, late.workspace).await, 1);

    // Those that had not switched, and the late one.
    let left = logs.len() - switched + 1;
    let outcome = rebuild(&pool).await;
    assert!(
        matches!(outcome, ReplayOutcome::Completed { epoch: 2, workspaces, .. } if workspaces == left),
        "{outcome:?}"
    );
    for log in logs.iter().chain([&late]) {
        assert_eq!(live_epoch(&admin, log.workspace).await, 2);
        assert_eq!(checkpoint(&pool, log.workspace).await, log.head());
    }
    for (log, before) in logs.iter().zip(before) {
        assert_eq!(live_rows(&admin, log.workspace).await, before);
    }
    assert_eq!(epochs(&admin).await, applied(&[1, 2]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn next_replay_continues_killed_one(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 20).await;
    catch_up(&pool).await.unwrap();
    let before = live_rows(&admin, log.workspace).await;

    let mut blocker = admin.acquire().await.unwrap().detach();
    let mut blocked = blocker.begin().await.unwrap();
    sqlx::query("LOCK TABLE read.scope_marks IN EXCLUSIVE MODE").execute(&mut *blocked).await.unwrap();
    let dying = tokio::spawn({
        let pool = pool.clone();
        async move { replay(&pool, MODEL, &of_all(), &unseen, CancellationToken::new()).await }
    });
    // Creating the epoch's tables, or writing to them, waits for the lock.
    crate::failures::until_waiting(&admin, "scope_marks").await;
    let rival = replay(&pool, MODEL, &of_all(), &unseen, CancellationToken::new()).await;
    assert!(matches!(rival, Err(ReplayError::AlreadyRunning)), "{rival:?}");
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    blocked.rollback().await.unwrap();

    let outcome = loop {
        // The session of the dead replay holds its lock until the server notices.
        match replay(&pool, MODEL, &of_all(), &unseen, CancellationToken::new()).await {
            Err(ReplayError::AlreadyRunning) => tokio::task::yield_now().await,
            outcome => break outcome.unwrap(),
        }
    };
    assert!(matches!(outcome, ReplayOutcome::Completed { workspaces: 1, .. }), "{outcome:?}");
    assert_eq!(live_rows(&admin, log.workspace).await, before);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn replay_waits_for_maintenance_of_epochs(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    varied(&admin, 20).await;
    catch_up(&pool).await.unwrap();
    let mut maintenance = admin.acquire().await.unwrap().detach();
    sqlx::query("SELECT pg_advisory_lock(hashtext('highwater.epochs.campaign_model'))")
        .execute(&mut maintenance)
        .await
        .unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { replay(&pool, MODEL, &of_all(), &unseen, CancellationToken::new()).await }
    });
    let waits = "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                                WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted)";
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&admin).await.unwrap() {
        assert!(!waiting.is_finished(), "the replay did not wait");
        tokio::task::yield_now().await;
    }
    maintenance.close().await.unwrap();
    let outcome = waiting.await.unwrap().unwrap();
    assert!(matches!(outcome, ReplayOutcome::Completed { workspaces: 1, .. }), "{outcome:?}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn replay_includes_workspace_opened_meanwhile(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 20).await;
    catch_up(&pool).await.unwrap();
    let (appear, appeared) = tokio::sync::oneshot::channel();
    let appear = Mutex::new(Some(appear));
    let note = |progress: ReplayProgress| {
        if progress.events_done > 0
            && let Some(appear) = appear.lock().unwrap().take()
        {
            appear.send(()).unwrap();
        }
    };
    let newcomer = async {
        appeared.await.unwrap();
        let newcomer = varied(&admin, 3).await;
        catch_up(&pool).await.unwrap();
        newcomer
    };
    let options = of_all();
    let (outcome, newcomer) = tokio::join!(replay(&pool, MODEL, &options, &note, CancellationToken::new()), newcomer);
    assert!(matches!(outcome, Ok(ReplayOutcome::Completed { epoch: 2, .. })));
    catch_up(&pool).await.unwrap();
    for log in [&log, &newcomer] {
        assert_eq!(live_epoch(&admin, log.workspace).await, 2);
        assert_eq!(checkpoint(&pool, log.workspace).await, log.head());
    }
    assert_eq!(counted(&admin, newcomer.workspace).await, 3);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn log_with_hole_stays_on_old_epoch(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut broken = varied(&admin, 5).await;
    let whole = varied(&admin, 5).await;
    catch_up(&pool).await.unwrap();
    // Applied once, and lost since.
    broken.tear_out(7).await;
    match replay(&pool, MODEL, &of_all(), &unseen, CancellationToken::new()).await {
        Err(ReplayError::Stopped(refused)) => assert_eq!((refused.workspace, refused.position), (broken.workspace, 7)),
        other => panic!("not stopped: {other:?}"),
    }
    assert_eq!((live_epoch(&admin, broken.workspace).await, live_epoch(&admin, whole.workspace).await), (1, 2));
    // Its live rows are kept up to date all the same.
    broken.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(counted(&admin, broken.workspace).await, 6);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_replay_of_unknown_projection(options: PgPoolOptions, connect: PgConnectOptions) {
    let (_, pool) = pools(options, connect).await;
    let unknown = replay(&pool, "horoscopes", &of_all(), &unseen, CancellationToken::new()).await;
    assert!(matches!(unknown, Err(ReplayError::UnknownProjection(name)) if name == "horoscopes"));
}
