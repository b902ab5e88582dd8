//! `kill -9` of the program, and of PostgreSQL, which is started again at once.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tests::workload::Workload;
use tests::{Program, Soak};

use crate::verdict::assert_sound;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kills_of_program_and_postgres() {
    let mut program = Program::start().await;
    let now = chrono::DateTime::from(std::time::SystemTime::now());
    let mut workload = Workload::prepare(vec![program.command_url()], Program::KEY, now).await;
    for seed in Soak::of_environment(1).seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        workload.start(seed);
        workload.acknowledge_more(random.random_range(20..60)).await;
        program.kill_postgres();
        // The load goes on through it: whatever is acknowledged now is acknowledged by the next PostgreSQL.
        workload.acknowledge_more(random.random_range(10..40)).await;
        program.kill();
        program.start_again().await;
        workload.acknowledge_more(random.random_range(10..40)).await;
        // Both at once: the program starts on a database that was not shut down, while nothing is quiet.
        program.kill_postgres();
        program.kill();
        program.start_again().await;
        workload.acknowledge_more(20).await;

        let mut database = program.database().await;
        assert_sound(&mut workload, &mut database, 1, seed).await;
    }
    program.stop().await;
}
