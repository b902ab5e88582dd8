//! The database of an operator's command: the configured one, or that of a `highwater dev`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use futures_util::StreamExt;
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use platform::lifecycle::signals;
use platform::local_postgres::{AttachedPostgres, LocalPostgresConfig};
use secrecy::ExposeSecret;

use crate::config::{Config, ConfigSources};
use crate::system;

/// The exit status of an interrupted command, as shells use it for SIGINT.
pub const INTERRUPTED: u8 = 130;

/// The option that names the database of a `highwater dev`.
#[derive(Debug, clap::Args)]
pub struct DatabaseArgs {
    /// Work on the `highwater dev` that keeps its data in DIR, running or stopped. Wins over HIGHWATER_DATABASE_URL and
    /// `database.url`.
    ///
    /// A stopped one gets its PostgreSQL started for as long as the command runs.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// The signal that ends a command on a data directory at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndsAt {
    FirstSignal,
    /// The second one. At the first, the command stops by itself where it can resume later.
    SecondSignal,
}

impl DatabaseArgs {
    /// Runs a command with the configuration of its database. A PostgreSQL that was started for it is stopped after it,
    /// however it ends.
    pub async fn run(
        &self,
        sources: ConfigSources,
        ends_at: EndsAt,
        command: impl AsyncFnOnce(Config) -> anyhow::Result<ExitCode>,
    ) -> anyhow::Result<ExitCode> {
        let config = sources.load()?;
        match &self.data_dir {
            Some(data_dir) => run_in(data_dir, config, ends_at, command).await,
            None if config.database.url.expose_secret().is_empty() => bail!(
                "which database? Set HIGHWATER_DATABASE_URL, or `database.url` in the file given with --config, or \
                 name the data directory of a `highwater dev` with --data-dir"
            ),
            None => {
                config.database()?;
                command(config).await
            }
        }
    }
}

async fn run_in(
    data_dir: &Path,
    mut config: Config,
    ends_at: EndsAt,
    command: impl AsyncFnOnce(Config) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    if !config.database.url.expose_secret().is_empty() {
        say("--data-dir is given: HIGHWATER_DATABASE_URL and `database.url` are not used");
    }
    let mut stops = signals()?;
    let postgres = tokio::select! {
        attached = AttachedPostgres::attach(LocalPostgresConfig::new(data_dir)) => attached?,
        // The drop stops what was started.
        _ = stops.next() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    config.database.url = postgres.url();
    let work = async {
        check_schema(&config.database, data_dir).await?;
        command(config).await
    };
    let last_signal = async {
        if ends_at == EndsAt::SecondSignal {
            stops.next().await;
        }
        stops.next().await;
    };
    let done = tokio::select! {
        done = work => done,
        () = last_signal => Ok(ExitCode::from(INTERRUPTED)),
    };
    let detached = detach(postgres, async { _ = stops.next().await }).await;
    let code = done?;
    detached.context("the command is done, but its PostgreSQL was not stopped")?;
    Ok(code)
}

/// The data directory of another version of this program has another schema.
async fn check_schema(database: &DatabaseConfig, data_dir: &Path) -> anyhow::Result<()> {
    let admin = connect(&DatabaseConfig { max_connections: 1, ..database.clone() }, DatabaseRole::Admin).await?;
    let checked = system::check_schema(&admin).await;
    admin.close().await;
    checked.with_context(|| format!("start `highwater dev --data-dir {}` once, which migrates it", data_dir.display()))
}

async fn detach(postgres: AttachedPostgres, stopped: impl Future<Output = ()>) -> anyhow::Result<()> {
    if postgres.has_guests()? {
        say("another command uses this PostgreSQL: it is stopped when that one ends; Ctrl-C stops it now");
    }
    tokio::select! {
        detached = postgres.detach() => Ok(detached?),
        // The drop stops it.
        () = stopped => Ok(()),
    }
}

/// Writes a note that is not part of the command's output.
fn say(note: &str) {
    // If stderr is closed, there is nowhere to write.
    let _ = writeln!(std::io::stderr(), "note: {note}");
}
