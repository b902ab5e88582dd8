//! The PostgreSQL of a data directory, for a short command: the running server, or one of its own.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use tokio::time::sleep;

use super::LocalPostgres;
use super::cluster::{SUPERUSER, read_postmaster};
use super::config::LocalPostgresConfig;
use super::directory;
use super::error::LocalPostgresError;
use super::locks::{POLL, lock_out_guests, try_lock_guest, try_lock_out_guests};
use super::server::{DATABASE, is_starting, socket_url};

/// Access to the database of a data directory while a command runs.
#[derive(Debug)]
pub struct AttachedPostgres {
    url: SecretString,
    server: ServerOwner,
}

#[derive(Debug)]
enum ServerOwner {
    /// Another process runs the server. If that is a command, it does not stop the server while this lock is held.
    Another { _guest: File },
    /// This process started the server.
    Us(Box<LocalPostgres>),
}

impl AttachedPostgres {
    /// Finds the server that runs in the directory, or starts one. A directory without a database is an error.
    pub async fn attach(config: LocalPostgresConfig) -> Result<Self, LocalPostgresError> {
        let root = directory::existing(&config.data_dir)?;
        let until = Instant::now() + config.start_within;
        loop {
            match LocalPostgres::start(config.clone()).await {
                Ok(server) => return Ok(Self { url: server.url(), server: ServerOwner::Us(Box::new(server)) }),
                Err(LocalPostgresError::InUse { .. }) => {}
                Err(error) => return Err(error),
            }
            if let Some(attached) = Self::as_guest(&root).await? {
                return Ok(attached);
            }
            if Instant::now() >= until {
                return Err(LocalPostgresError::NotAnswering { data_dir: root, within: config.start_within });
            }
            sleep(POLL).await;
        }
    }

    /// Connects as a guest. `None` while the owner starts or stops the server.
    async fn as_guest(root: &Path) -> Result<Option<Self>, LocalPostgresError> {
        let Some(guest) = try_lock_guest(root)? else { return Ok(None) };
        let Some(postmaster) = read_postmaster(&directory::database(root))? else { return Ok(None) };
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&postmaster.socket)
            .port(postmaster.port)
            .username(SUPERUSER)
            .database(DATABASE)
            .ssl_mode(PgSslMode::Disable)
            .application_name("highwater-local");
        match options.connect().await {
            Ok(connection) => connection.close().await?,
            Err(error) if is_starting(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let url = socket_url(&postmaster.socket, postmaster.port);
        Ok(Some(Self { url, server: ServerOwner::Another { _guest: guest } }))
    }

    /// The URL of the database `highwater`, for sqlx and libpq alike.
    pub fn url(&self) -> SecretString {
        self.url.clone()
    }

    /// Whether this process started the server and has to `detach`.
    pub fn owns_server(&self) -> bool {
        matches!(self.server, ServerOwner::Us(_))
    }

    /// Whether other processes use the server that this one started.
    pub fn has_guests(&self) -> Result<bool, LocalPostgresError> {
        match &self.server {
            ServerOwner::Another { .. } => Ok(false),
            ServerOwner::Us(server) => Ok(try_lock_out_guests(server.directory.root())?.is_none()),
        }
    }

    /// Stops the server if this process started it, once no other process uses it. A process that attaches meanwhile
    /// waits, and then starts a server of its own.
    pub async fn detach(self) -> Result<(), LocalPostgresError> {
        let ServerOwner::Us(server) = self.server else { return Ok(()) };
        let _no_guests = lock_out_guests(server.directory.root(), Duration::MAX).await?;
        server.stop().await
    }
}
