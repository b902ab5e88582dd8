//! `kill -9` of the program and of PostgreSQL at random moments of a load: every acknowledged observation is counted once, and
//! nothing else is. `HIGHWATER_SOAK_ROUNDS` sets how often each is killed; a few times without it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails where it stands")]

mod load;
mod program;

use std::time::Duration;

use rand::RngExt;
use tests::counted;

use load::Load;
use program::Program;

fn rounds() -> usize {
    tests::soak_rounds().unwrap_or(3)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_observations_survive_and_are_counted_once() {
    let mut program = Program::start().await;
    let mut load = Load::prepare(&program).await;
    load.start();
    for round in 0..rounds() {
        load.acknowledge_more(rand::rng().random_range(3..25)).await;
        if round % 2 == 0 {
            program.kill_postgres();
        } else {
            program.kill();
            program.start_again().await;
        }
        // The load goes on through it; each sender repeats what was not acknowledged.
        load.acknowledge_more(2).await;
    }
    // Whatever the rounds ended with, both have been killed once more while nothing was quiet.
    program.kill_postgres();
    program.kill();
    program.start_again().await;
    let sent = load.finish().await;

    let mut database = program.database().await;
    let logged = counted::observation_ids(&mut database).await;
    assert_eq!(logged.len(), sent.len(), "the log holds another number of observations than were acknowledged");
    let mut once = logged.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), logged.len(), "an observation is in the log twice");
    assert!(sent.iter().all(|id| once.binary_search(id).is_ok()), "an acknowledged observation is not in the log");
    counted::assert_contiguous(&mut database).await;

    let clicks = load.clicks_when_caught_up(Duration::from_mins(1)).await;
    assert_eq!(clicks, sent.len() as u64, "the read tables count something else than the log");
    program.stop().await;
}
