//! A private PostgreSQL in a directory, for where no service is at hand.
//!
//! It speaks only over a Unix socket in a directory that its user alone may enter, so it needs no password and no port. It runs
//! as a child of this process but not in its process group: Ctrl-C reaches this process first, which drains and then stops it.
//! The files stay and are used again by the next start. PostgreSQL refuses to run as root; a process that is root runs it as
//! `postgres` or `nobody`, and says so when that user cannot reach the directory.
//!
//! A lock on the directory, which the system releases however its holder ends, tells a second instance (an error) from a server
//! that outlived a killed process (stopped, then started anew).

mod account;
mod cluster;
mod directory;
mod programs;
mod server;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use directory::DataDir;
use server::Server;

/// What a private PostgreSQL is told.
#[derive(Debug, Clone)]
pub struct LocalPostgresConfig {
    /// Holds everything of this instance; made if it is not there.
    pub data_dir: PathBuf,
    /// Whether what was committed survives a crash of the machine, not only of its processes. Tests do without.
    pub durable: bool,
    pub max_connections: u32,
    pub shared_buffers_mb: u32,
    /// Listen on a free port of 127.0.0.1 too, with a password that is made anew at each start.
    pub loopback_port: bool,
    /// How long a start may take, recovery after a crash included.
    pub start_within: Duration,
}

impl LocalPostgresConfig {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            durable: true,
            max_connections: 100,
            shared_buffers_mb: 256,
            loopback_port: false,
            start_within: Duration::from_mins(2),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LocalPostgresError {
    #[error(
        "PostgreSQL is not installed: none of {} has initdb, pg_ctl and postgres; install it with `apt-get install \
         postgresql` (Debian, Ubuntu), `dnf install postgresql-server` (Fedora), `apk add postgresql` (Alpine) or `brew \
         install postgresql` (macOS)",
        list(searched)
    )]
    NotInstalled { searched: Vec<PathBuf> },
    #[error("PostgreSQL {found} is too old: version {least} or newer is needed")]
    TooOld { found: u32, least: u32 },
    #[error(
        "{} was made by PostgreSQL {needed}, which is not installed (found: {}): install it, or choose another directory",
        directory.display(), found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    VersionMissing { directory: PathBuf, needed: u32, found: Vec<u32> },
    #[error(
        "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as: run as another user"
    )]
    NoAccount,
    #[error(
        "user `{user}`, whom PostgreSQL runs as since it refuses root, may not enter {}: choose another data directory, or \
         open this one with `chmod o+x {}`",
        directory.display(), directory.display()
    )]
    Closed { directory: PathBuf, user: String },
    #[error("user `{user}`, whom PostgreSQL runs as since it refuses root, may not run {}", program.display())]
    ProgramClosed { program: PathBuf, user: String },
    #[error("{} belongs to another user: run as this user, or choose another data directory", directory.display())]
    NotOwner { directory: PathBuf },
    #[error("another process uses {}: stop it, or choose another data directory", data_dir.display())]
    InUse { data_dir: PathBuf },
    #[error("{} holds files but no database: choose another data directory", directory.display())]
    Occupied { directory: PathBuf },
    #[error("no private directory for the socket can be made under {}", parent.display())]
    NoSocketDirectory { parent: PathBuf },
    #[error("cannot {what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("`{program}` failed: {output}")]
    Program { program: &'static str, output: String },
    #[error("PostgreSQL ended with {status} before it was ready; its log says: {log}")]
    NotStarted { status: ExitStatus, log: String },
    #[error("PostgreSQL was not ready within {} s; its log says: {log}", within.as_secs())]
    NotReady { within: Duration, log: String },
    #[error("PostgreSQL does not stop")]
    NotStopped,
    #[error("PostgreSQL ended again and again; its log says: {log}")]
    KeepsEnding { log: String },
    #[error("cannot prepare the private database")]
    Database(#[from] sqlx::Error),
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// A running private PostgreSQL. Dropping it stops it as well as that can be done without waiting long; `stop` is better.
#[derive(Debug)]
pub struct LocalPostgres {
    // Dropped first: the directory's lock is held until the server has ended.
    server: Server,
    directory: DataDir,
    config: LocalPostgresConfig,
}

/// This many ends in `WINDOW` are more than bad luck.
const ENDS: usize = 3;
const WINDOW: Duration = Duration::from_mins(1);

impl LocalPostgres {
    /// Makes the database if it is not there, starts PostgreSQL and waits until the database `highwater` takes connections.
    pub async fn start(config: LocalPostgresConfig) -> Result<Self, LocalPostgresError> {
        let directory = DataDir::open(&config.data_dir).await?;
        cluster::prepare(&directory, config.durable).await?;
        cluster::stop_orphan(&directory).await?;
        let server = Server::launch(&directory, &config).await?;
        Ok(Self { server, directory, config })
    }

    /// Where the database `highwater` takes connections, for sqlx and libpq alike. It holds a password only when there is a
    /// loopback port; it changes with each start then.
    pub fn url(&self) -> SecretString {
        self.server.url()
    }

    /// The process id of the postmaster, unless it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// What PostgreSQL logs.
    pub fn log_file(&self) -> &Path {
        self.directory.log()
    }

    /// Stops PostgreSQL if it still runs, and starts it again.
    pub async fn restart(&mut self) -> Result<(), LocalPostgresError> {
        self.server.stop().await?;
        cluster::stop_orphan(&self.directory).await?;
        self.server = Server::launch(&self.directory, &self.config).await?;
        Ok(())
    }

    /// Ends the sessions, writes everything down and ends.
    pub async fn stop(mut self) -> Result<(), LocalPostgresError> {
        self.server.stop().await
    }

    /// Keeps PostgreSQL running until `shutdown`, then stops it. One that ends by itself is started again, unless it keeps
    /// ending; meanwhile pools heal.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), LocalPostgresError> {
        let mut ends: Vec<Instant> = Vec::new();
        loop {
            let status = tokio::select! {
                () = shutdown.cancelled() => return self.server.stop().await,
                status = self.server.ended() => status,
            };
            let now = Instant::now();
            ends.retain(|end| now.duration_since(*end) < WINDOW);
            ends.push(now);
            if ends.len() >= ENDS {
                return Err(LocalPostgresError::KeepsEnding { log: self.server.log_tail() });
            }
            tracing::error!(?status, "the private PostgreSQL ended by itself: starting it again");
            self.restart().await?;
        }
    }
}
