//! Going back to the epoch before.

use projections::{ReplayError, ReplayOptions, RolledBack, catch_up, rollback};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;

use crate::support::logs::{Log, at, campaign, clicked, pools, source};
use crate::support::replaying::{MODEL, epochs, of_all, only, rebuild, varied};
use crate::support::rows::{checkpoint, counted, live_epoch, live_rows};

async fn back(pool: &PgPool, options: &ReplayOptions) -> Result<Vec<RolledBack>, ReplayError> {
    rollback(pool, MODEL, options, CancellationToken::new()).await
}

async fn click(log: &mut Log) {
    log.append(clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rollback_restores_old_epoch(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = varied(&admin, 5).await;
    catch_up(&pool).await.unwrap();
    rebuild(&pool).await;
    click(&mut log).await;
    catch_up(&pool).await.unwrap();
    let rows = live_rows(&admin, log.workspace).await;

    let went = back(&pool, &of_all()).await.unwrap();
    assert_eq!(went, [RolledBack { workspace: log.workspace, from: 2, to: 1 }]);
    assert_eq!((live_epoch(&admin, log.workspace).await, live_rows(&admin, log.workspace).await), (1, rows));
    assert_eq!(checkpoint(&pool, log.workspace).await, log.head());

    // Both go on being followed; new workspaces start where the others live; there is nothing older.
    click(&mut log).await;
    let newcomer = varied(&admin, 2).await;
    catch_up(&pool).await.unwrap();
    assert_eq!(counted(&admin, log.workspace).await, 7);
    assert_eq!(live_epoch(&admin, newcomer.workspace).await, 1);
    let again = back(&pool, &of_all()).await;
    assert!(matches!(again, Err(ReplayError::NoWayBack(workspace)) if workspace == log.workspace), "{again:?}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rollback_applies_missing_events_first(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 1_500).await;
    catch_up(&pool).await.unwrap();
    rebuild(&pool).await;
    let rows = live_rows(&admin, log.workspace).await;
    // As if it had fallen behind by everything.
    for table in projections::views::CAMPAIGN_MODEL.tables {
        sqlx::query(&format!("DELETE FROM read.{table} WHERE epoch = 1")).execute(&admin).await.unwrap();
    }
    sqlx::query("UPDATE read.checkpoints SET position = 0 WHERE epoch = 1").execute(&admin).await.unwrap();

    back(&pool, &of_all()).await.unwrap();
    assert_eq!(live_epoch(&admin, log.workspace).await, 1);
    assert_eq!((checkpoint(&pool, log.workspace).await, live_rows(&admin, log.workspace).await), (log.head(), rows));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rolls_back_one_workspace_alone(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let (one, other) = (varied(&admin, 3).await, varied(&admin, 3).await);
    catch_up(&pool).await.unwrap();
    rebuild(&pool).await;
    back(&pool, &only(&[one.workspace])).await.unwrap();
    assert_eq!((live_epoch(&admin, one.workspace).await, live_epoch(&admin, other.workspace).await), (1, 2));

    // Nothing happens if one of those that are named cannot.
    let both = back(&pool, &only(&[other.workspace, one.workspace])).await;
    assert!(matches!(both, Err(ReplayError::NoWayBack(workspace)) if workspace == one.workspace), "{both:?}");
    assert_eq!(live_epoch(&admin, other.workspace).await, 2);
    // Of all, those go that can.
    let went = back(&pool, &of_all()).await.unwrap();
    assert_eq!(went, [RolledBack { workspace: other.workspace, from: 2, to: 1 }]);
    let unknown = back(&pool, &only(&[4_711])).await;
    assert!(matches!(unknown, Err(ReplayError::UnknownWorkspaces(missing)) if missing == [4_711]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn replay_after_rollback_fills_new_epoch(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let log = varied(&admin, 3).await;
    let torn = varied(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    torn.tear_out(4).await;
    // One log switches, the other cannot be read.
    crate::support::replaying::rebuild_with(&pool, &of_all()).await.unwrap_err();
    assert_eq!((live_epoch(&admin, log.workspace).await, live_epoch(&admin, torn.workspace).await), (2, 1));
    back(&pool, &only(&[log.workspace])).await.unwrap();
    assert_eq!(live_epoch(&admin, log.workspace).await, 1);
    crate::support::replaying::rebuild_with(&pool, &only(&[log.workspace])).await.unwrap();
    assert_eq!(live_epoch(&admin, log.workspace).await, 3);
    assert!(epochs(&admin).await.iter().all(|(_, state)| state == "applied"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rollback_rejects_lagging_rows_of_another_version(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    let mut log = varied(&admin, 3).await;
    catch_up(&pool).await.unwrap();
    rebuild(&pool).await;
    sqlx::query("UPDATE read.epochs SET version = version - 1 WHERE epoch = 1").execute(&admin).await.unwrap();
    click(&mut log).await;
    catch_up(&pool).await.unwrap();
    let behind = back(&pool, &of_all()).await;
    assert!(
        matches!(behind, Err(ReplayError::OldVersionBehind { epoch: 1, position, live, .. })
        if position + 1 == live && live == log.head()),
        "{behind:?}"
    );
    assert_eq!(live_epoch(&admin, log.workspace).await, 2);

    // A projector of that version catches up.
    sqlx::query("UPDATE read.checkpoints SET position = $1 WHERE epoch = 1")
        .bind(log.head())
        .execute(&admin)
        .await
        .unwrap();
    back(&pool, &of_all()).await.unwrap();
    assert_eq!(live_epoch(&admin, log.workspace).await, 1);
}
