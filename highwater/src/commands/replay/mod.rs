//! `highwater replay`: rebuilds projections from the log, beside the live ones, and switches to them. It also rolls
//! back, drops old epochs and lists them.

mod progress; // progress
mod status; // a table of the epochs

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use event_store::{find_workspace_by_name_or_number, workspace_names};
use futures_util::{Stream, StreamExt};
use platform::clock::{Clock, SystemClock};
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use platform::lifecycle::signals;
use platform::telemetry;
use projections::PROJECTIONS;
use projections::{ReplayOptions, ReplayOutcome, ReplayProgress, drop_old, replay, rollback};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::database::{DatabaseArgs, EndsAt, INTERRUPTED};
use crate::config::{Config, ConfigSources};
use progress::ReplayProgressView;
pub(super) use status::build;

/// The arguments of `replay`.
#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    /// The projection; all of them if none is named.
    projection: Option<String>,
    /// Only this workspace, by name or number; may be repeated. The others stay where they are.
    #[arg(long = "workspace", value_name = "W")]
    workspaces: Vec<String>,
    /// How long the old rows are kept applied, as the way back: such as 90m, 24h or 7d; 0s drops them after the switch.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "24h")]
    keep_old: Duration,
    /// Switch although more of a log is parked in the new rows than in the old ones.
    #[arg(long)]
    allow_parked: bool,
    /// Switch although the new rows differ in number from the old ones, which the same version built.
    #[arg(long)]
    allow_differences: bool,
    /// Compare the new rows with the old ones as `highwater verify` does, and switch a workspace only if they are
    /// equal.
    #[arg(long, conflicts_with = "allow_differences")]
    verify: bool,
    #[command(flatten)]
    instead: ReplayMode,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The other actions on epochs.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct ReplayMode {
    /// Fill nothing: let readers see the rows before the last switch again.
    #[arg(long, conflicts_with_all = ["allow_parked", "allow_differences", "verify"])]
    rollback: bool,
    /// Fill nothing: drop the rows that nobody reads now.
    #[arg(long, conflicts_with_all = ["workspaces", "keep_old", "allow_parked", "allow_differences", "verify"])]
    drop_old: bool,
    /// Change nothing: show every epoch.
    #[arg(long, conflicts_with_all = ["workspaces", "keep_old", "allow_parked", "allow_differences", "verify"])]
    status: bool,
}

/// Runs the command. The progress bar and the log share the terminal, so only warnings are logged. The first Ctrl-C
/// stops it where it can resume, the second at once.
pub async fn run(options: ReplayArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let sources = ConfigSources::of_process(config).default_to("telemetry.filter", "warn");
    options.database.run(sources, EndsAt::SecondSignal, async |config| work(&options, config).await).await
}

async fn work(options: &ReplayArgs, config: Config) -> anyhow::Result<ExitCode> {
    telemetry::init(&config.telemetry)?;
    let named = projections_named(options.projection.as_deref())?;
    // A replay consists of long statements, which the server must not cancel.
    let database = DatabaseConfig { statement_timeout_ms: 0, ..config.database };
    let admin = connect(&DatabaseConfig { max_connections: 1, ..database.clone() }, DatabaseRole::Admin).await?;
    if options.instead.status {
        return status::show(&admin, &named, SystemClock.now()).await;
    }
    let pool = connect(&database, DatabaseRole::Projector).await?;
    if options.instead.drop_old {
        return drop_all(&pool, &named).await;
    }
    let replay_options = ReplayOptions {
        workspaces: chosen(&admin, &options.workspaces).await?,
        keep_old: options.keep_old,
        allow_parked: options.allow_parked,
        allow_differences: options.allow_differences,
        verify: options.verify,
        memory: config.projector.replay_memory(),
        ..ReplayOptions::new(SystemClock::shared())
    };
    let mut stops = signals()?;
    for projection in named {
        let went_on = if options.instead.rollback {
            go_back(&pool, &admin, projection, &replay_options).await?
        } else {
            fill(&pool, projection, &replay_options, &mut stops).await?
        };
        if !went_on {
            return Ok(ExitCode::from(INTERRUPTED));
        }
    }
    // The server may be stopped next, which would end the sessions of an open pool with an error.
    pool.close().await;
    Ok(ExitCode::SUCCESS)
}

/// All projections, or the one of this name.
fn projections_named(name: Option<&str>) -> anyhow::Result<Vec<&'static str>> {
    let all = PROJECTIONS.iter().map(|projection| projection.name);
    let named: Vec<&'static str> = all.clone().filter(|known| name.is_none_or(|name| name == *known)).collect();
    match name {
        Some(name) if named.is_empty() => {
            bail!("there is no projection {name:?}: there is {}", all.collect::<Vec<_>>().join(", "))
        }
        _ => Ok(named),
    }
}

/// The workspaces of these names or numbers; `None` if none is given.
async fn chosen(admin: &PgPool, named: &[String]) -> anyhow::Result<Option<Vec<i32>>> {
    if named.is_empty() {
        return Ok(None);
    }
    let mut chosen = Vec::new();
    for text in named {
        let found = find_workspace_by_name_or_number(admin, text).await?;
        chosen.push(found.with_context(|| format!("there is no workspace `{text}`"))?.id);
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok(Some(chosen))
}

/// Rebuilds one projection. `false` if it was interrupted.
async fn fill(
    pool: &PgPool,
    projection: &str,
    replay_options: &ReplayOptions,
    stops: &mut (impl Stream<Item = &'static str> + Unpin),
) -> anyhow::Result<bool> {
    let shutdown = CancellationToken::new();
    let shown = ReplayProgressView::new();
    let tell = |progress: ReplayProgress| shown.tell(progress);
    let work = replay(pool, projection, replay_options, &tell, shutdown.clone());
    tokio::pin!(work);
    let outcome = tokio::select! {
        outcome = &mut work => outcome,
        _ = stops.next() => {
            shutdown.cancel();
            tokio::select! {
                outcome = &mut work => outcome,
                _ = stops.next() => return Ok(false),
            }
        }
    };
    shown.clear();
    let mut out = std::io::stdout().lock();
    match outcome? {
        ReplayOutcome::Completed { epoch, workspaces, events } => {
            let seconds = shown.started.elapsed().as_secs_f64();
            let who =
                if replay_options.workspaces.is_some() { "every workspace that was named" } else { "every workspace" };
            let proved = if replay_options.verify { ", every row of which was compared before" } else { "" };
            writeln!(out, "{projection}: {who} now reads epoch {epoch}{proved}")?;
            writeln!(out, "workspaces: {workspaces}\nevents: {events}\nseconds: {seconds:.1}")?;
            Ok(true)
        }
        ReplayOutcome::Interrupted { epoch } => {
            writeln!(out, "{projection}: interrupted; the next replay goes on with epoch {epoch}")?;
            Ok(false)
        }
    }
}

async fn go_back(
    pool: &PgPool,
    admin: &PgPool,
    projection: &str,
    replay_options: &ReplayOptions,
) -> anyhow::Result<bool> {
    let went = rollback(pool, projection, replay_options, CancellationToken::new()).await?;
    let names = workspace_names(admin).await?;
    let mut out = std::io::stdout().lock();
    for back in went {
        let name = names.get(&back.workspace).map_or("?", String::as_str);
        writeln!(out, "{projection}: {name} reads epoch {} again, no longer {}", back.to, back.from)?;
    }
    Ok(true)
}

async fn drop_all(pool: &PgPool, named: &[&str]) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for projection in named {
        let dropped = drop_old(pool, projection).await?;
        if dropped.is_empty() {
            writeln!(out, "{projection}: nothing to drop")?;
        }
        for epoch in dropped {
            writeln!(out, "{projection}: epoch {epoch} is dropped")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Parses a number with its unit.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let seconds_each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("is not a duration such as 0s, 90m, 24h or 7d".to_owned()),
    };
    let seconds = number.parse::<u32>().ok().map(|number| u64::from(number) * seconds_each);
    seconds.map(Duration::from_secs).ok_or_else(|| "is not a duration such as 0s, 90m, 24h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use projections::KEEP_OLD;

    use super::*;

    #[test]
    fn duration_is_a_number_and_a_unit() {
        for (text, seconds) in [("0s", 0), ("90m", 5_400), ("24h", 86_400), ("7d", 604_800)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        assert_eq!(duration("24h"), Ok(KEEP_OLD));
        for text in ["", "h", "24", "-1h", "1w", "99999999999h", "1.5h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn selects_all_projections_or_the_named_one() {
        assert_eq!(projections_named(None).unwrap().len(), PROJECTIONS.len());
        assert_eq!(projections_named(Some("campaign_model")).unwrap(), ["campaign_model"]);
        assert!(projections_named(Some("horoscopes")).unwrap_err().to_string().contains("campaign_model"));
    }
}
