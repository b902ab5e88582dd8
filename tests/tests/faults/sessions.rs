//! `pg_terminate_backend`: sessions are ended under the appender, the projector and everybody else.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::{PgConnection, PgPool};
use tests::workload::Workload;
use tests::{Soak, TestSystem};

use crate::verdict::{assert_sound, beside};

const NOW: &str = "2026-11-20T10:00:00Z";

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ended_sessions_cost_no_answer(pool: PgPool) {
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
        // The one that appends at this moment, again and again.
        for _ in 0..5 {
            while !terminate_appending(&mut database).await {
                workload.acknowledge_more(1).await;
            }
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

/// Ends the session whose last or present statement appends, if one does so now.
async fn terminate_appending(database: &mut PgConnection) -> bool {
    let ended = sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'active' AND query LIKE '%FROM log.append(%' AND pid <> pg_backend_pid()",
    )
    .execute(database)
    .await
    .unwrap();
    ended.rows_affected() > 0
}
