//! A private PostgreSQL in a directory, for machines without a PostgreSQL service.
//!
//! It listens only on a Unix socket, in a directory that only its user may enter. So it needs no password and no port.
//! It is a child of this process, but outside its process group: Ctrl-C reaches this process first, which drains and
//! then stops the server. The files stay for the next start. PostgreSQL refuses to run as root, so a root process runs
//! it as `postgres` or `nobody`. An error explains when that user cannot reach the directory.
//!
//! The system releases the directory's lock, however its holder ends. So the lock distinguishes a second instance (an
//! error) from a server that outlived a killed process (stopped and started anew). A command that only uses the
//! database attaches to it (`AttachedPostgres`), whether a server runs or not.

mod account;
mod attach;
mod cluster;
mod config;
mod directory;
mod error;
mod locks;
mod programs;
mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

pub use attach::AttachedPostgres;
pub use config::LocalPostgresConfig;
pub use error::LocalPostgresError;

use directory::DataDir;
use server::Server;

/// A running private PostgreSQL. Dropping it stops the server without a long wait; `stop` is safer.
#[derive(Debug)]
pub struct LocalPostgres {
    // Declared first, so dropped first: the directory's lock is held until the server has ended.
    server: Server,
    directory: DataDir,
    config: LocalPostgresConfig,
}

/// The number of ends within `WINDOW` from which the server is given up.
const ENDS: usize = 3;
const WINDOW: Duration = Duration::from_mins(1);

impl LocalPostgres {
    /// Creates the database if it does not exist, starts PostgreSQL and waits until the database `highwater` accepts
    /// connections.
    pub async fn start(config: LocalPostgresConfig) -> Result<Self, LocalPostgresError> {
        let directory = DataDir::open(&config.data_dir).await?;
        cluster::prepare(&directory, config.durable).await?;
        cluster::stop_orphan(&directory, config.start_within).await?;
        let server = Server::launch(&directory, &config).await?;
        Ok(Self { server, directory, config })
    }

    /// The URL of the database `highwater`, for sqlx and libpq alike. It has a password only with a loopback port, and
    /// then a new one at each start.
    pub fn url(&self) -> SecretString {
        self.server.url()
    }

    /// The process id of the postmaster, unless it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.server.pid()
    }

    /// The log file of PostgreSQL.
    pub fn log_file(&self) -> &Path {
        self.directory.log()
    }

    /// Stops PostgreSQL if it still runs, and starts it again.
    pub async fn restart(&mut self) -> Result<(), LocalPostgresError> {
        self.server.stop().await?;
        cluster::stop_orphan(&self.directory, self.config.start_within).await?;
        self.server = Server::launch(&self.directory, &self.config).await?;
        Ok(())
    }

    /// Ends the sessions, writes a checkpoint and stops.
    pub async fn stop(mut self) -> Result<(), LocalPostgresError> {
        self.server.stop().await
    }

    /// Keeps PostgreSQL running until `shutdown`, then stops it. A server that ends by itself is started again, unless
    /// it keeps ending. Meanwhile the pools reconnect.
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
