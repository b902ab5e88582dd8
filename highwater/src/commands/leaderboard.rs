//! `highwater leaderboard`: refreshes the leaderboard on demand.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use platform::clock::{Clock, SystemClock};
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use projections::leaderboard::{Refreshed, refresh};

use super::database::{DatabaseArgs, EndsAt};
use crate::config::{Config, ConfigSources};

/// The arguments of `leaderboard`.
#[derive(Debug, clap::Args)]
pub struct LeaderboardArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(subcommand)]
    command: LeaderboardCommand,
}

/// The subcommands of `leaderboard`.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
enum LeaderboardCommand {
    /// Rank every workspace's campaigns anew. Readers go on meanwhile.
    Refresh,
}

/// Runs the command.
pub async fn run(args: LeaderboardArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let LeaderboardArgs { database, command: LeaderboardCommand::Refresh } = args;
    let sources = ConfigSources::of_process(config);
    database.run(sources, EndsAt::FirstSignal, async |config| refresh_now(config).await).await
}

async fn refresh_now(config: Config) -> anyhow::Result<ExitCode> {
    // An operator waits for the refresh, so the server must not cancel it.
    let database = DatabaseConfig { max_connections: 1, statement_timeout_ms: 0, ..config.database };
    let pool = connect(&database, DatabaseRole::Projector).await?;
    let started = Instant::now();
    let refreshed = refresh(&pool, SystemClock.now()).await.context("the leaderboard was not refreshed")?;
    let Refreshed { as_of, workspaces } = refreshed;
    let seconds = started.elapsed().as_secs_f64();
    let mut out = std::io::stdout().lock();
    writeln!(out, "leaderboard: refreshed as of {}", as_of.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))?;
    writeln!(out, "workspaces: {workspaces}\nseconds: {seconds:.1}")?;
    Ok(ExitCode::SUCCESS)
}
