//! What a scenario ends with: the clients stop, the tables catch up, and the checker decides.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, PgPool};
use tests::checker::{Violation, check};
use tests::evidence;
use tests::workload::Workload;

/// Recovery after a crash included.
const CAUGHT_UP_WITHIN: Duration = Duration::from_mins(1);

/// Everything that is wrong, and how much was done.
pub(crate) async fn judge(workload: &mut Workload, database: &mut PgConnection, workspace: i32) -> Vec<Violation> {
    workload.finish().await;
    evidence::settled(database, workspace, CAUGHT_UP_WITHIN).await;
    check(&workload.history(), &evidence::load(database, workspace).await)
}

/// Fails unless everything is right.
#[expect(clippy::print_stdout, reason = "tells how much a soak has done")]
pub(crate) async fn assert_sound(workload: &mut Workload, database: &mut PgConnection, workspace: i32, seed: u64) {
    let violations = judge(workload, database, workspace).await;
    let shown: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
    assert!(
        violations.is_empty(),
        "{} promises broken; HIGHWATER_SEED={seed} repeats this\n{}",
        violations.len(),
        shown.join("\n")
    );
    let tally = workload.history().tally();
    println!("seed {seed}: {tally:?}");
    let happened = [tally.acknowledged, tally.observations, tally.corrections, tally.duplicates, tally.conflicts];
    assert!(happened.iter().all(|count| *count > 0), "HIGHWATER_SEED={seed}: too little was done: {tally:?}");
}

/// A connection of the test's own, past every fault.
pub(crate) async fn beside(pool: &PgPool) -> PgConnection {
    PgConnection::connect_with(&pool.connect_options()).await.unwrap()
}
