//! `highwater status`: how far each projection has applied each workspace's log, and which projectors do it.

mod json; // the same as JSON

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use event_store::{generation_heads, generations, workspace_names};
use platform::clock::{Clock, SystemClock};
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use projections::{LastVerified, LogStatus, Parked, ProjectorStatus};

use super::age::age;
use super::database::{DatabaseArgs, EndsAt};
use super::{replay, restored, retention};
use crate::config::{Config, ConfigSources};
use crate::system::check_schema;

/// The arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Print JSON, for machines.
    #[arg(long)]
    json: bool,
    /// Exit with 1 also when no projector lives, so that nothing is applied.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs the command. The exit status is 1 when a log cannot be applied past an event; with `--check` also when no
/// projector lives.
pub async fn run(options: StatusArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let sources = ConfigSources::of_process(config);
    options.database.run(sources, EndsAt::FirstSignal, async |config| show(&options, config).await).await
}

async fn show(options: &StatusArgs, config: Config) -> anyhow::Result<ExitCode> {
    let database = DatabaseConfig { max_connections: 1, ..config.database };
    let admin = connect(&database, DatabaseRole::Admin).await?;
    check_schema(&admin).await?;
    let logs = projections::status(&admin).await.context("cannot read the state of the projections")?;
    let projectors = projections::projectors(&admin).await.context("cannot read who the projectors are")?;
    let names = workspace_names(&admin).await?;
    let generations = generations(&admin).await.context("cannot read the generations of the logs")?;
    let epochs = projections::epochs(&admin).await.context("cannot read the epochs")?;
    let verifications =
        projections::last_verified(&admin).await.context("cannot read when the rows were last verified")?;
    let kept = projections::retention::list(&admin).await.context("cannot read what is kept")?;

    let all_go_on = logs.iter().all(|log| log.stopped.is_none());
    let is_followed = !options.check || projectors.iter().any(|projector| projector.is_living);
    let exit = if all_go_on && is_followed { ExitCode::SUCCESS } else { ExitCode::FAILURE };

    let mut out = std::io::stdout().lock();
    let now = SystemClock.now();
    if options.json {
        let parked = projections::parked::list(&admin).await.context("cannot read what is parked")?;
        let newest = generations.last().map_or(0, |newest| newest.number);
        let report = json::StatusReport {
            generations: &generations,
            generation_heads: &generation_heads(&admin, newest).await?,
            logs: &logs,
            names: &names,
            projectors: &projectors,
            epochs: &epochs,
            verified: &verifications,
            parked: &parked,
            retention: &kept,
        };
        serde_json::to_writer_pretty(&mut out, &json::Status::new(&report, now))?;
        writeln!(out)?;
        return Ok(exit);
    }
    writeln!(out, "{}", table(&logs, &names, now))?;
    if projectors.is_empty() {
        writeln!(out, "no projector runs: nothing is applied")?;
    } else {
        writeln!(out, "{}", projector_table(&projectors, now))?;
    }
    if let Some(newest) = generations.last() {
        writeln!(out, "{}", restored::describe(newest, now))?;
    }
    for log in &logs {
        if let Some(stop) = &log.stopped {
            let name = names.get(&log.workspace).map_or("?", String::as_str);
            writeln!(out, "{name}: {} stopped at position {}: {}", log.projection, stop.position, stop.reason)?;
        }
    }
    for log in logs.iter().filter(|log| log.parked.parts > 0) {
        let name = names.get(&log.workspace).map_or("?", String::as_str);
        let Parked { parts, events } = log.parked;
        writeln!(
            out,
            "{name}: {} holds back {events} events in {parts} parts: `highwater parked list` says why",
            log.projection
        )?;
    }
    for line in epochs.iter().filter_map(replay::build) {
        writeln!(out, "{line}")?;
    }
    for last in &verifications {
        writeln!(out, "{}", verified(last, now))?;
    }
    for kept in &kept {
        if let Some(before) = kept.before {
            let (table, from) = (&kept.table, retention::month(before));
            writeln!(out, "{}: {table} keeps rows from {from} on: {}", kept.projection, retention::standing(kept))?;
        }
    }
    Ok(exit)
}

fn table(logs: &[LogStatus], names: &HashMap<i32, String>, now: DateTime<Utc>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["workspace", "projection", "epoch", "head", "checkpoint", "lag", "oldest unapplied", "state"]);
    for column in [2, 3, 4, 5] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for log in logs {
        table.add_row([
            names.get(&log.workspace).cloned().unwrap_or_else(|| log.workspace.to_string()),
            log.projection.clone(),
            log.epoch.map_or_else(|| "-".to_owned(), |epoch| epoch.to_string()),
            log.head.to_string(),
            log.checkpoint.to_string(),
            log.lag_events.to_string(),
            log.oldest_unapplied.map_or_else(|| "-".to_owned(), |recorded_at| age(now - recorded_at)),
            state(log).to_owned(),
        ]);
    }
    table
}

fn state(log: &LogStatus) -> &'static str {
    match (&log.stopped, log.epoch, log.lag_events) {
        (Some(_), ..) => "stopped",
        (None, None, _) => "not followed yet",
        (None, Some(_), 0) => "caught up",
        (None, Some(_), _) => "behind",
    }
}

fn projector_table(projectors: &[ProjectorStatus], now: DateTime<Utc>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["projector", "runs for", "logs", "state"]);
    if let Some(logs) = table.column_mut(2) {
        logs.set_cell_alignment(CellAlignment::Right);
    }
    for projector in projectors {
        let logs: Vec<String> = projector.logs.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let silent_for = TimeDelta::from_std(projector.silent_for).unwrap_or_default();
        let state =
            if projector.is_living { "living".to_owned() } else { format!("not heard of for {}", age(silent_for)) };
        table.add_row([projector.name.clone(), age(now - projector.started_at), logs.join(", "), state]);
    }
    table
}

/// When the rows of a projection were last verified.
fn verified(last: &LastVerified, now: DateTime<Utc>) -> String {
    let LastVerified { projection, sampled, passed_at, differences, problems } = last;
    let what = if *sampled { "a sample of every workspace" } else { "every workspace" };
    let since = age(now - *passed_at);
    let suffix = match (differences, problems) {
        (0, 0) => String::new(),
        (0, problems) => format!("; {problems} workspaces could not be verified the last time"),
        (rows, _) => format!("; {rows} rows differed the last time"),
    };
    format!("{projection}: {what} was proved equal to a rebuild within the last {since}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_checkpoint_is_shown_as_fully_behind() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let log = LogStatus {
            workspace: 1,
            projection: "campaign_model".to_owned(),
            epoch: None,
            head: 7,
            checkpoint: 0,
            lag_events: 7,
            oldest_unapplied: Some(now - TimeDelta::seconds(90)),
            stopped: None,
            parked: Parked::default(),
        };
        let shown = table(&[log], &HashMap::from([(1, "demo".to_owned())]), now).to_string();
        for cell in ["demo", "campaign_model", "7", "1 min 30 s", "not followed yet"] {
            assert!(shown.contains(cell), "{shown}");
        }
    }

    #[test]
    fn shows_how_long_a_projector_is_silent() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let living = ProjectorStatus {
            projector: uuid::Uuid::nil(),
            name: "here pid 7".to_owned(),
            started_at: now - TimeDelta::seconds(3_600),
            renewed_at: now,
            silent_for: std::time::Duration::ZERO,
            is_living: true,
            follows: vec!["campaign_model 1".to_owned()],
            logs: vec![("campaign_model", 12)],
        };
        let silent = std::time::Duration::from_secs(75);
        let lost =
            ProjectorStatus { name: "there pid 8".to_owned(), is_living: false, silent_for: silent, ..living.clone() };
        let shown = projector_table(&[living.clone(), lost], now).to_string();
        for cell in
            ["here pid 7", "1 h 0 min", "campaign_model 12", "living", "there pid 8", "not heard of for 1 min 15 s"]
        {
            assert!(shown.contains(cell), "{cell} in {shown}");
        }
    }
}
