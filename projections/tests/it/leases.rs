//! Several projectors on one database. A trigger notes which of them moved each checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use event_store::follow::LeaseConfig;
use platform::notifications::{NotificationListener, READ_CHANNEL};
use projections::{PROJECTIONS, ProjectorConfig, ProjectorError, projectors};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgPool};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::logs::{Log, TestEvent, at, campaign, clicked, pools, source};

/// Nothing here takes longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn click() -> TestEvent {
    clicked(source(1), campaign(1), at("2026-11-21T10:00:00Z"))
}

/// A lease that ends by itself only long after the test.
fn endless() -> LeaseConfig {
    LeaseConfig { lasts: Duration::from_hours(1), ..LeaseConfig::default() }
}

fn config(lease: LeaseConfig) -> ProjectorConfig {
    let id = Uuid::now_v7();
    ProjectorConfig {
        poll: Duration::from_millis(100),
        ..ProjectorConfig::with_lease(PROJECTIONS, id, id.to_string(), lease)
    }
}

/// A pool like the projector's, whose connections say whose they are.
async fn pool_of(name: &str, connect: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(4)
        .after_connect(|conn, _| {
            Box::pin(async move { conn.execute("SET ROLE highwater_projector").await.map(|_| ()) })
        })
        .connect_with(connect.clone().application_name(name))
        .await
        .unwrap()
}

/// A projector in this process.
struct Running {
    name: String,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ProjectorError>>,
}

impl Running {
    async fn start(connect: &PgConnectOptions, lease: LeaseConfig) -> Self {
        let config = config(lease);
        let name = config.name.clone();
        let (pool, stop) = (pool_of(&name, connect).await, CancellationToken::new());
        Self { name, task: tokio::spawn(projections::run(pool, config, stop.clone())), stop }
    }

    /// Drains and gives its logs back.
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Its sessions end without a word.
    async fn kill(self, admin: &PgPool) {
        self.task.abort();
        self.task.await.unwrap_err();
        let gone = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
        sqlx::query(gone).bind(&self.name).execute(admin).await.unwrap();
    }
}

/// A projector on a thread of its own, which can be held as SIGSTOP holds a process.
struct Freezable {
    name: String,
    stop: CancellationToken,
    freeze: tokio::sync::mpsc::UnboundedSender<mpsc::Receiver<()>>,
    thread: thread::JoinHandle<()>,
}

impl Freezable {
    fn start(connect: &PgConnectOptions, lease: LeaseConfig) -> Self {
        let (config, connect, stop) = (config(lease), connect.clone(), CancellationToken::new());
        let (name, shutdown) = (config.name.clone(), stop.clone());
        let (freeze, mut freezes) = tokio::sync::mpsc::unbounded_channel::<mpsc::Receiver<()>>();
        let own_name = name.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let pool = pool_of(&own_name, &connect).await;
                let frozen = async {
                    // On the thread that does everything else, so everything stands still.
                    while let Some(until) = freezes.recv().await {
                        until.recv().ok();
                    }
                };
                tokio::select! {
                    ended = projections::run(pool, config, shutdown) => ended.unwrap(),
                    () = frozen => {}
                }
            });
        });
        Self { name, stop, freeze, thread }
    }

    /// Holds it until the sender is dropped.
    fn freeze(&self) -> mpsc::Sender<()> {
        let (thaw, frozen) = mpsc::channel();
        self.freeze.send(frozen).unwrap();
        thaw
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::task::spawn_blocking(move || self.thread.join().unwrap()).await.unwrap();
    }
}

/// Logs, and who moved their checkpoints.
struct World {
    admin: PgPool,
    connect: PgConnectOptions,
    logs: Vec<Log>,
    /// What projectors announce.
    commits: NotificationListener,
}

impl World {
    async fn new(options: PgPoolOptions, connect: PgConnectOptions, logs: usize) -> Self {
        let (admin, _) = pools(options, connect.clone()).await;
        for statement in [
            "CREATE TABLE public.moves (projector text, workspace integer, first bigint, last bigint)",
            "GRANT INSERT ON public.moves TO highwater_projector",
            "CREATE FUNCTION public.note_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 INSERT INTO public.moves
                 VALUES (current_setting('application_name'), new.workspace, old.position + 1, new.position);
                 RETURN new;
             END $$",
            "CREATE TRIGGER note_move AFTER UPDATE OF position ON read.checkpoints
             FOR EACH ROW EXECUTE FUNCTION public.note_move()",
        ] {
            admin.execute(statement).await.unwrap();
        }
        // One that is killed behind its commit announces nothing.
        let commits = NotificationListener::new(admin.clone(), READ_CHANNEL, Duration::from_secs(1));
        let mut world = Self { admin, connect, logs: Vec::new(), commits };
        for _ in 0..logs {
            world.logs.push(Log::opened(&world.admin).await);
        }
        world
    }

    /// Appends an event to every log, and tells.
    async fn append(&mut self) {
        for log in &mut self.logs {
            log.append(click()).await;
        }
        sqlx::query("SELECT pg_notify($1, '')").bind(event_store::LOG_CHANNEL).execute(&self.admin).await.unwrap();
    }

    /// Waits until every log is applied to its end.
    async fn applied(&mut self) {
        let behind = "SELECT EXISTS (
             SELECT FROM log.heads h LEFT JOIN read.checkpoints c USING (workspace) WHERE c.position IS DISTINCT FROM h.position)";
        let deadline = Instant::now() + PATIENCE;
        while sqlx::query_scalar::<_, bool>(behind).fetch_one(&self.admin).await.unwrap() {
            assert!(Instant::now() < deadline, "not every log is applied in time");
            self.commits.changed().await;
        }
    }

    /// Waits for what becomes of leases. They are renewed and end without a word, so it looks again and again.
    async fn until(&self, what: &str, holds: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !sqlx::query_scalar::<_, bool>(holds).fetch_one(&self.admin).await.unwrap() {
            assert!(Instant::now() < deadline, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until so many live.
    async fn living(&self, count: usize) {
        let holds = format!("SELECT count(*) = {count} FROM log.leases_now WHERE is_living");
        self.until(&format!("{count} projectors live"), &holds).await;
    }

    /// Appends until the projectors that are named, and only they, share the work of a round.
    async fn until_shared_by(&mut self, names: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.forget_moves().await;
            self.append().await;
            self.applied().await;
            let at_work: BTreeSet<String> = self.moves().await.into_iter().map(|(projector, ..)| projector).collect();
            if at_work == names.iter().map(|&name| name.to_owned()).collect() {
                return;
            }
            assert!(Instant::now() < deadline, "{at_work:?} instead of {names:?}");
        }
    }

    async fn forget_moves(&self) {
        sqlx::query("DELETE FROM public.moves").execute(&self.admin).await.unwrap();
    }

    async fn moves(&self) -> Vec<(String, i32, i64, i64)> {
        sqlx::query_as("SELECT projector, workspace, first, last FROM public.moves ORDER BY workspace, first")
            .fetch_all(&self.admin)
            .await
            .unwrap()
    }

    /// Every event was applied, and none of them twice.
    async fn assert_once(&self) {
        let counted: Vec<(i32, i64)> =
            sqlx::query_as("SELECT workspace, sum(value)::bigint FROM read.rollup_15m GROUP BY 1 ORDER BY 1")
                .fetch_all(&self.admin)
                .await
                .unwrap();
        let expected: Vec<(i32, i64)> = self.logs.iter().map(|log| (log.workspace, log.head() - 1)).collect();
        assert_eq!(counted, expected);
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn two_projectors_share_logs_without_overlap(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect, 24).await;
    let first = Running::start(&world.connect, endless()).await;
    world.applied().await;
    let second = Running::start(&world.connect, endless()).await;
    world.until_shared_by(&[&first.name, &second.name]).await;
    // From then on each log has one owner.
    world.forget_moves().await;
    for _ in 0..5 {
        world.append().await;
        world.applied().await;
    }
    let mut owners = BTreeMap::<i32, BTreeSet<String>>::new();
    for (projector, workspace, ..) in world.moves().await {
        owners.entry(workspace).or_default().insert(projector);
    }
    assert!(owners.values().all(|owners| owners.len() == 1), "{owners:?}");

    let found = projectors(&world.admin).await.unwrap();
    for projector in &found {
        assert!(projector.is_living, "{projector:?}");
        let owned = owners.values().filter(|owners| owners.contains(&projector.name)).count();
        assert_eq!(projector.logs, [("campaign_model", owned)]);
    }
    assert_eq!(found.len(), 2);
    second.stop().await;
    first.stop().await;
    assert!(projectors(&world.admin).await.unwrap().is_empty(), "who leaves is gone");
    world.assert_once().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stopped_projector_releases_its_logs_at_once(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect, 16).await;
    // They look at each other only when they are told: once an hour would do.
    let lease = LeaseConfig { renew_every: Duration::from_hours(1), ..endless() };
    let stays = Running::start(&world.connect, lease).await;
    world.applied().await;
    let leaves = Running::start(&world.connect, lease).await;
    world.until_shared_by(&[&stays.name, &leaves.name]).await;
    leaves.stop().await;
    world.until_shared_by(&[&stays.name]).await;
    stays.stop().await;
    world.assert_once().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn killed_projector_is_replaced_before_its_lease_ends(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect, 16).await;
    let stays = Running::start(&world.connect, endless()).await;
    let killed = Running::start(&world.connect, endless()).await;
    world.until_shared_by(&[&stays.name, &killed.name]).await;
    killed.kill(&world.admin).await;
    world.until_shared_by(&[&stays.name]).await;
    stays.stop().await;
    world.assert_once().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn frozen_projector_loses_its_logs_and_resumes_without_harm(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect, 16).await;
    let lease = LeaseConfig { lasts: Duration::from_secs(2), renew_every: Duration::from_millis(200), ..endless() };
    let stays = Running::start(&world.connect, lease).await;
    let frozen = Freezable::start(&world.connect, lease);
    world.until_shared_by(&[&stays.name, &frozen.name]).await;
    let thaw = frozen.freeze();
    // Nobody else has these logs before the lease is over.
    world.append().await;
    world.applied().await;
    world.living(1).await;
    let found = projectors(&world.admin).await.unwrap();
    assert!(found.iter().all(|projector| projector.is_living == (projector.name == stays.name)), "{found:?}");
    world.until_shared_by(&[&stays.name]).await;
    drop(thaw);
    world.until_shared_by(&[&stays.name, &frozen.name]).await;
    frozen.stop().await;
    stays.stop().await;
    world.assert_once().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn projector_that_cannot_renew_stops_applying(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect, 8).await;
    let lease = LeaseConfig { lasts: Duration::from_secs(2), renew_every: Duration::from_millis(200), ..endless() };
    let alone = Running::start(&world.connect, lease).await;
    world.append().await;
    world.applied().await;
    let mut holding = world.admin.begin().await.unwrap();
    sqlx::query("SELECT FROM log.leases FOR UPDATE").execute(&mut *holding).await.unwrap();
    // It goes on for as long as its lease lasts, and then no more, though all that it needs is there.
    world.living(0).await;
    world.forget_moves().await;
    world.append().await;
    // Somebody who looks at everything finds it all still to be done.
    let pool = pool_of("by hand", &world.connect).await;
    projections::catch_up(&pool).await.unwrap();
    let at_work: BTreeSet<String> = world.moves().await.into_iter().map(|(projector, ..)| projector).collect();
    assert_eq!(at_work, BTreeSet::from(["by hand".to_owned()]));
    holding.rollback().await.unwrap();
    world.until_shared_by(&[&alone.name]).await;
    alone.stop().await;
    world.assert_once().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn hanging_projector_loses_its_logs(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect, 16).await;
    let lease = LeaseConfig {
        lasts: Duration::from_secs(2),
        renew_every: Duration::from_millis(200),
        standstill: Duration::from_secs(1),
    };
    let stuck = Running::start(&world.connect, lease).await;
    world.applied().await;
    // Its next round waits for a row for ever, while its heart goes on beating.
    let mut holding = world.admin.begin().await.unwrap();
    sqlx::query("SELECT FROM read.checkpoints WHERE workspace = $1 FOR UPDATE")
        .bind(world.logs[0].workspace)
        .execute(&mut *holding)
        .await
        .unwrap();
    world.append().await;
    world.living(0).await;
    holding.rollback().await.unwrap();
    world.until_shared_by(&[&stuck.name]).await;
    stuck.stop().await;
    world.assert_once().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn projectors_of_another_version_share_no_logs(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect, 8).await;
    let ours = Running::start(&world.connect, endless()).await;
    world.applied().await;
    // Its session is the test's own, so it lives.
    let mut newer = world.admin.acquire().await.unwrap();
    sqlx::query(
        "INSERT INTO log.leases (consumer, holder, name, session, lease)
         VALUES ('projection campaign_model 999999', gen_random_uuid(), 'newer', pg_backend_pid(), interval '1 hour')",
    )
    .execute(&mut *newer)
    .await
    .unwrap();
    world.living(2).await;
    // A renewal passes after that, and nothing is left undone.
    world.until("a renewal", "SELECT o.renewed_at > n.renewed_at FROM log.leases o, log.leases n WHERE o.name <> 'newer' AND n.name = 'newer'").await;
    world.forget_moves().await;
    world.append().await;
    world.applied().await;
    let found = projectors(&world.admin).await.unwrap();
    let shares: BTreeMap<&str, usize> =
        found.iter().map(|projector| (projector.name.as_str(), projector.logs[0].1)).collect();
    assert_eq!(shares, BTreeMap::from([(ours.name.as_str(), 8), ("newer", 0)]));
    ours.stop().await;
    world.assert_once().await;
}
