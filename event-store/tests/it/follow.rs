//! Consumers that know no projection: they keep cursors in a table of their own and note what was delivered to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use event_store::follow::{
    self, Consumer, LeaseConfig, Leases, LogAssignment, LogPage, Round, lagging_logs, read_pages,
};
use event_store::{AppendRequest, Appender, PageLimit};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{PgConnection, PgPool};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Writer, admin, one_lane, request, workspace};

/// Nothing here takes longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_mins(1);
const CONSUMER: &str = "recorder 1";
/// Notified by each delivery.
const DELIVERIES: &str = "deliveries";
const RENEW_EVERY: Duration = Duration::from_millis(100);
/// Less than the tests append to a log in one go, so that it takes several pages.
const PAGES: PageLimit = PageLimit { events: 8, bytes: 1024 * 1024 };

/// Notes each position under its process's name, in the transaction that moves the cursor.
struct Recorder {
    pool: PgPool,
    name: String,
    share: LogAssignment,
}

impl Recorder {
    /// `false` if somebody else moved the cursor first.
    async fn deliver(&self, page: &LogPage) -> Result<bool, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        sqlx::query("INSERT INTO outside.cursors VALUES ($1, 0) ON CONFLICT DO NOTHING")
            .bind(page.workspace)
            .execute(&mut *tx)
            .await?;
        let moved = sqlx::query("UPDATE outside.cursors SET position = $3 WHERE workspace = $1 AND position = $2")
            .bind(page.workspace)
            .bind(page.after)
            .bind(page.last())
            .execute(&mut *tx)
            .await?;
        if moved.rows_affected() == 0 {
            return Ok(false);
        }
        for event in page.events() {
            sqlx::query("INSERT INTO outside.delivered (workspace, position, by) VALUES ($1, $2, $3)")
                .bind(page.workspace)
                .bind(event.position)
                .bind(&self.name)
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query("SELECT pg_notify($1, '')").bind(DELIVERIES).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(true)
    }
}

impl Consumer for Recorder {
    type Error = sqlx::Error;

    fn name(&self) -> &str {
        CONSUMER
    }

    async fn round(&mut self) -> Result<Round, sqlx::Error> {
        let cursors: Vec<(i32, i64)> =
            sqlx::query_as("SELECT workspace, position FROM outside.cursors").fetch_all(&self.pool).await?;
        let cursors: BTreeMap<i32, i64> = cursors.into_iter().collect();
        let cursor = |workspace| cursors.get(&workspace).copied().unwrap_or_default();
        let lagging = lagging_logs(&self.pool, &self.share, cursor).await?;
        let mut round = Round::Idle;
        for page in read_pages(&self.pool, &lagging, PAGES).await? {
            assert_eq!(page.missing(), None, "no log has a hole");
            if self.share.heartbeat() && self.deliver(&page).await? {
                round = Round::Moved;
            }
        }
        Ok(round)
    }
}

/// A process that runs a [`Recorder`].
struct Process {
    name: String,
    wakeups: Arc<Notify>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Process {
    async fn start(connect: &PgConnectOptions, name: &str) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .after_connect(|conn, _| {
                Box::pin(async move { sqlx::query("SET ROLE highwater_projector").execute(conn).await.map(drop) })
            })
            .connect_with(connect.clone().application_name(name))
            .await
            .unwrap();
        // It ends by itself only long after the test: what is missed sooner is the lost session.
        let config = LeaseConfig { lasts: Duration::from_hours(1), renew_every: RENEW_EVERY, ..LeaseConfig::default() };
        let leases = Leases::new(Uuid::now_v7(), vec![CONSUMER.to_owned()], config);
        let (wakeups, stop, own_name) = (Arc::new(Notify::new()), CancellationToken::new(), name.to_owned());
        let (woken, stopping) = (Arc::clone(&wakeups), stop.clone());
        let task = tokio::spawn(async move {
            let (ended, renewals) = (CancellationToken::new(), Notify::new());
            let share = leases.assignment(CONSUMER);
            let recorder = Recorder { pool: pool.clone(), name: own_name.clone(), share: share.clone() };
            let running = async {
                follow::run(recorder, &share, &woken, &stopping).await;
                ended.cancel();
            };
            let lease_pool = follow::lease_pool(&pool, &config);
            tokio::join!(running, follow::keep_leases(lease_pool, &own_name, &leases, &renewals, &stopping, &ended));
        });
        Self { name: name.to_owned(), wakeups, stop, task }
    }

    /// Gives its logs back.
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Its sessions end without a word.
    async fn kill(self, admin: &mut PgConnection) {
        self.task.abort();
        self.task.await.unwrap_err();
        sqlx::query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1")
            .bind(&self.name)
            .execute(admin)
            .await
            .unwrap();
    }
}

async fn append(appender: &Appender, workspaces: &[i32], times: usize) {
    for &workspace in workspaces {
        for _ in 0..times {
            let request: AppendRequest = request(workspace, "a");
            appender.append(request).await.unwrap();
        }
    }
}

/// Appends until exactly the processes that are named have shared the work of a round, and everything is delivered.
async fn until_shared_by(
    processes: &[&Process],
    appender: &Appender,
    workspaces: &[i32],
    admin: &mut PgConnection,
    deliveries: &mut PgListener,
) {
    let names: BTreeSet<String> = processes.iter().map(|process| process.name.clone()).collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let before: i64 = sqlx::query_scalar("SELECT coalesce(max(nth), 0) FROM outside.delivered")
            .fetch_one(&mut *admin)
            .await
            .unwrap();
        append(appender, workspaces, 1).await;
        for process in processes {
            process.wakeups.notify_one();
        }
        while !is_delivered(admin).await {
            assert!(Instant::now() < deadline, "not everything is delivered in time");
            // Shares change with a renewal, which no delivery follows by itself.
            let _ = tokio::time::timeout(RENEW_EVERY, deliveries.recv()).await;
            for process in processes {
                process.wakeups.notify_one();
            }
        }
        let at_work: Vec<String> = sqlx::query_scalar("SELECT DISTINCT by FROM outside.delivered WHERE nth > $1")
            .bind(before)
            .fetch_all(&mut *admin)
            .await
            .unwrap();
        if at_work.iter().cloned().collect::<BTreeSet<_>>() == names {
            return;
        }
        assert!(Instant::now() < deadline, "{at_work:?} instead of {names:?}");
    }
}

async fn is_delivered(admin: &mut PgConnection) -> bool {
    sqlx::query_scalar(
        "SELECT NOT EXISTS (SELECT FROM log.heads h LEFT JOIN outside.cursors c USING (workspace)
                            WHERE c.position IS DISTINCT FROM h.position)",
    )
    .fetch_one(admin)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn second_process_takes_over_without_skipping(_: PgPoolOptions, connect: PgConnectOptions) {
    let mut admin = admin(&connect).await;
    for statement in [
        "CREATE SCHEMA outside",
        "CREATE TABLE outside.cursors (workspace integer PRIMARY KEY, position bigint NOT NULL)",
        "CREATE TABLE outside.delivered (nth bigint GENERATED ALWAYS AS IDENTITY, workspace integer, position bigint,
                                         by text, UNIQUE (workspace, position))",
        "GRANT USAGE ON SCHEMA outside TO highwater_projector",
        "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA outside TO highwater_projector",
    ] {
        sqlx::query(statement).execute(&mut admin).await.unwrap();
    }
    let writer = Writer::start(&connect, one_lane()).await;
    let mut workspaces = Vec::new();
    for nth in 0..16 {
        workspaces.push(workspace(&connect, &format!("workspace {nth}")).await);
    }
    append(&writer.appender, &workspaces, 20).await;
    let listening = PgPoolOptions::new().max_connections(1).connect_with(connect.clone()).await.unwrap();
    let mut deliveries = PgListener::connect_with(&listening).await.unwrap();
    deliveries.listen(DELIVERIES).await.unwrap();

    let first = Process::start(&connect, "first").await;
    let second = Process::start(&connect, "second").await;
    until_shared_by(&[&first, &second], &writer.appender, &workspaces, &mut admin, &mut deliveries).await;
    second.kill(&mut admin).await;
    append(&writer.appender, &workspaces, 20).await;
    until_shared_by(&[&first], &writer.appender, &workspaces, &mut admin, &mut deliveries).await;
    first.stop().await;

    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM log.leases").fetch_one(&mut admin).await.unwrap();
    assert!(left <= 1, "only the killed one left its row");
    let skipped: Vec<(i32, i64)> = sqlx::query_as(
        "SELECT e.workspace, e.position FROM log.events e
         LEFT JOIN outside.delivered d USING (workspace, position) WHERE d.position IS NULL",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(skipped, []);
    writer.stop().await;
}
