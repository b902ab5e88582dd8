//! Two processes on one database, both writing the same logs, one of which comes and goes.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;
use tests::workload::Workload;
use tests::{Soak, TestSystem};

use crate::verdict::{assert_sound, beside};

const NOW: &str = "2026-11-20T10:00:00Z";

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn two_processes_append_to_one_log(pool: PgPool) {
    let system = TestSystem::start_at_work(&pool, NOW, |config| config).await;
    let mut database = beside(&pool).await;
    for seed in Soak::of_environment(4).seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        let acme = system.workspace(&format!("acme {seed}")).await;
        let second = system.second_process().await;
        let targets = vec![system.command_url(), second.command_url()];
        let mut workload = Workload::prepare(targets, acme.key(), NOW.parse().unwrap()).await;
        workload.start(seed);
        workload.acknowledge_more(random.random_range(100..200)).await;
        // It drains and goes; its clients turn to the other one.
        second.stop().await;
        workload.acknowledge_more(random.random_range(20..60)).await;
        assert_sound(&mut workload, &mut database, acme.workspace(), seed).await;
    }
    system.stop().await;
}
