//! Rebuilding some workspaces, while the others stay.

use projections::{ReplayError, ReplayOutcome, catch_up};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::pools;
use crate::support::replaying::{applied, epochs, of_all, only, rebuild, rebuild_with, varied};
use crate::support::rows::{counted, live_epoch, live_rows};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn partial_replay_leaves_other_workspaces(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let logs = [varied(&admin, 3).await, varied(&admin, 3).await, varied(&admin, 3).await];
    let [one, two, three] = logs.each_ref().map(|log| log.workspace);
    catch_up(&pool).await.unwrap();
    let before = live_rows(&admin, two).await;
    let outcome = rebuild_with(&pool, &only(&[one])).await.unwrap();
    assert_eq!(outcome, ReplayOutcome::Completed { epoch: 2, workspaces: 1, events: logs[0].head() });
    assert_eq!(epochs(&admin).await, applied(&[1, 2]));

    // Others continue into the same epoch, as long as they never lived there.
    rebuild_with(&pool, &only(&[two])).await.unwrap();
    let mut live = Vec::new();
    for workspace in [one, two, three] {
        live.push(live_epoch(&admin, workspace).await);
    }
    assert_eq!((live, live_rows(&admin, two).await), (vec![2, 2, 1], before));
    // What is rebuilt once more needs a new one.
    rebuild_with(&pool, &only(&[two, three])).await.unwrap();
    assert_eq!((live_epoch(&admin, one).await, live_epoch(&admin, two).await), (2, 3));
    assert_eq!((live_epoch(&admin, three).await, epochs(&admin).await), (3, applied(&[1, 2, 3])));

    let unknown = rebuild_with(&pool, &only(&[one, 4_711])).await;
    assert!(matches!(unknown, Err(ReplayError::UnknownWorkspaces(missing)) if missing == [4_711]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn fills_small_logs_together(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut logs = Vec::new();
    for _ in 0..25 {
        logs.push(varied(&admin, 2).await);
    }
    catch_up(&pool).await.unwrap();
    let torn = &logs[7];
    let before = live_rows(&admin, logs[3].workspace).await;
    let outcome = rebuild(&pool).await;
    assert!(matches!(outcome, ReplayOutcome::Completed { workspaces: 25, .. }), "{outcome:?}");
    let transactions: i64 = sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM read.campaigns WHERE epoch = 2")
        .fetch_one(&admin)
        .await
        .unwrap();
    assert_eq!(transactions, 1);
    assert_eq!(live_rows(&admin, logs[3].workspace).await, before);

    // One that cannot be read holds up no other.
    torn.tear_out(3).await;
    let stopped = rebuild_with(&pool, &of_all()).await;
    assert!(matches!(stopped, Err(ReplayError::Stopped(refused)) if refused.workspace == torn.workspace));
    for log in &logs {
        let expected = if log.workspace == torn.workspace { 2 } else { 3 };
        assert_eq!((live_epoch(&admin, log.workspace).await, counted(&admin, log.workspace).await), (expected, 2));
    }
    let noted: (i64, String) = sqlx::query_as("SELECT position, reason FROM read.stopped_logs WHERE epoch = 3")
        .fetch_one(&admin)
        .await
        .unwrap();
    assert_eq!(noted, (3, "the log has a hole here".to_owned()));
}
