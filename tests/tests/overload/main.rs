//! Twice the load that a system can take: it answers at its full rate what it can, refuses the rest at once, holds no
//! more than it is allowed to, loses nothing that it acknowledged, and is as before when the load is over.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod load;
mod memory;

use std::collections::BTreeSet;

use event_store::AppenderConfig;
use highwater::system::{ProcessRole, SystemConfig};
use http_edge::HttpConfig;
use http_edge::config::LimitConfig;
use sqlx::PgPool;
use tests::{Soak, TestSystem};

use crate::load::{Load, Outcome};

const NOW: &str = "2026-11-20T10:00:00Z";

/// Requests that the edge lets in at a time, where it is the edge that refuses.
const IN_FLIGHT: u32 = 32;

/// A command API whose log is slow: it commits one request at a time, so that it is the log, and not this machine's
/// share of the processor, that cannot keep up.
async fn system(pool: &PgPool, limits: LimitConfig, queue_requests: usize) -> TestSystem {
    let appender = AppenderConfig { lanes: 1, batch_requests: 1, queue_requests, ..AppenderConfig::default() };
    TestSystem::start_as(pool, NOW, |config| SystemConfig {
        roles: [ProcessRole::Command, ProcessRole::Read].into(),
        command: HttpConfig { limits, ..HttpConfig::default() },
        appender,
        ..config
    })
    .await
}

/// A machine may be busy with something else for a moment, which says nothing of the system: so there is more than one
/// try.
const TRIES: usize = 4;

/// Overloads a system and holds it to its promises. It must answer at `least` of its full rate; only that gets more
/// than one try.
async fn overload(pool: &PgPool, system: &TestSystem, least: f64) -> Outcome {
    let acme = system.workspace("acme").await;
    let load = Load::prepare(system, &acme).await;
    let mut acknowledged = BTreeSet::new();
    let mut rates = Vec::new();
    let requests = u32::try_from(320 * Soak::of_environment(0).rounds).unwrap();
    for _ in 0..TRIES {
        let before = load.in_turn(16, 112).await;
        let over = load.at_a_rate(before.per_second * 2.0, requests).await;
        let after = load.in_turn(16, 112).await;
        assert_eq!((before.refused, after.refused), (0, 0), "callers who wait for their answer are all served");
        for phase in [&before, &over, &after] {
            acknowledged.extend(phase.acknowledged.iter().cloned());
        }
        // Not one more and not one less: what was refused was not done.
        assert_eq!(load.recorded(pool).await, acknowledged);
        let full = before.per_second.min(after.per_second);
        rates.push((over.per_second, full));
        if over.refused > 0 && over.per_second >= full * least {
            return over;
        }
    }
    panic!("answered per second when overloaded, and when not: {rates:?}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn admits_only_what_can_be_served(pool: PgPool) {
    let limits = LimitConfig { max_requests_in_flight: IN_FLIGHT, ..LimitConfig::default() };
    let system = system(&pool, limits, 4_096).await;
    let over = overload(&pool, &system, 0.5).await;
    assert!(over.most_in_flight <= f64::from(IN_FLIGHT), "{}", over.most_in_flight);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_when_the_append_queue_is_full(pool: PgPool) {
    let limits = LimitConfig { max_requests_in_flight: 0, ..LimitConfig::default() };
    let system = system(&pool, limits, 32).await;
    // What is refused here has been received, read and counted before.
    overload(&pool, &system, 0.33).await;
    system.stop().await;
}
