//! The one binary: every role, and the operator's commands.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use highwater::commands::{
    dev, events, import, keys, leaderboard, migrate, parked, replay, restored, retention, serve, singer, status, verify,
};

/// A real-time campaign tracking backend: every number says how fresh, how complete and how final it is.
#[derive(Debug, Parser)]
#[command(name = "highwater", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// A TOML file of settings; highwater.example.toml lists them.
    #[arg(long, global = true, env = "HIGHWATER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine: a private PostgreSQL, all roles and a demo workspace.
    Dev(dev::DevArgs),
    /// Run roles against the database at HIGHWATER_DATABASE_URL.
    Serve(serve::ServeArgs),
    /// Bring the database's schema up to date.
    Migrate,
    /// Show how far each projection has applied each workspace's log, and which projectors run.
    Status(status::StatusArgs),
    /// Rebuild a projection from the log, beside the live one, and switch to it.
    Replay(replay::ReplayArgs),
    /// Compare a projection's rows with a rebuild from the log. Exits with 1 if some differ, 2 if it cannot tell.
    Verify(verify::VerifyArgs),
    /// Refresh the leaderboard.
    Leaderboard(leaderboard::LeaderboardArgs),
    /// Show or set for how many months the read tables keep rows. The log keeps all.
    Retention(retention::RetentionArgs),
    /// List events that cannot be applied and what waits behind them. Retry them, or skip one.
    Parked(parked::ParkedArgs),
    /// Say that the database was put back to an earlier state, and show where its logs stand.
    Restored(restored::RestoredArgs),
    /// Create, list and revoke API keys.
    Keys(keys::KeysArgs),
    /// Print the types of events, and the JSON Schema of a payload.
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Send files to the command API.
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Run a Singer tap, or read its messages, and send what it extracts.
    ///
    /// Records of the mapped streams become totals by campaign and day; other streams are skipped. Several records of
    /// one campaign and day are added, so they are held until the tap ends. Its bookmarks say through which day the
    /// source is complete. The state is kept once everything was sent, and goes to standard output, too.
    Singer(singer::SingerArgs),
}

fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let config = global.config.as_deref();
    highwater::run(async {
        match command {
            Command::Dev(options) => dev::run(options, config).await,
            Command::Serve(options) => serve::run(options, config).await,
            Command::Migrate => migrate::run(config).await,
            Command::Status(options) => status::run(options, config).await,
            Command::Replay(options) => replay::run(options, config).await,
            Command::Verify(options) => verify::run(options, config).await,
            Command::Leaderboard(args) => leaderboard::run(args, config).await,
            Command::Retention(args) => retention::run(args, config).await,
            Command::Parked(args) => parked::run(args, config).await,
            Command::Restored(args) => restored::run(args, config).await,
            Command::Keys(args) => keys::run(args, config).await,
            Command::Events(command) => events::run(&command),
            Command::Import(command) => import::run(command).await,
            Command::Singer(args) => singer::run(args).await,
        }
    })
}

#[cfg(test)]
mod tests;
