//! A private PostgreSQL in a directory, for where no service is at hand.
//!
//! It speaks only over a Unix socket in a directory that its user alone may enter, so it needs no password and no port.
//! It runs as a child of this process but not in its process group: Ctrl-C reaches this process first, which drains and
//! then stops it. The files stay and are used again by the next start. PostgreSQL refuses to run as root; a process
//! that is root runs it as `postgres` or `nobody`, and says so when that user cannot reach the directory.
//!
//! A lock on the directory, which the system releases however its holder ends, tells a second instance (an error) from
//! a server that outlived a killed process (stopped, then started anew). A command that only wants to use the database
//! attaches to it (`AttachedPostgres`), whether a server runs or not.

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

/// A running private PostgreSQL. Dropping it stops it as well as that can be done without waiting long; `stop` is
/// better.
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
    /// Makes the database if it is not there, starts PostgreSQL and waits until the database `highwater` takes
    /// connections.
    pub async fn start(config: LocalPostgresConfig) -> Result<Self, LocalPostgresError> {
        let directory = DataDir::open(&config.data_dir).await?;
        cluster::prepare(&directory, config.durable).await?;
        cluster::stop_orphan(&directory, config.start_within).await?;
        let server = Server::launch(&directory, &config).await?;
        Ok(Self { server, directory, config })
    }

    /// Where the database `highwater` takes connections, for sqlx and libpq alike. It holds a password only when there
    /// is a loopback port; it changes with each start then.
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
        cluster::stop_orphan(&self.directory, self.config.start_within).await?;
        self.server = Server::launch(&self.directory, &self.config).await?;
        Ok(())
    }

    /// Ends the sessions, writes everything down and ends.
    pub async fn stop(mut self) -> Result<(), LocalPostgresError> {
        self.server.stop().await
    }

    /// Keeps PostgreSQL running until `shutdown`, then stops it. One that ends by itself is started again, unless it
    /// keeps ending; meanwhile pools heal.
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
