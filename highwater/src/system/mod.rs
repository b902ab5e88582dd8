//! A running Highwater in this process: any mix of roles against one database. `serve` and `dev` run it, and so do tests.
//!
//! [`Listeners::open`] takes the addresses first, so that what cannot be listened on fails before anything else is touched.
//! [`start`] does that, and then starts the roles behind them. What is started belongs to a [`Lifecycle`]: the APIs stop first,
//! then appender and projector, which their requests need.

mod listeners; // where the APIs listen
pub mod maintenance; // partitions by day and by month, made ahead and dropped
mod readiness; // whether this process can do its work
mod schema; // whether the database fits this program

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use commands::{Commands, SourceRateLimiter};
use event_store::follow::Leases;
use event_store::{Appender, AppenderConfig};
use futures_util::future::join_all;
use futures_util::{Stream, stream};
use http_edge::HttpConfig;
use http_edge::bind_policy::ExposureError;
use http_edge::edge::{EdgeConfig, edge};
use http_edge::health::{self, Metrics};
use http_edge::{Connections, ServeError, TlsError, serve};
use platform::authenticator::Authenticator;
use platform::clock::SharedClock;
use platform::database::{ConnectError, DatabaseConfig, DatabaseRole, connect};
use platform::lifecycle::{Lifecycle, LifecycleError, Stage};
use platform::telemetry::{TelemetryError, metrics_handle};
use projections::{
    EpochMaintenance, LagMonitor, PROJECTIONS, ProjectorConfig, RebuildMode, ReplayMemory, set_lease_gauges,
};
use sqlx::PgPool;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use listeners::BoundListener;
pub use listeners::Listeners;
pub use readiness::ProjectorLimits;
pub use schema::{SchemaError, check as check_schema};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum ProcessRole {
    /// Takes commands and writes the log.
    Command,
    /// Follows the logs and keeps the read tables.
    Projector,
    /// Answers from the read tables.
    Read,
}

/// What a system is told.
#[derive(Debug, Clone)]
pub struct SystemConfig {
    /// The database; migrated.
    pub database: DatabaseConfig,
    /// What this process does.
    pub roles: BTreeSet<ProcessRole>,
    /// How the command API listens.
    pub command: HttpConfig,
    /// How the read API listens.
    pub read: HttpConfig,
    /// Where a process answers for its health that serves no API, if anywhere.
    pub health_addr: Option<SocketAddr>,
    /// How long a projector may go on doing badly before it says that it is not ready.
    pub projector_limits: ProjectorLimits,
    /// How often a projector refreshes the leaderboard; never by itself if `None`.
    pub leaderboard_every: Option<Duration>,
    /// Who builds what this version of a projection lacks.
    pub rebuild: RebuildMode,
    /// How many bytes of results the read API keeps.
    pub results_bytes: usize,
    /// What building one may hold of the memory.
    pub replay_memory: ReplayMemory,
    /// Whether the key that everyone knows works here.
    pub development_key: bool,
    /// How much may wait to be written, and how much is written at once.
    pub appender: AppenderConfig,
    /// How long requests and batches under way may take to finish.
    pub drain: Duration,
}

impl SystemConfig {
    /// All roles on free ports of loopback.
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
            results_bytes: 64 << 20,
            replay_memory: ReplayMemory::default(),
            development_key: false,
            appender: AppenderConfig::default(),
            drain: Duration::from_secs(20),
        }
    }
}

/// Why a system did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address must not be listened on.
    #[error("{flag}")]
    Exposed {
        /// The flag that sets the address.
        flag: &'static str,
        /// Why.
        #[source]
        source: ExposureError,
    },
    /// The certificate or its key is unusable.
    #[error("TLS")]
    Tls(#[from] TlsError),
    /// Somebody else listens there.
    #[error("{addr} is in use: choose another address with {flag}")]
    AddressInUse {
        /// Where.
        addr: SocketAddr,
        /// The flag that sets the address.
        flag: &'static str,
    },
    /// The address cannot be listened on.
    #[error("{flag}")]
    Listen {
        /// The flag that sets the address.
        flag: &'static str,
        /// Why.
        #[source]
        source: ServeError,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database does not fit this program.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Metrics cannot be kept.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

/// A started system.
#[derive(Debug)]
pub struct RunningSystem {
    /// Where the command API listens, if this process serves it.
    pub command_addr: Option<SocketAddr>,
    /// Where the read API listens, if this process serves it.
    pub read_addr: Option<SocketAddr>,
    /// Where the process answers for its health alone, if anywhere.
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

/// Starts a system behind addresses that were taken before.
pub async fn start_with_listeners(
    doors: Listeners,
    config: SystemConfig,
    clock: SharedClock,
) -> Result<RunningSystem, StartError> {
    // Readiness, the lag and the upkeep of partitions, none of which may wait for another.
    let watch = DatabaseConfig { max_connections: 3, ..config.database.clone() };
    let admin = connect(&watch, DatabaseRole::Admin).await?;
    schema::check(&admin).await?;
    let pools = Mutex::new(vec![admin.clone()]);
    let meter = LagMonitor::new(PROJECTIONS, clock.clone());
    let starter = SystemBuilder { lifecycle: Lifecycle::new(), admin, pools, clock, meter, drain: config.drain };
    let addr = |door: &Option<BoundListener>| door.as_ref().map(BoundListener::addr);
    let (command_addr, read_addr, health_addr) = (addr(&doors.command), addr(&doors.read), addr(&doors.health));
    starter.measure().await;
    if let Some(door) = doors.command {
        starter.command_api(door, &config).await?;
    }
    let is_projector = config.roles.contains(&ProcessRole::Projector);
    let leases = if is_projector { Some(starter.projector(&config).await?) } else { None };
    if let Some(door) = doors.read {
        starter.read_api(door, &config).await?;
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

/// How often each process measures how far the read tables are behind.
const MEASURED_EVERY: Duration = Duration::from_secs(2);
/// How long what the requests left behind may take to be written once they are done.
const WRITTEN_WITHIN: Duration = Duration::from_secs(10);
/// How long connections may take to come back once nothing uses them any more.
const RELEASED_WITHIN: Duration = Duration::from_secs(2);

/// Closes the connections when everything that used them has ended, and says so.
async fn release(pools: Vec<PgPool>, stop: CancellationToken, released: CancellationToken) -> Result<(), Infallible> {
    stop.cancelled().await;
    let closed = join_all(pools.iter().map(PgPool::close));
    if tokio::time::timeout(RELEASED_WITHIN, closed).await.is_err() {
        tracing::debug!("connections did not come back in time");
    }
    released.cancel();
    Ok(())
}

/// Where this process runs, for people who look for it.
fn process_name() -> String {
    let host = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    format!("{} pid {}", host.as_deref().unwrap_or("?"), std::process::id())
}

/// What every role is started with.
struct SystemBuilder {
    lifecycle: Lifecycle,
    admin: PgPool,
    pools: Mutex<Vec<PgPool>>,
    clock: SharedClock,
    meter: LagMonitor,
    drain: Duration,
}

impl SystemBuilder {
    /// Begins to measure how far the read tables are behind: whatever this process does, it tells if nobody else can.
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

    /// The health of everything that this process does.
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
        // The writers end with the last appender, and the API drops its own before they are told to end.
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
        let commands = Commands::new(pool, appender, self.clock.clone(), commands::Limits::default());
        let state = command_api::ApiState::new(commands.with_source_rate(source_rate), authenticator);
        let health = health::router(readiness::of_commands(self.admin.clone()), self.metrics()?);
        self.serve(door, "command", command_api::router(state).merge(health), &config.command);
        Ok(())
    }

    async fn read_api(&self, door: BoundListener, config: &SystemConfig) -> Result<(), StartError> {
        let pool = self.pool(&config.database, DatabaseRole::Read).await?;
        let (progress, listening) = queries::Progress::start(pool.clone(), self.lifecycle.token(Stage::Core));
        self.lifecycle.spawn(Stage::Core, "reads' progress", listening);
        let authenticator = Authenticator::new(pool.clone(), self.clock.clone());
        let model = queries::ReadModel::new(pool, self.clock.clone(), progress, config.results_bytes);
        let state = read_api::ApiState::new(model, authenticator);
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
    /// The tasks, so that more can join them.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Cancelled when nothing of this system uses the database any more: whoever runs the database may stop it then.
    pub fn released(&self) -> CancellationToken {
        self.released.clone()
    }

    /// Runs until the first of `stops` or until a task dies, then drains. A second of `stops` drops what is left.
    pub async fn run(self, stops: impl Stream<Item = &'static str>) -> Result<(), LifecycleError> {
        self.lifecycle.run(stops, self.drain + WRITTEN_WITHIN).await
    }

    /// Drains and stops now.
    pub async fn shutdown(self) -> Result<(), LifecycleError> {
        self.run(stream::iter(["shutdown"])).await
    }
}
