//! A whole Highwater in this process, on its own database and clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::money::Currency;
use domain::zone::Zone;
use highwater::system::{ProcessRole, RunningSystem, SystemConfig, start};
use highwater::{tls, workspace};
use platform::clock::{Clock, ManualClock, SharedClock, SystemClock};
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use projections::{Difference, ReplayOptions, Verification, VerifyObserver, VerifyRequest};
use secrecy::SecretString;
use sqlx::{ConnectOptions, PgPool};
use tokio_util::sync::CancellationToken;

use crate::caller::{Addresses, Caller, create_key};

/// A running system.
pub struct TestSystem {
    /// Its clock.
    pub clock: ManualClock,
    whole_clock: SharedClock,
    pool: PgPool,
    database: DatabaseConfig,
    running: RunningSystem,
    client: reqwest::Client,
}

impl TestSystem {
    /// All roles on free ports, on the database of `pool`, at the instant `now`.
    pub async fn start(pool: &PgPool, now: &str) -> Self {
        Self::with_roles(pool, now, &[ProcessRole::Command, ProcessRole::Projector, ProcessRole::Read]).await
    }

    /// Starts the two APIs without a projector: only [`Self::catch_up`] applies events.
    pub async fn start_without_projector(pool: &PgPool, now: &str) -> Self {
        Self::with_roles(pool, now, &[ProcessRole::Command, ProcessRole::Read]).await
    }

    async fn with_roles(pool: &PgPool, now: &str, roles: &[ProcessRole]) -> Self {
        let (clock, roles) = (manual(now), roles.iter().copied().collect());
        let config = SystemConfig { roles, ..SystemConfig::all_roles(database(pool)) };
        Self::run(pool, clock.clone(), clock.shared(), config).await
    }

    /// Starts a system for concurrent clients: the test sets the date, and durations are real. All roles, changed by
    /// `change`.
    pub async fn start_at_work(pool: &PgPool, now: &str, change: impl FnOnce(SystemConfig) -> SystemConfig) -> Self {
        let date = manual(now);
        let config = change(SystemConfig::all_roles(database(pool)));
        Self::run(pool, date.clone(), Arc::new(Date(date)), config).await
    }

    /// Starts all roles, changed by `change`. Time passes only by the test.
    pub async fn start_as(pool: &PgPool, now: &str, change: impl FnOnce(SystemConfig) -> SystemConfig) -> Self {
        let clock = manual(now);
        let config = change(SystemConfig::all_roles(database(pool)));
        Self::run(pool, clock.clone(), clock.shared(), config).await
    }

    async fn run(pool: &PgPool, clock: ManualClock, whole_clock: SharedClock, config: SystemConfig) -> Self {
        let (pool, database) = (pool.clone(), config.database.clone());
        let running = start(config, whole_clock.clone()).await.unwrap();
        Self { clock, whole_clock, pool, database, running, client: client(Duration::from_mins(1)) }
    }

    /// Starts another process on the same database and clock.
    pub async fn second_process(&self) -> Self {
        let config = SystemConfig::all_roles(self.database.clone());
        Self::run(&self.pool, self.clock.clone(), self.whole_clock.clone(), config).await
    }

    /// Stops, and starts again on the same database.
    #[must_use]
    pub async fn restart(self) -> Self {
        let (pool, clock, whole_clock) = (self.pool.clone(), self.clock.clone(), self.whole_clock.clone());
        let config = SystemConfig::all_roles(self.database.clone());
        self.stop().await;
        Self::run(&pool, clock, whole_clock, config).await
    }

    /// The URL of its command API.
    pub fn command_url(&self) -> String {
        format!("http://{}", self.addresses().command)
    }

    /// The URL of its read API.
    pub fn read_url(&self) -> String {
        format!("http://{}", self.addresses().read)
    }

    /// Its addresses.
    pub fn addresses(&self) -> Addresses {
        Addresses { command: self.running.command_addr.unwrap(), read: self.running.read_addr.unwrap() }
    }

    /// Opens a workspace (UTC, EUR) and returns a caller with every scope.
    pub async fn workspace(&self, name: &str) -> Caller {
        self.workspace_in(name, Zone::UTC).await
    }

    /// Opens a workspace (EUR) of a time zone and returns a caller with every scope.
    pub async fn workspace_in(&self, name: &str, zone: Zone) -> Caller {
        let currency: Currency = "EUR".parse().unwrap();
        let opened =
            workspace::find_or_open(&self.pool, &self.database, name, zone, currency, &self.clock.shared()).await;
        let id = opened.unwrap().id;
        let key = create_key(&self.pool, id, &["command", "read"]).await;
        Caller::new(self.client.clone(), self.addresses(), self.pool.clone(), id, key)
    }

    /// A pool like that of an operator's command, without a statement timeout.
    async fn projector_pool(&self) -> PgPool {
        let database = DatabaseConfig { statement_timeout_ms: 0, ..self.database.clone() };
        connect(&database, DatabaseRole::Projector).await.unwrap()
    }

    /// Applies the log as it is now, for a system without a projector.
    pub async fn catch_up(&self) {
        let pool = self.projector_pool().await;
        projections::catch_up(&pool).await.unwrap();
        pool.close().await;
    }

    /// Refreshes the leaderboard.
    pub async fn refresh_leaderboard(&self) {
        let pool = self.projector_pool().await;
        projections::leaderboard::refresh(&pool, self.clock.now()).await.unwrap();
        pool.close().await;
    }

    /// Rebuilds the core projection beside the live rows and switches.
    pub async fn replay(&self) {
        let pool = self.projector_pool().await;
        let options = ReplayOptions::new(self.whole_clock.clone());
        projections::replay(&pool, "campaign_model", &options, &|_| {}, CancellationToken::new()).await.unwrap();
        pool.close().await;
    }

    /// Checks that every live row equals a rebuild.
    pub async fn verify(&self) {
        let pool = self.projector_pool().await;
        let found = Mutex::new(Vec::new());
        let note = |difference: &Difference| found.lock().unwrap().push(difference.clone());
        let watch = VerifyObserver { progress: &|_| {}, difference: &note };
        let (request, shutdown) = (VerifyRequest::default(), CancellationToken::new());
        let verified =
            projections::verify(&pool, "campaign_model", &request, &self.whole_clock, watch, shutdown).await.unwrap();
        assert!(
            verified.workspaces.iter().all(Verification::passed),
            "{verified:?}: {:?}",
            found.into_inner().unwrap()
        );
        pool.close().await;
    }

    /// The live epoch of a workspace.
    pub async fn live_epoch(&self, caller: &Caller) -> i32 {
        sqlx::query_scalar("SELECT epoch FROM read.live_epochs WHERE workspace = $1")
            .bind(caller.workspace())
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Drains and stops.
    pub async fn stop(self) {
        self.running.shutdown().await.unwrap();
    }
}

fn manual(now: &str) -> ManualClock {
    ManualClock::new(now.parse::<DateTime<Utc>>().unwrap())
}

fn database(pool: &PgPool) -> DatabaseConfig {
    let url = pool.connect_options().to_url_lossy().to_string();
    DatabaseConfig { max_connections: 6, ..DatabaseConfig::at(SecretString::from(url)) }
}

/// A clock with a date set by the test, while time passes.
#[derive(Debug)]
struct Date(ManualClock);

impl Clock for Date {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }

    fn elapsed(&self) -> Duration {
        SystemClock.elapsed()
    }
}

/// An HTTP client with this timeout.
pub fn client(timeout: Duration) -> reqwest::Client {
    tls::install_provider();
    reqwest::Client::builder().timeout(timeout).build().unwrap()
}
