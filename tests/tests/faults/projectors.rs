//! Two projectors in processes of their own: `kill -9`, `SIGSTOP` and orderly stops at random, while observations arrive. What
//! one had is taken over by the other within seconds, and in the end the rows equal a fresh rebuild.

use std::time::{Duration, Instant};

use highwater::system::{Role, SystemConfig};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;
use tests::workload::Workload;
use tests::{Caller, ProjectorProcess, Soak, TestSystem, digest_of_epoch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::verdict::{assert_sound, beside};

const NOW: &str = "2026-11-20T10:00:00Z";
/// Beside the one on which the checker looks at everything.
const QUIET_WORKSPACES: usize = 6;
/// A lease, a transaction that is held open, and a machine that is busy with much else.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(30);

/// What happens to a projector.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    Freeze,
    Stop,
}

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

pub(crate) async fn note_moves(pool: &PgPool) {
    for statement in NOTE_MOVES {
        sqlx::query(statement).execute(pool).await.unwrap();
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn what_a_lost_projector_had_is_taken_over(pool: PgPool) {
    note_moves(&pool).await;
    let roles = [Role::Command, Role::Read].into();
    let system = TestSystem::start_at_work(&pool, NOW, |config| SystemConfig { roles, ..config }).await;
    let started = tokio::join!(ProjectorProcess::start(&pool), ProjectorProcess::start(&pool));
    let mut pair = <[_; 2]>::from(started);
    let mut database = beside(&pool).await;
    for seed in Soak::of_environment(8).seeds() {
        let mut random = StdRng::seed_from_u64(seed);
        let mut workspaces = Vec::new();
        for n in 0..QUIET_WORKSPACES {
            workspaces.push(system.workspace(&format!("quiet {n} {seed}")).await);
        }
        let acme = system.workspace(&format!("acme {seed}")).await;
        let mut workload = Workload::prepare(vec![system.command_url()], acme.key(), NOW.parse().unwrap()).await;
        workload.start(seed);
        let stop = CancellationToken::new();
        let mut quiet = Vec::new();
        for caller in workspaces {
            let campaign = subject(&caller).await;
            quiet.push(observe(caller, campaign, stop.clone()));
        }
        let mut faults = [Fault::Kill, Fault::Freeze, Fault::Stop];
        faults.shuffle(&mut random);
        for fault in faults {
            workload.acknowledge_more(random.random_range(5..25)).await;
            let [first, second] = &mut pair;
            let (hit, other) = if random.random_bool(0.5) { (first, second) } else { (second, first) };
            let begun = Instant::now();
            match fault {
                Fault::Kill => hit.kill(),
                Fault::Freeze => hit.freeze(),
                Fault::Stop => hit.stop().await,
            }
            taken_over(&pool, hit, other).await;
            println!("seed {seed}: {fault:?}: all was taken over after {:?}", begun.elapsed());
            match fault {
                Fault::Kill | Fault::Stop => hit.start_again().await,
                Fault::Freeze => hit.thaw(),
            }
        }
        // Both at once: nobody is left to take over, and those who come find everything.
        pair.iter().for_each(ProjectorProcess::kill);
        workload.acknowledge_more(10).await;
        let [first, second] = &mut pair;
        tokio::join!(first.start_again(), second.start_again());
        workload.acknowledge_more(5).await;
        stop.cancel();
        for writer in quiet {
            writer.await.unwrap();
        }
        assert_sound(&mut workload, &mut database, acme.workspace(), seed).await;
        everything_is_applied(&pool).await;
        assert_moved_once(&pool, seed).await;
    }
    assert_rebuilt(&pool, &system).await;
    for projector in &mut pair {
        projector.stop().await;
    }
    system.stop().await;
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

/// Waits until `lost` has no part any more, and every log is applied as far as it went then: by `other`.
async fn taken_over(pool: &PgPool, lost: &ProjectorProcess, other: &ProjectorProcess) {
    let deadline = Instant::now() + TAKEN_OVER_WITHIN;
    loop {
        let told = projections::projectors(pool).await.unwrap();
        let living: Vec<&str> = told.iter().filter(|told| told.is_living).map(|told| told.name.as_str()).collect();
        if let [one] = living.as_slice()
            && other.is_named(one)
            && !lost.is_named(one)
        {
            break;
        }
        assert!(Instant::now() < deadline, "the lost one has its lease: {told:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let heads: Vec<(i32, i64)> =
        sqlx::query_as("SELECT workspace, position FROM log.heads").fetch_all(pool).await.unwrap();
    for (workspace, head) in heads {
        until_applied(pool, workspace, head, deadline).await;
    }
}

async fn until_applied(pool: &PgPool, workspace: i32, head: i64, deadline: Instant) {
    let slowest = "SELECT coalesce(min(position), 0) FROM read.checkpoints WHERE workspace = $1 AND following";
    loop {
        let applied: i64 = sqlx::query_scalar(slowest).bind(workspace).fetch_one(pool).await.unwrap();
        if applied >= head {
            return;
        }
        assert!(Instant::now() < deadline, "workspace {workspace} is at {applied} of {head}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn everything_is_applied(pool: &PgPool) {
    let heads: Vec<(i32, i64)> =
        sqlx::query_as("SELECT workspace, position FROM log.heads").fetch_all(pool).await.unwrap();
    for (workspace, head) in heads {
        until_applied(pool, workspace, head, Instant::now() + TAKEN_OVER_WITHIN).await;
    }
}

/// Every position of every log was applied by one transaction: each begins where the one before it ended.
pub(crate) async fn assert_moved_once(pool: &PgPool, seed: u64) {
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
pub(crate) async fn assert_rebuilt(pool: &PgPool, system: &TestSystem) {
    let live = "SELECT DISTINCT epoch FROM read.live_epochs";
    let old: i32 = sqlx::query_scalar(live).fetch_one(pool).await.unwrap();
    system.replay().await;
    let new: i32 = sqlx::query_scalar(live).fetch_one(pool).await.unwrap();
    assert_ne!(old, new);
    everything_is_applied(pool).await;
    assert_eq!(digest_of_epoch(pool, old).await, digest_of_epoch(pool, new).await);
}

/// Frozen where it hurts most: it holds a checkpoint's lock, and the session that would tell of its end.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn one_that_is_frozen_amid_a_transaction_holds_up_nobody_for_long(pool: PgPool) {
    let roles = [Role::Command, Role::Read].into();
    let system = TestSystem::start_at_work(&pool, NOW, |config| SystemConfig { roles, ..config }).await;
    let frozen = ProjectorProcess::start(&pool).await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    let campaign = acme.campaign("Winter").await;
    acme.observe("tracker", &campaign, 1, 1).await;
    acme.caught_up().await;
    let mut holding = pool.begin().await.unwrap();
    sqlx::query("SELECT FROM read.increments FOR UPDATE").execute(&mut *holding).await.unwrap();
    acme.observe("tracker", &campaign, 2, 1).await;
    let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                 AND wait_event_type = 'Lock' AND application_name = 'highwater-projector')";
    let deadline = Instant::now() + TAKEN_OVER_WITHIN;
    while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&pool).await.unwrap() {
        assert!(Instant::now() < deadline, "the projector does not come to the row");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    frozen.freeze();
    holding.rollback().await.unwrap();

    let other = ProjectorProcess::start(&pool).await;
    taken_over(&pool, &frozen, &other).await;
    frozen.thaw();
    acme.observe("tracker", &campaign, 3, 1).await;
    acme.caught_up().await;
    let counted: i64 =
        sqlx::query_scalar("SELECT sum(value)::bigint FROM read.increments").fetch_one(&pool).await.unwrap();
    assert_eq!(counted, 3);
    system.stop().await;
}

/// A projector that does nothing is told of as behind by everybody who is alive.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_frozen_projector_shows_as_behind_not_as_fine(pool: PgPool) {
    let roles = [Role::Command, Role::Read].into();
    let system = TestSystem::start_at_work(&pool, NOW, |config| SystemConfig { roles, ..config }).await;
    let projector = ProjectorProcess::start(&pool).await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    acme.caught_up().await;
    let client = tests::client(Duration::from_secs(5));
    let alone = client.get(projector.url_of("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(alone.contains("highwater_projector_lease 1"), "{alone}");

    projector.freeze();
    let campaign = acme.campaign("Winter").await;
    acme.observe("tracker", &campaign, 1, 1).await;
    let behind = [
        r#"highwater_projection_lag_events_sum{projection="campaign_model"} 2"#.to_owned(),
        r#"highwater_projection_logs_behind{projection="campaign_model"} 1"#.to_owned(),
        format!(r#"highwater_projection_lag_events{{projection="campaign_model",workspace="{}"}} 2"#, acme.workspace()),
        r#"highwater_projectors{projection="campaign_model"} 0"#.to_owned(),
    ];
    for url in [system.command_url(), system.read_url()] {
        let deadline = Instant::now() + TAKEN_OVER_WITHIN;
        loop {
            let shown = client.get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap();
            if behind.iter().all(|line| shown.lines().any(|shown| shown == line)) {
                break;
            }
            assert!(Instant::now() < deadline, "{url} shows {shown}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Both still do their work, and say so.
        assert_eq!(client.get(format!("{url}/readyz")).send().await.unwrap().status(), 200);
    }
    projector.thaw();
    acme.caught_up().await;
    system.stop().await;
}
