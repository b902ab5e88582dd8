//! PostgreSQL is killed amid a replay, whose rows did not wait for the disk: while it is held up, and wherever else it
//! is.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::{Connection as _, PgConnection};
use tests::workload::Workload;
use tests::{Program, Soak};
use tokio::process::{Child, Command};

use crate::verdict::assert_sound;

/// A replay, or the projector that it works beside, wants to change these.
const HOLD: &str = "LOCK TABLE read.live_epochs IN SHARE MODE";
const WAITS: &str =
    "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'read.live_epochs'::regclass AND NOT granted)";
const FILLS: &str = "SELECT EXISTS (SELECT FROM read.epochs WHERE state = 'building')";
const SEEN_WITHIN: Duration = Duration::from_mins(1);

/// Waits until a replay has come this far, or has ended.
async fn until(stage: &str, replay: &mut Child, database: &mut PgConnection) {
    let deadline = Instant::now() + SEEN_WITHIN;
    // Neither a lock that is waited for nor an epoch that begins is told to anybody.
    while !sqlx::query_scalar::<_, bool>(stage).fetch_one(&mut *database).await.unwrap() {
        if replay.try_wait().unwrap().is_some() {
            return;
        }
        assert!(Instant::now() < deadline, "a replay does not come as far as: {stage}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn succeeds(mut command: Command) {
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_replay_is_finished_by_the_next() {
    let mut program = Program::start().await;
    let now = chrono::DateTime::from(std::time::SystemTime::now());
    let mut workload = Workload::prepare(vec![program.command_url()], Program::KEY, now).await;
    for seed in Soak::of_environment(10).seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        workload.start(seed);
        workload.acknowledge_more(random.random_range(40..80)).await;
        let mut holder = program.database().await;
        let mut held = holder.begin().await.unwrap();
        sqlx::query(HOLD).execute(&mut *held).await.unwrap();
        let mut cut = program.command(&["replay", "campaign_model"]).spawn().unwrap();
        until(WAITS, &mut cut, &mut program.database().await).await;
        assert!(cut.try_wait().unwrap().is_none(), "nothing held the replay");
        program.kill_postgres();
        drop(held);
        workload.acknowledge_more(random.random_range(10..40)).await;
        // It may have gone on by itself; what it switched to has to be right, too.
        cut.wait_with_output().await.unwrap();
        succeeds(program.command(&["verify", "campaign_model"])).await;

        // Once more, wherever it is this time.
        let mut cut = program.command(&["replay", "campaign_model"]).spawn().unwrap();
        until(FILLS, &mut cut, &mut program.database().await).await;
        program.kill_postgres();
        cut.wait_with_output().await.unwrap();
        workload.acknowledge_more(random.random_range(10..40)).await;

        succeeds(program.command(&["replay", "campaign_model", "--verify", "--keep-old", "0s"])).await;
        let mut database = program.database().await;
        assert_sound(&mut workload, &mut database, 1, seed).await;
        succeeds(program.command(&["verify", "campaign_model"])).await;
        // A program gives a PostgreSQL up that keeps ending.
        program.stop().await;
        program.start_again().await;
    }
    program.stop().await;
}
