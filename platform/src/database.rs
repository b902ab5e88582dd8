//! Pools of connections, each with one role of the database.
//!
//! A process logs in as one user. Every connection then takes the role of its part, so the database enforces what the
//! part may touch.

use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};

use crate::config::{ConfigError, secret, within};

/// The configuration of the database connection.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:5432/highwater`, or with `?host=/run/postgresql` for a Unix socket.
    #[serde(deserialize_with = "secret")]
    pub url: SecretString,
    /// The most connections that one part of this process opens.
    pub max_connections: u32,
    /// The longest time of a statement in milliseconds; the server cancels a longer one. 0 means no limit. It does not
    /// apply to `DatabaseRole::Admin`, whose migrations may take long.
    pub statement_timeout_ms: u64,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self { url: SecretString::from(String::new()), max_connections: 16, statement_timeout_ms: 30_000 }
    }
}

impl DatabaseConfig {
    /// The defaults, for a database at `url`.
    pub fn at(url: SecretString) -> Self {
        Self { url, ..Self::default() }
    }

    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.url.expose_secret().is_empty() {
            return Err(ConfigError::Empty { field: "database.url" });
        }
        self.options()?;
        within("database.max_connections", self.max_connections.into(), 4, 10_000)?;
        within("database.statement_timeout_ms", self.statement_timeout_ms, 0, 86_400_000)
    }

    fn options(&self) -> Result<PgConnectOptions, ConfigError> {
        let url = self.url.expose_secret();
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(ConfigError::DatabaseUrl);
        }
        PgConnectOptions::from_str(url).map_err(|_unprintable| ConfigError::DatabaseUrl)
    }
}

/// The role that a connection takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseRole {
    /// Writes the log.
    Command,
    /// Reads the log and owns the read tables.
    Projector,
    /// Reads the read tables.
    Read,
    /// The user that logged in. It runs migrations and writes keys and workspaces.
    Admin,
}

impl DatabaseRole {
    pub fn name(self) -> &'static str {
        match self {
            DatabaseRole::Command => "command",
            DatabaseRole::Projector => "projector",
            DatabaseRole::Read => "read",
            DatabaseRole::Admin => "admin",
        }
    }

    fn take_role(self) -> Option<&'static str> {
        match self {
            DatabaseRole::Command => Some("SET ROLE highwater_command"),
            DatabaseRole::Projector => Some("SET ROLE highwater_projector"),
            DatabaseRole::Read => Some("SET ROLE highwater_read"),
            DatabaseRole::Admin => None,
        }
    }
}

/// An error of connecting to the database.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot connect to the database as part `{part}`")]
    Unreachable { part: &'static str, source: sqlx::Error },
    #[error("the database user may not act as part `{part}`: run `highwater migrate` with this user")]
    Role { part: &'static str, source: sqlx::Error },
}

/// How long an idle connection is used without a check. A busy pool makes no checks. A pool that was idle during a
/// restart of the database finds dead connections before a request does.
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// Opens a pool whose connections act as `part`. It fails at once when the database cannot be reached. The next acquire
/// replaces a connection that is lost later.
pub async fn connect(config: &DatabaseConfig, part: DatabaseRole) -> Result<PgPool, ConnectError> {
    let mut options = config.options()?.application_name(&format!("highwater-{}", part.name()));
    if part != DatabaseRole::Admin {
        // A client that disappears must not hold a lock, such as that of a log's head, for hours. A projector that
        // freezes inside a transaction must not block its successor.
        let longest_idle = if part == DatabaseRole::Projector { "10000" } else { "60000" };
        options = options.options([
            ("statement_timeout", config.statement_timeout_ms.to_string().as_str()),
            ("idle_in_transaction_session_timeout", longest_idle),
            ("tcp_keepalives_idle", "30"),
            // Just-in-time compilation costs more than it saves on these statements.
            ("jit", "off"),
        ]);
    }
    if part == DatabaseRole::Read {
        // Reads are abandoned when their callers disconnect, so the server ends such a connection soon.
        options = options.options([("client_connection_check_interval", "1s")]);
    }
    if part == DatabaseRole::Command {
        // The command role finds every row by a key, from the first event on. A prepared plan from when a table was
        // short would otherwise keep scanning the whole table.
        options = options.options([("enable_seqscan", "off")]);
    }
    check_role(&options, part).await?;

    PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire(false)
        .before_acquire(|connection, rested| {
            Box::pin(async move {
                if rested.idle_for > TRUSTED_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _meta| {
            Box::pin(async move {
                if let Some(take_role) = part.take_role() {
                    connection.execute(take_role).await?;
                }
                Ok(())
            })
        })
        .connect_with(options)
        .await
        .map_err(|source| ConnectError::Unreachable { part: part.name(), source })
}

/// Makes one plain connection first. The pool would hide the cause, because it retries until its acquire times out.
async fn check_role(options: &PgConnectOptions, part: DatabaseRole) -> Result<(), ConnectError> {
    let unreachable = |source| ConnectError::Unreachable { part: part.name(), source };
    let mut connection = options.connect().await.map_err(unreachable)?;
    if let Some(take_role) = part.take_role() {
        connection.execute(take_role).await.map_err(|source| match source {
            sqlx::Error::Database(_) => ConnectError::Role { part: part.name(), source },
            source => unreachable(source),
        })?;
    }
    connection.close().await.map_err(unreachable)
}
