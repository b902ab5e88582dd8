//! A running Highwater in this process: any mix of roles against one database. `serve`, `dev` and tests run it.
//!
//! [`Listeners::open`] binds the addresses first, so that an unusable address fails before anything else happens.
//! [`start`] calls it and then starts the roles. The tasks belong to a [`Lifecycle`]: the APIs stop first, then
//! appender and projector, which their requests need.

mod error; // what keeps a system from starting
mod listeners; // the listeners of the APIs
pub mod maintenance; // partitions by day and by month
mod readiness; // the readiness of this process
mod schema; // the check of the database's schema
mod startup; // the wait for a database that is not there yet

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use commands::rejections::RejectionStore;
use commands::{Commands, SourceRateLimiter};
use event_store::follow::Leases;
use event_store::{Appender, AppenderConfig};
use futures_util::future::join_all;
use futures_util::{Stream, stream};
use http_edge::HttpConfig;
use http_edge::edge::{EdgeConfig, edge};
use http_edge::health::{self, Metrics};
use http_edge::{Connections, serve};
use platform::authenticator::Authenticator;
use platform::clock::SharedClock;
use platform::database::{ConnectError, DatabaseConfig, DatabaseRole, connect};
use platform::lifecycle::{Lifecycle, LifecycleError, Stage};
use platform::telemetry::{TelemetryError, metrics_handle};
use projections::{
    EpochMaintenance, LagMonitor, PROJECTIONS, ProjectorConfig, RebuildMode, ReplayMemory, set_lease_gauges,
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use error::StartError;
use listeners::BoundListener;
pub use listeners::Listeners;
pub use readiness::ProjectorLimits;
pub use schema::{SchemaError, check as check_schema};

/// A role of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum ProcessRole {
    /// Takes commands and writes the log.
    Command,
    /// Follows the logs and keeps the read tables.
    Projector,
    /// Answers from the read tables.
    Read,
}

/// The configuration of a system.
#[derive(Debug, Clone)]
pub struct SystemConfig {
    /// The database, which must be migrated.
    pub database: DatabaseConfig,
    /// The roles of this process.
    pub roles: BTreeSet<ProcessRole>,
    /// The listener of the command API.
    pub command: HttpConfig,
    /// The listener of the read API.
    pub read: HttpConfig,
    /// The address of the health routes in a process without an API, if any.
    pub health_addr: Option<SocketAddr>,
    /// The limits of a projector's readiness.
    pub projector_limits: ProjectorLimits,
    /// How often a projector refreshes the leaderboard. Never by itself if `None`.
    pub leaderboard_every: Option<Duration>,
    /// Who builds what this version of a projection lacks.
    pub rebuild: RebuildMode,
    /// Where rejected items are kept.
    pub rejections: RejectionStore,
    /// The URL of the command API that the read API tells its callers. If there is none, a process that serves both
    /// tells its own.
    pub command_api: Option<String>,
    /// The memory limit of the read API's cache, in bytes.
    pub results_bytes: usize,
    /// The memory limit of a rebuild.
    pub replay_memory: ReplayMemory,
    /// Whether the development key is accepted.
    pub development_key: bool,
    /// The limits of the appender's queue and batches.
    pub appender: AppenderConfig,
    /// The longest wait at the start for a database that cannot be reached.
    pub database_wait: Duration,
    /// The longest time for requests and batches in flight to finish.
    pub drain: Duration,
}

impl SystemConfig {
    /// A configuration of all roles on free loopback ports.
    pub fn all_roles(database: DatabaseConfig) -> Self {
        Self {
            database,
            roles: BTreeSet::from([ProcessRole::Command, ProcessRole::Projector, ProcessRole::Read]),
            command: HttpConfig::default(),
            read: HttpConfig::default(),
            health_addr: None,
            projector_limits: ProjectorLimits::default(),
            leaderboard_every: Some(Duration::from_mins(1)),
            rebuild: RebuildMode::Automatic,
            rejections: RejectionStore::default(),
            command_api: None,
            results_bytes: 64 << 20,
            replay_memory: ReplayMemory::default(),
            development_key: false,
            appender: AppenderConfig::default(),
            database_wait: Duration::ZERO,
            drain: Duration::from_secs(20),
        }
    }
}

/// A running system.
#[derive(Debug)]
pub struct RunningSystem {
    /// The address of the command API, if this process serves it.
    pub command_addr: Option<SocketAddr>,
    /// The address of the read API, if this process serves it.
    pub read_addr: Option<SocketAddr>,
    /// The address of the health routes alone, if any.
    pub health_addr: Option<SocketAddr>,
    lifecycle: Lifecycle,
    drain: Duration,
    released: CancellationToken,
}

/// Starts a system whose clock is `clock`.
pub async fn start(config: SystemConfig, clock: SharedClock) -> Result<RunningSystem, StartError> {
    let doors = Listeners::open(&config)?;
    start_with_listeners(doors, config, clock).await
}

/// Starts a system on bound listeners.
pub async fn start_with_listeners(
    doors: Listeners,
    config: SystemConfig,
    clock: SharedClock,
) -> Result<RunningSystem, StartError> {
    // One connection each for readiness, lag and partitions, so that none waits for another.
    let watch = DatabaseConfig { max_connections: 3, ..config.database.clone() };
    let admin = startup::connect_when_there(&watch, &doors, &config, &clock).await?;
    schema::check(&admin).await?;
    let pools = Mutex::new(vec![admin.clone()]);
    let meter = LagMonitor::new(PROJECTIONS, clock.clone());
    let starter = SystemBuilder { lifecycle: Lifecycle::new(), admin, pools, clock, meter, drain: config.drain };
    let addr = |door: &Option<BoundListener>| door.as_ref().map(BoundListener::addr);
    let (command_addr, read_addr, health_addr) = (addr(&doors.command), addr(&doors.read), addr(&doors.health));
    starter.measure().await;
    let command_api =
        config.command_api.clone().or_else(|| doors.command.as_ref().and_then(|door| door.url(&config.command)));
    if let Some(door) = doors.command {
        starter.command_api(door, &config).await?;
    }
    let is_projector = config.roles.contains(&ProcessRole::Projector);
    let leases = if is_projector { Some(starter.projector(&config).await?) } else { None };
    if let Some(door) = doors.read {
        starter.read_api(door, &config, command_api).await?;
    }
    if let Some(door) = doors.health {
        starter.health(door, &config, leases)?;
    }
    let SystemBuilder { lifecycle, pools, .. } = starter;
    let (stop, released) = (lifecycle.token(Stage::Base), CancellationToken::new());
    let pools = pools.into_inner().unwrap_or_else(PoisonError::into_inner);
    lifecycle.spawn(Stage::Base, "connections", release(pools, stop, released.clone()));
    Ok(RunningSystem { command_addr, read_addr, health_addr, lifecycle, drain: config.drain, released })
}

/// How often each process measures the lag of the read tables.
const MEASURED_EVERY: Duration = Duration::from_secs(2);
/// The longest time to write the queued events after the last request.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);
/// The longest time for connections to return after their last use.
const RELEASED_WITHIN: Duration = Duration::from_secs(2);

/// Closes the connections when everything that used them has ended, and signals it.
async fn release(pools: Vec<PgPool>, stop: CancellationToken, released: CancellationToken) -> Result<(), Infallible> {
    stop.cancelled().await;
    let closed = join_all(pools.iter().map(PgPool::close));
    if tokio::time::timeout(RELEASED_WITHIN, closed).await.is_err() {
        tracing::debug!("connections did not come back in time");
    }
    released.cancel();
    Ok(())
}

/// The name of this process for operators.
fn process_name() -> String {
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    format!("{} pid {}", host.as_deref().unwrap_or("?"), std::process::id())
}

/// The common inputs of all roles.
struct SystemBuilder {
    lifecycle: Lifecycle,
    admin: PgPool,
    pools: Mutex<Vec<PgPool>>,
    clock: SharedClock,
    meter: LagMonitor,
    drain: Duration,
}

impl SystemBuilder {
    /// Begins to measure the lag of the read tables. Every process does, whatever its roles, so that one always reports
    /// it.
    async fn measure(&self) {
        if let Err(error) = self.meter.measure(&self.admin).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the projections' lag could not be measured");
        }
        let stop = self.lifecycle.token(Stage::Core);
        let measuring = self.meter.clone().run(self.admin.clone(), MEASURED_EVERY, stop);
        self.lifecycle.spawn(Stage::Core, "lag meter", async {
            measuring.await;
            Ok::<(), Infallible>(())
        });
    }

    fn metrics(&self) -> Result<Metrics, TelemetryError> {
        let meter = self.meter.clone();
        Ok(Metrics::from(metrics_handle()?).with(move || meter.set_gauges()))
    }

    async fn projector(&self, config: &SystemConfig) -> Result<Leases, StartError> {
        let stop = self.lifecycle.token(Stage::Core);
        let months = maintenance::run_months(self.admin.clone(), self.clock.clone(), stop);
        self.lifecycle.spawn(Stage::Core, "months", async {
            months.await;
            Ok::<(), Infallible>(())
        });
        let pool = self.pool(&config.database, DatabaseRole::Projector).await?;
        let upkeep = EpochMaintenance {
            rebuild: config.rebuild,
            memory: config.replay_memory,
            ..EpochMaintenance::new(self.clock.clone())
        };
        let follow = ProjectorConfig {
            upkeep: Some(upkeep),
            ..ProjectorConfig::new(PROJECTIONS, Uuid::now_v7(), process_name())
        };
        let leases = follow.leases.clone();
        let stop = self.lifecycle.token(Stage::Core);
        self.lifecycle.spawn(Stage::Core, "projector", projections::run(pool.clone(), follow, stop.clone()));
        if let Some(every) = config.leaderboard_every {
            let refreshing = projections::leaderboard::run(pool, self.clock.clone(), every, stop);
            self.lifecycle.spawn(Stage::Core, "leaderboard", async {
                refreshing.await;
                Ok::<(), Infallible>(())
            });
        }
        Ok(leases)
    }

    /// The readiness and the metrics of this process.
    fn health(&self, door: BoundListener, config: &SystemConfig, leases: Option<Leases>) -> Result<(), StartError> {
        let (admin, meter) = (self.admin.clone(), self.meter.clone());
        let (readiness, metrics) = match leases {
            Some(leases) => {
                let shown = leases.clone();
                let metrics = self.metrics()?.with(move || set_lease_gauges(&shown));
                (readiness::of_projector(admin, meter, leases, config.projector_limits), metrics)
            }
            None if config.roles.contains(&ProcessRole::Read) => (readiness::of_reads(admin, meter), self.metrics()?),
            None => (readiness::of_commands(admin), self.metrics()?),
        };
        self.serve(door, "health", health::router(readiness, metrics), &HttpConfig::default());
        Ok(())
    }

    async fn pool(&self, database: &DatabaseConfig, part: DatabaseRole) -> Result<PgPool, ConnectError> {
        let pool = connect(database, part).await?;
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).push(pool.clone());
        Ok(pool)
    }

    async fn command_api(&self, door: BoundListener, config: &SystemConfig) -> Result<(), StartError> {
        let pool = self.pool(&config.database, DatabaseRole::Command).await?;
        let stop = self.lifecycle.token(Stage::Core);
        let (appender, writers) = Appender::start(pool.clone(), config.appender, stop.clone());
        // The writers end with the last appender, and the API drops its own before they must end.
        let held = appender.clone();
        self.lifecycle.spawn(Stage::Core, "appender", async move {
            let ended = writers.await;
            drop(held);
            ended
        });
        let days = maintenance::run(self.admin.clone(), self.clock.clone(), stop);
        self.lifecycle.spawn(Stage::Core, "maintenance", async {
            days.await;
            Ok::<(), Infallible>(())
        });
        let authenticator = Authenticator::new(pool.clone(), self.clock.clone());
        let limits = &config.command.limits;
        let source_rate = SourceRateLimiter::new(limits.source_items_per_s, limits.rate_window_s, self.clock.clone());
        let new_campaigns = limits.new_campaigns_per_day;
        let command_limits = commands::Limits { new_campaigns, ..commands::Limits::default() };
        let commands = Commands::new(pool, appender, self.clock.clone(), command_limits);
        let commands = commands.with_source_rate(source_rate).with_rejections(config.rejections.clone());
        let state = command_api::ApiState::new(commands, authenticator);
        let health = health::router(readiness::of_commands(self.admin.clone()), self.metrics()?);
        self.serve(door, "command", command_api::router(state).merge(health), &config.command);
        Ok(())
    }

    async fn read_api(
        &self,
        door: BoundListener,
        config: &SystemConfig,
        command_api: Option<String>,
    ) -> Result<(), StartError> {
        let pool = self.pool(&config.database, DatabaseRole::Read).await?;
        let (progress, listening) = queries::Progress::start(pool.clone(), self.lifecycle.token(Stage::Core));
        self.lifecycle.spawn(Stage::Core, "reads' progress", listening);
        let authenticator = Authenticator::new(pool.clone(), self.clock.clone());
        let model = queries::ReadModel::new(pool, self.clock.clone(), progress, config.results_bytes);
        let state = read_api::ApiState::new(model, authenticator, command_api);
        let health = health::router(readiness::of_reads(self.admin.clone(), self.meter.clone()), self.metrics()?);
        self.serve(door, "read", read_api::router(state).merge(health), &config.read);
        Ok(())
    }

    fn serve(&self, door: BoundListener, api: &'static str, router: Router, http: &HttpConfig) {
        let router = edge(router, &EdgeConfig::new(api, http, &self.clock));
        let connections = Connections::new(api, &http.limits);
        tracing::info!(api, addr = %door.addr(), tls = door.tls.is_some(), "listening");
        let stop = self.lifecycle.token(Stage::Edge);
        self.lifecycle.spawn(Stage::Edge, api, serve(door.listener, door.tls, router, connections, stop, self.drain));
    }
}

impl RunningSystem {
    /// The tasks, so that more can be added.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// The token that is cancelled when nothing of this system uses the database any more. Then the database may be
    /// stopped.
    pub fn released(&self) -> CancellationToken {
        self.released.clone()
    }

    /// Runs until the first of `stops` or until a task ends, then drains. A second of `stops` drops the remaining
    /// tasks.
    pub async fn run(self, stops: impl Stream<Item = &'static str>) -> Result<(), LifecycleError> {
        self.lifecycle.run(stops, self.drain + WRITTEN_WITHIN).await
    }

    /// Drains and stops now.
    pub async fn shutdown(self) -> Result<(), LifecycleError> {
        self.run(stream::iter(["shutdown"])).await
    }
}
