//! Injected faults: the checker detects each and names the rule that it breaks.

use event_store::AppenderConfig;
use event_store::fault_injection::{Fault, FaultPlan};
use highwater::system::SystemConfig;
use sqlx::PgPool;
use tests::TestSystem;
use tests::checker::{Rule, Violation};
use tests::workload::Workload;

use crate::verdict::{beside, judge};

const NOW: &str = "2026-11-20T10:00:00Z";
const SEED: u64 = 7;

/// The violations that the checker finds in a system with an injected fault.
async fn found(pool: &PgPool, fault: Option<Fault>, tamper: &str) -> Vec<Violation> {
    let injected_fault = fault.map(|fault| FaultPlan { fault, after: 5 });
    let system = TestSystem::start_at_work(pool, NOW, |config| SystemConfig {
        appender: AppenderConfig { injected_fault, ..config.appender },
        ..config
    })
    .await;
    let acme = system.workspace("acme").await;
    let mut workload = Workload::prepare(vec![system.command_url()], acme.key(), NOW.parse().unwrap()).await;
    // A wrong receipt shows only when a request is repeated.
    workload.repeats = 0.5;
    workload.start(SEED);
    workload.acknowledge_more(90).await;
    workload.finish().await;
    let mut database = beside(pool).await;
    if !tamper.is_empty() {
        acme.caught_up().await;
        let changed = sqlx::query(tamper).bind(acme.workspace()).execute(&mut database).await.unwrap().rows_affected();
        assert_eq!(changed, 1);
    }
    let violations = judge(&mut workload, &mut database, acme.workspace()).await;
    system.stop().await;
    violations
}

#[track_caller]
fn assert_named(violations: &[Violation], rule: Rule) {
    assert!(violations.iter().any(|violation| violation.rule == rule), "no {rule:?} in {violations:#?}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn finds_nothing_without_an_injected_fault(pool: PgPool) {
    assert_eq!(found(&pool, None, "").await, []);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn detects_injected_lost_event(pool: PgPool) {
    assert_named(&found(&pool, Some(Fault::LostEvent), "").await, Rule::AcknowledgedIsDurable);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn detects_injected_duplicate_observation(pool: PgPool) {
    assert_named(&found(&pool, Some(Fault::DoubleCount), "").await, Rule::NoDuplicates);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn detects_injected_position_gap(pool: PgPool) {
    assert_named(&found(&pool, Some(Fault::Gap), "").await, Rule::Contiguous);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn detects_injected_response_of_another_request(pool: PgPool) {
    assert_named(&found(&pool, Some(Fault::StaleReceipt), "").await, Rule::Receipt);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn detects_injected_double_count(pool: PgPool) {
    let twice = "UPDATE read.rollup_15m SET value = value * 2
                 WHERE ctid = (SELECT ctid FROM read.rollup_15m WHERE workspace = $1 AND value > 0 LIMIT 1)";
    assert_named(&found(&pool, None, twice).await, Rule::Tables);
}
