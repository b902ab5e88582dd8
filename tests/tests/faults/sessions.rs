//! `pg_terminate_backend`: sessions are ended under the appender, the projector and everybody else.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::{PgConnection, PgPool};
use tests::workload::Workload;
use tests::{Soak, TestSystem};

use crate::verdict::{assert_sound, beside};

const NOW: &str = "2026-11-20T10:00:00Z";

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn terminated_sessions_lose_no_response(pool: PgPool) {
    let system = TestSystem::start_at_work(&pool, NOW, |config| config).await;
    let mut database = beside(&pool).await;
    for seed in Soak::of_environment(2).seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        let acme = system.workspace(&format!("acme {seed}")).await;
        let mut workload = Workload::prepare(vec![system.command_url()], acme.key(), NOW.parse().unwrap()).await;
        workload.start(seed);
        workload.acknowledge_more(30).await;
        for part in ["command", "projector", "read", "admin", "%", "command"] {
            terminate(&mut database, part).await;
            workload.acknowledge_more(random.random_range(5..40)).await;
        }
        // The one that appends, in the midst of it.
        for _ in 0..5 {
            terminate_appending(&pool, &mut database, acme.workspace()).await;
            workload.acknowledge_more(random.random_range(1..20)).await;
        }
        assert_sound(&mut workload, &mut database, acme.workspace(), seed).await;
    }
    system.stop().await;
}

/// Ends all sessions of one part.
async fn terminate(database: &mut PgConnection, part: &str) {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE 'highwater-' || $1",
    )
    .bind(part)
    .execute(database)
    .await
    .unwrap();
}

/// Holds the log's head until an append waits for it, and ends the session of that append.
async fn terminate_appending(pool: &PgPool, database: &mut PgConnection, workspace: i32) {
    let mut holding = pool.begin().await.unwrap();
    sqlx::query("SELECT position FROM log.heads WHERE workspace = $1 FOR UPDATE")
        .bind(workspace)
        .execute(&mut *holding)
        .await
        .unwrap();
    let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'highwater-command'";
    // Nobody is told who waits for a lock.
    while sqlx::query(terminate).execute(&mut *database).await.unwrap().rows_affected() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    holding.rollback().await.unwrap();
}
