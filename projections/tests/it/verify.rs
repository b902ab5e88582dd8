//! Comparing the live rows with a rebuild: equal when nothing is wrong, and every injected fault by its name.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use platform::clock::{ManualClock, SharedClock};
use projections::{
    Changed, Difference, Problem, RowDifference, Sample, Verified, VerifyError, VerifyObserver, VerifyRequest,
    catch_up, last_verified, verify,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::cuts::{happening, log};
use crate::support::logs::{Log, at, campaign, clicked, created, pools, source};
use crate::support::replaying::varied;
use crate::support::rows::{checkpoint, live_rows};

const MODEL: &str = "campaign_model";

fn noon() -> DateTime<Utc> {
    at("2026-11-22T12:00:00Z")
}

fn clock(now: DateTime<Utc>) -> SharedClock {
    std::sync::Arc::new(ManualClock::new(now))
}

pub(crate) async fn try_verify(
    pool: &PgPool,
    workspaces: &[i32],
    shutdown: CancellationToken,
) -> (Result<Verified, VerifyError>, Vec<Difference>) {
    let found = Mutex::new(Vec::new());
    let note = |difference: &Difference| found.lock().unwrap().push(difference.clone());
    let watch = VerifyObserver { progress: &|_| {}, difference: &note };
    let request = VerifyRequest { workspaces: workspaces.to_vec(), ..VerifyRequest::default() };
    let verified = verify(pool, MODEL, &request, &clock(noon()), watch, shutdown).await;
    (verified, found.into_inner().unwrap())
}

/// Verifies every workspace, and sees to it that nothing is left of the rebuild.
pub(crate) async fn verified(admin: &PgPool, pool: &PgPool) -> (Verified, Vec<Difference>) {
    let before = epochs(admin).await;
    let (verified, differences) = try_verify(pool, &[], CancellationToken::new()).await;
    assert_eq!(epochs(admin).await, before);
    (verified.unwrap(), differences)
}

/// The epochs and their states; and of how many epochs there are tables.
async fn epochs(admin: &PgPool) -> (Vec<(i32, String)>, i64) {
    let epochs = sqlx::query_as("SELECT epoch, state FROM read.epochs ORDER BY epoch").fetch_all(admin).await.unwrap();
    let tables = sqlx::query_scalar("SELECT count(*) FROM pg_class WHERE relname ~ '^campaigns_e[0-9]+$'")
        .fetch_one(admin)
        .await
        .unwrap();
    (epochs, tables)
}

/// A difference in a few words: table, key, what.
pub(crate) fn summary(difference: &Difference) -> (&'static str, String, String) {
    let key: Vec<&str> = difference.key.iter().map(|cell| cell.value.as_deref().unwrap_or("NULL")).collect();
    let row = match &difference.row {
        RowDifference::Missing(_) => "missing".to_owned(),
        RowDifference::Extra(_) => "extra".to_owned(),
        RowDifference::Changed(columns) => {
            let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
            let change =
                |Changed { column, live, rebuilt }: &Changed| format!("{column} {} for {}", said(live), said(rebuilt));
            columns.iter().map(change).collect::<Vec<_>>().join(", ")
        }
    };
    (difference.table, key.join(" "), row)
}

/// Changes rows behind everybody's back.
async fn tamper(admin: &PgPool, sql: &str, workspace: i32) {
    let changed = sqlx::query(sql).bind(workspace).execute(admin).await.unwrap();
    assert_eq!(changed.rows_affected(), 1, "{sql}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn verifies_random_histories(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut runner = TestRunner::deterministic();
    let cases = proptest::collection::vec(happening(), 1..60);
    let mut logs = Vec::new();
    for _ in 0..6 {
        let events = log(cases.new_tree(&mut runner).unwrap().current());
        let mut log = Log::empty(&admin).await;
        for some in events.chunks(17) {
            log.append_timed(some.to_vec()).await;
            catch_up(&pool).await.unwrap();
        }
        logs.push(log);
    }
    let (verified, differences) = verified(&admin, &pool).await;
    assert_eq!(differences, []);
    assert!(!verified.interrupted);
    for (log, verification) in logs.iter().zip(&verified.workspaces) {
        assert!(verification.passed(), "{verification:?}");
        assert_eq!((verification.workspace, verification.position), (log.workspace, log.head()));
        let rows = live_rows(&admin, log.workspace).await;
        let tables = verification.tables.len();
        assert_eq!(verification.rows(), (rows.trim_end().lines().filter(|line| line.starts_with('(')).count()) as u64);
        assert!(tables > 5);
        assert_eq!(verification.parked, []);
    }
    assert_eq!(verified.workspaces.len(), logs.len());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn verifies_beside_running_projector(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = varied(&admin, 60).await;
    catch_up(&pool).await.unwrap();
    let (workspace, done) = (log.workspace, AtomicBool::new(false));
    let appending = async {
        while !done.load(Ordering::Relaxed) {
            log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
            catch_up(&pool).await.unwrap();
        }
    };
    let verifying = async {
        let mut last = 0;
        for _ in 0..5 {
            let (verified, differences) = verified(&admin, &pool).await;
            assert_eq!(differences, []);
            let [verification] = verified.workspaces.as_slice() else { panic!("{verified:?}") };
            assert!(verification.passed(), "{verification:?}");
            assert!(verification.position > last, "{} after {last}", verification.position);
            last = verification.position;
        }
        done.store(true, Ordering::Relaxed);
        last
    };
    let ((), last) = tokio::join!(appending, verifying);
    assert!(checkpoint(&pool, workspace).await >= last);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reports_changed_missing_and_extra_rows(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let (tampered, fine) = (varied(&admin, 12).await, varied(&admin, 12).await);
    catch_up(&pool).await.unwrap();
    let workspace = tampered.workspace;
    tamper(&admin, "UPDATE read.rollup_15m SET value = 13 WHERE workspace = $1", workspace).await;
    tamper(&admin, "UPDATE read.campaigns SET name = 'Other', ends_on = NULL WHERE workspace = $1", workspace).await;
    tamper(&admin, "DELETE FROM read.sources WHERE workspace = $1 AND name LIKE '%81'", workspace).await;
    let extra = "INSERT INTO read.scope_marks VALUES (1, $1, 'month:1999-01', 3)";
    tamper(&admin, extra, workspace).await;
    let before = live_rows(&admin, workspace).await;

    let (verified, differences) = verified(&admin, &pool).await;
    let (one, two) = (campaign(1).to_string(), source(1).to_string());
    let mut summaries: Vec<_> = differences.iter().map(summary).collect();
    summaries.sort();
    assert_eq!(
        summaries,
        [
            ("campaigns", one.clone(), format!("name Other for Campaign {one}, ends_on NULL for 2026-12-31")),
            ("rollup_15m", format!("{one} {two} 2026-11-21 10:00:00+00 clicks"), "value 13 for 12".to_owned()),
            ("scope_marks", "month:1999-01".to_owned(), "extra".to_owned()),
            ("sources", two, "missing".to_owned()),
        ]
    );
    assert!(differences.iter().all(|difference| difference.workspace == workspace));
    let counts: Vec<_> =
        verified.workspaces.iter().map(|one| (one.workspace, one.differences(), one.passed())).collect();
    assert_eq!(counts, [(workspace, 4, false), (fine.workspace, 0, true)]);
    // It says what is wrong, and leaves it to somebody who knows why.
    assert_eq!(live_rows(&admin, workspace).await, before);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reports_rows_without_checkpoint_as_extra(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 1).await;
    catch_up(&pool).await.unwrap();
    tamper(&admin, "DELETE FROM read.checkpoints WHERE workspace = $1", log.workspace).await;
    let (verified, differences) = verified(&admin, &pool).await;
    assert_eq!(verified.workspaces[0].position, 0);
    assert_eq!(verified.workspaces[0].rows(), differences.len() as u64);
    assert!(differences.iter().all(|difference| matches!(difference.row, RowDifference::Extra(_))));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reports_hole_and_verifies_other_workspaces(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let (torn, tampered) = (varied(&admin, 5).await, varied(&admin, 5).await);
    catch_up(&pool).await.unwrap();
    torn.tear_out(7).await;
    tamper(&admin, "UPDATE read.rollup_15m SET value = 0 WHERE workspace = $1", tampered.workspace).await;
    let (verified, differences) = verified(&admin, &pool).await;
    let problem = verified.workspaces[0].problem.as_ref().unwrap();
    assert_eq!(problem.to_string(), "the log cannot be replayed past position 6: the log has a hole here");
    assert!(verified.workspaces[1].problem.is_none());
    assert_eq!(differences.len(), 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn does_not_compare_rows_of_another_version(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    varied(&admin, 1).await;
    catch_up(&pool).await.unwrap();
    sqlx::query("UPDATE read.epochs SET version = 99").execute(&admin).await.unwrap();
    let (verified, differences) = verified(&admin, &pool).await;
    assert!(matches!(verified.workspaces[0].problem, Some(Problem::Version { built: 99, .. })), "{verified:?}");
    assert_eq!(differences, []);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn verifies_requested_workspaces_only(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let (one, two) = (varied(&admin, 1).await, varied(&admin, 1).await);
    catch_up(&pool).await.unwrap();
    tamper(&admin, "DELETE FROM read.workspaces WHERE workspace = $1", one.workspace).await;
    let (verified, differences) = try_verify(&pool, &[two.workspace], CancellationToken::new()).await;
    let looked_at: Vec<_> = verified.unwrap().workspaces.iter().map(|one| (one.workspace, one.passed())).collect();
    assert_eq!((looked_at, differences), (vec![(two.workspace, true)], vec![]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn sample_depends_on_its_seed(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = Log::opened(&admin).await;
    log.append_all((0..12).map(|n| created(campaign(n)))).await;
    log.append_all((0..12).map(|n| clicked(source(1), campaign(n), at("2026-11-21T10:00:00Z")))).await;
    catch_up(&pool).await.unwrap();
    let wrong = sqlx::query("UPDATE read.rollup_15m SET value = 9").execute(&admin).await.unwrap();
    assert_eq!(wrong.rows_affected(), 12);
    tamper(&admin, "DELETE FROM read.workspaces WHERE workspace = $1", log.workspace).await;
    let sampled = async |campaigns, seed| {
        let found = Mutex::new(Vec::new());
        let note = |difference: &Difference| found.lock().unwrap().push(difference.clone());
        let watch = VerifyObserver { progress: &|_| {}, difference: &note };
        let request = VerifyRequest { sample: Some(Sample { campaigns, seed }), ..VerifyRequest::default() };
        verify(&pool, MODEL, &request, &clock(noon()), watch, CancellationToken::new()).await.unwrap();
        found.into_inner().unwrap()
    };
    let three = sampled(3, 7).await;
    // What belongs to no campaign, and three of the twelve.
    let tables: Vec<_> = three.iter().map(|difference| difference.table).collect();
    assert_eq!(tables, ["workspaces", "rollup_15m", "rollup_15m", "rollup_15m"]);
    assert_eq!(sampled(3, 7).await, three);
    assert_eq!(sampled(99, 7).await.len(), 13);
    assert_ne!(sampled(3, 8).await, three);
    let last = last_verified(&pool).await.unwrap();
    assert_eq!((last.len(), last[0].sampled), (1, true));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn next_run_cleans_up_killed_one(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    varied(&admin, 20).await;
    catch_up(&pool).await.unwrap();
    let before = epochs(&admin).await;

    // Dies as soon as there is something to leave behind.
    let begun = CancellationToken::new();
    let watch = VerifyObserver { progress: &|_| begun.cancel(), difference: &|_| {} };
    let (request, clock) = (VerifyRequest::default(), clock(noon()));
    tokio::select! {
        biased;
        () = begun.cancelled() => {}
        verified = verify(&pool, MODEL, &request, &clock, watch, CancellationToken::new()) => panic!("{verified:?}"),
    }
    let (left, tables) = epochs(&admin).await;
    assert_eq!((left, tables), ([before.0.clone(), vec![(2, "verifying".to_owned())]].concat(), before.1 + 1));

    let verified = loop {
        // The session of the dead run holds its lock until the server notices.
        match try_verify(&pool, &[], CancellationToken::new()).await.0 {
            Err(VerifyError::AlreadyRunning) => tokio::task::yield_now().await,
            verified => break verified.unwrap(),
        }
    };
    assert!(verified.workspaces[0].passed(), "{verified:?}");
    assert_eq!(epochs(&admin).await, before);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_second_run(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut rival = admin.acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(hashtext('highwater.verify.campaign_model'))")
        .execute(&mut *rival)
        .await
        .unwrap();
    let (refused, _) = try_verify(&pool, &[], CancellationToken::new()).await;
    assert!(matches!(refused, Err(VerifyError::AlreadyRunning)), "{refused:?}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn blocks_nobody_behind_long_reader(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = varied(&admin, 20).await;
    catch_up(&pool).await.unwrap();
    // Reads all epochs there are, that of the run too, and goes on for as long as the test likes.
    let mut reader = admin.begin().await.unwrap();
    let begun = CancellationToken::new();
    let watch = VerifyObserver { progress: &|_| begun.cancel(), difference: &|_| {} };
    let (request, clock) = (VerifyRequest::default(), clock(noon()));
    let verifying = verify(&pool, MODEL, &request, &clock, watch, CancellationToken::new());
    let others = async {
        begun.cancelled().await;
        sqlx::query("SELECT count(*) FROM read.workspaces").execute(&mut *reader).await.unwrap();
        until_somebody_waits(&admin).await;
        // While the run waits to drop its tables, others write and read as ever.
        log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
        catch_up(&pool).await.unwrap();
        assert_eq!(checkpoint(&pool, log.workspace).await, log.head());
        live_rows(&admin, log.workspace).await;
        reader.rollback().await.unwrap();
    };
    let (verified, ()) = tokio::join!(verifying, others);
    assert!(verified.unwrap().workspaces[0].passed());
    assert_eq!(epochs(&admin).await.0, [(1, "applied".to_owned())]);
}

/// Waits until some session waits for another.
pub(crate) async fn until_somebody_waits(admin: &PgPool) {
    loop {
        let waits: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                            WHERE NOT l.granted AND a.datname = current_database())",
        )
        .fetch_one(admin)
        .await
        .unwrap();
        if waits {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn interrupted_run_leaves_nothing(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    varied(&admin, 2).await;
    varied(&admin, 2).await;
    catch_up(&pool).await.unwrap();
    let before = epochs(&admin).await;
    let shutdown = CancellationToken::new();
    let first_is_done = |progress: projections::ReplayProgress| {
        if progress.workspaces_done == 1 {
            shutdown.cancel();
        }
    };
    let watch = VerifyObserver { progress: &first_is_done, difference: &|_| {} };
    let request = VerifyRequest::default();
    let verified = verify(&pool, MODEL, &request, &clock(noon()), watch, shutdown.clone()).await.unwrap();
    assert!(verified.interrupted);
    assert_eq!(verified.workspaces.len(), 1);
    assert_eq!(epochs(&admin).await, before);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stores_when_every_workspace_last_passed(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 2).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(last_verified(&pool).await.unwrap(), []);
    verified(&admin, &pool).await;
    let last = last_verified(&pool).await.unwrap();
    assert_eq!((last.len(), last[0].passed_at, last[0].differences), (1, noon(), 0));

    // A failure later does not make it forget, nor a workspace that came later.
    tamper(&admin, "DELETE FROM read.workspaces WHERE workspace = $1", log.workspace).await;
    let watch = VerifyObserver { progress: &|_| {}, difference: &|_| {} };
    let later = clock(at("2026-11-22T13:00:00Z"));
    let request = VerifyRequest::default();
    verify(&pool, MODEL, &request, &later, watch, CancellationToken::new()).await.unwrap();
    let last = last_verified(&pool).await.unwrap();
    assert_eq!((last[0].passed_at, last[0].differences, last[0].problems), (noon(), 1, 0));
    Log::empty(&admin).await;
    assert_eq!(last_verified(&pool).await.unwrap()[0].passed_at, at("2026-11-01T00:00:00Z"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_verify_of_unknown_projection(options: PgPoolOptions, connect: PgConnectOptions) {
    let (_, pool) = pools(options, connect).await;
    let watch = VerifyObserver { progress: &|_| {}, difference: &|_| {} };
    let unknown =
        verify(&pool, "horoscopes", &VerifyRequest::default(), &clock(noon()), watch, CancellationToken::new()).await;
    assert!(matches!(unknown, Err(VerifyError::UnknownProjection(name)) if name == "horoscopes"));
}
