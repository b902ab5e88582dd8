//! The clock steps, forwards and back, by minutes and by days.

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;
use tests::workload::Workload;
use tests::{Soak, TestSystem};

use crate::verdict::{assert_sound, beside};

const NOW: &str = "2026-11-20T23:50:00Z";

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn clock_steps_do_not_change_order(pool: PgPool) {
    let system = TestSystem::start_at_work(&pool, NOW, |config| config).await;
    let mut database = beside(&pool).await;
    for seed in Soak::of_environment(5).seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        system.clock.set(NOW.parse().unwrap());
        let acme = system.workspace(&format!("acme {seed}")).await;
        let mut workload = Workload::prepare(vec![system.command_url()], acme.key(), NOW.parse().unwrap()).await;
        workload.start(seed);
        workload.acknowledge_more(20).await;
        // Amid requests and their repetitions, over midnight and back: receipts answer for two days.
        for minutes in [4, 15, -30, 24 * 60, -24 * 60, -3, 90, -75] {
            system.clock.advance(TimeDelta::minutes(minutes));
            workload.acknowledge_more(random.random_range(10..25)).await;
        }
        // Beyond that, between requests.
        for days in [3, -6, 40, -39, 2] {
            let held = workload.hold().await;
            system.clock.advance(TimeDelta::days(days));
            drop(held);
            workload.acknowledge_more(random.random_range(10..25)).await;
        }
        assert_sound(&mut workload, &mut database, acme.workspace(), seed).await;
    }
    system.stop().await;
}
