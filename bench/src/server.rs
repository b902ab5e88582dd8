//! A private PostgreSQL that forgets nothing while it runs and leaves nothing behind: durable, in a scratch directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::str::FromStr;

use anyhow::{Context, Result};
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use platform::local_postgres::{LocalPostgres, LocalPostgresConfig};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgPool};
use tempfile::TempDir;

/// The server of a run.
pub(crate) struct Server {
    postgres: LocalPostgres,
    // Removed when the server is gone.
    _directory: TempDir,
}

/// A migrated database on it.
pub(crate) struct Database {
    pub(crate) config: DatabaseConfig,
    /// May do anything.
    pub(crate) admin: PgPool,
}

impl Server {
    pub(crate) async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        // PostgreSQL runs as another user when this one is root, and must get in.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        // Large enough that both sides work in memory.
        let config = LocalPostgresConfig {
            durable: true,
            shared_buffers_mb: 1_024,
            ..LocalPostgresConfig::new(directory.path().join("postgres"))
        };
        Ok(Self { postgres: LocalPostgres::start(config).await?, _directory: directory })
    }

    /// A new database, migrated.
    pub(crate) async fn database(&self, name: &str) -> Result<Database> {
        let maintenance = connect(&DatabaseConfig::at(self.postgres.url()), DatabaseRole::Admin).await?;
        sqlx::query(&format!("CREATE DATABASE {name}")).execute(&maintenance).await?;
        maintenance.close().await;
        let url = PgConnectOptions::from_str(self.postgres.url().expose_secret())?.database(name).to_url_lossy();
        let config = DatabaseConfig::at(SecretString::from(url.to_string()));
        let admin = connect(&config, DatabaseRole::Admin).await?;
        event_store::MIGRATOR.run(&admin).await.with_context(|| format!("cannot migrate {name}"))?;
        Ok(Database { config, admin })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        Ok(self.postgres.stop().await?)
    }
}

impl Database {
    /// Writes out what the last round left dirty, so that the next one does not pay for it.
    pub(crate) async fn settle(&self) -> Result<()> {
        sqlx::query("CHECKPOINT").execute(&self.admin).await?;
        Ok(())
    }
}
