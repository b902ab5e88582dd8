//! What scenarios with two projectors have in common: each in a process of its own, on a system that has none, with a
//! note of every move of every checkpoint; those who write meanwhile; and what holds in the end.

use std::time::Duration;

use highwater::system::{ProcessRole, SystemConfig};
use sqlx::{PgConnection, PgPool};
use tests::workload::Workload;
use tests::{Caller, ProjectorProcess, TestSystem, digest_of_epoch, until_all_is_applied};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::verdict::{assert_sound, beside};

pub(crate) const NOW: &str = "2026-11-20T10:00:00Z";
/// A lease, a transaction that is held open, and a machine that is busy with much else.
pub(crate) const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(30);

/// Notes every move of every checkpoint, in the transaction that makes it.
const NOTE_MOVES: [&str; 4] = [
    "CREATE TABLE public.moves (epoch integer, workspace integer, first bigint, last bigint)",
    "GRANT INSERT ON public.moves TO highwater_projector",
    "CREATE FUNCTION public.note_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO public.moves VALUES (new.epoch, new.workspace, old.position + 1, new.position);
         RETURN new;
     END $$",
    "CREATE TRIGGER note_move AFTER UPDATE OF position ON read.checkpoints
     FOR EACH ROW EXECUTE FUNCTION public.note_move()",
];

/// The two APIs, without a projector.
pub(crate) async fn apis(pool: &PgPool) -> TestSystem {
    let roles = [ProcessRole::Command, ProcessRole::Read].into();
    TestSystem::start_at_work(pool, NOW, |config| SystemConfig { roles, ..config }).await
}

/// Two projectors, and the APIs that they work for.
pub(crate) struct TwoProjectors {
    pub(crate) system: TestSystem,
    pub(crate) pair: [ProjectorProcess; 2],
    pool: PgPool,
    database: PgConnection,
}

impl TwoProjectors {
    pub(crate) async fn start(pool: &PgPool) -> Self {
        for statement in NOTE_MOVES {
            sqlx::query(statement).execute(pool).await.unwrap();
        }
        let system = apis(pool).await;
        let pair = tokio::join!(ProjectorProcess::start(pool), ProjectorProcess::start(pool)).into();
        Self { system, pair, pool: pool.clone(), database: beside(pool).await }
    }

    pub(crate) fn kill_both(&self) {
        self.pair.iter().for_each(ProjectorProcess::kill);
    }

    pub(crate) async fn start_both_again(&mut self) {
        let [first, second] = &mut self.pair;
        tokio::join!(first.start_again(), second.start_again());
    }

    /// The clients were told the truth, everything is applied, and nothing twice.
    pub(crate) async fn assert_sound(&mut self, workload: &mut Workload, workspace: i32, seed: u64) {
        assert_sound(workload, &mut self.database, workspace, seed).await;
        until_all_is_applied(&self.pool, TAKEN_OVER_WITHIN).await;
        assert_moved_once(&self.pool, seed).await;
    }

    /// Stops all, once the rows were found to equal those of a rebuild.
    pub(crate) async fn stop(mut self) {
        assert_rebuilt(&self.pool, &self.system).await;
        for projector in &mut self.pair {
            projector.stop().await;
        }
        self.system.stop().await;
    }
}

/// A source, `tracker`, and a campaign for it to observe.
pub(crate) async fn subject(caller: &Caller) -> String {
    caller.push_source("tracker").await;
    caller.campaign("Winter").await
}

/// Pushes observations, one at a time, until told to stop.
pub(crate) fn observe(caller: Caller, campaign: String, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        for id in 0.. {
            if stop.is_cancelled() {
                return;
            }
            caller.observe("tracker", &campaign, id, 1).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

/// Every position of every log was applied by one transaction: each begins where the one before it ended.
async fn assert_moved_once(pool: &PgPool, seed: u64) {
    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (
             SELECT first, coalesce(lag(last) OVER (PARTITION BY epoch, workspace ORDER BY first, last), 0) AS before FROM public.moves
         ) moved WHERE first <> before + 1",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(wrong, 0, "HIGHWATER_SEED={seed}: something was applied twice, or not at all");
}

/// The rows equal those of a rebuild, made while the projectors go on, and kept up to date by them.
async fn assert_rebuilt(pool: &PgPool, system: &TestSystem) {
    let live = "SELECT DISTINCT epoch FROM read.live_epochs";
    let old: i32 = sqlx::query_scalar(live).fetch_one(pool).await.unwrap();
    system.replay().await;
    let new: i32 = sqlx::query_scalar(live).fetch_one(pool).await.unwrap();
    assert_ne!(old, new);
    until_all_is_applied(pool, TAKEN_OVER_WITHIN).await;
    assert_eq!(digest_of_epoch(pool, old).await, digest_of_epoch(pool, new).await);
}
