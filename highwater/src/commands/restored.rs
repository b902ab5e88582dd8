//! `highwater restored`: an operator says that the database was put back to an earlier state, and sees where the logs
//! stand. No answer rests on it; it is for people and for what leaves the building.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table};
use event_store::{
    Generation, GenerationCause, GenerationHead, declare_generation, generation_heads, generations, workspace_names,
};
use platform::clock::{Clock, SystemClock};
use platform::database::{DatabaseConfig, DatabaseRole, connect};

use super::age::age;
use super::database::{DatabaseArgs, EndsAt};
use crate::config::{Config, ConfigSources};
use crate::system;

/// The arguments of `restored`.
#[derive(Debug, clap::Args)]
pub struct RestoredArgs {
    /// What happened, for whoever reads `highwater status` later.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Runs the command.
pub async fn run(args: RestoredArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let RestoredArgs { note, database } = args;
    let sources = ConfigSources::of_process(config);
    database.run(sources, EndsAt::FirstSignal, async |config| declare(note.as_deref(), config).await).await
}

async fn declare(note: Option<&str>, config: Config) -> anyhow::Result<ExitCode> {
    let admin = connect(&DatabaseConfig { max_connections: 1, ..config.database }, DatabaseRole::Admin).await?;
    system::check_schema(&admin).await?;
    let now = SystemClock.now();
    declare_generation(&admin, now, note).await.context("the generation was not declared")?;
    let newest = generations(&admin).await?.pop().context("no generation is known")?;
    let heads = generation_heads(&admin, newest.number).await?;
    let names = workspace_names(&admin).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", describe(&newest, now))?;
    writeln!(out, "{}", table(&heads, &names))?;
    writeln!(out, "What was accepted after that is not in these logs. Its senders must send it again.")?;
    Ok(ExitCode::SUCCESS)
}

fn table(heads: &HashMap<i32, GenerationHead>, names: &HashMap<i32, String>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(["workspace", "last position", "recorded at"]);
    if let Some(position) = table.column_mut(1) {
        position.set_cell_alignment(CellAlignment::Right);
    }
    let mut workspaces: Vec<_> = heads.iter().collect();
    workspaces.sort_by_key(|(workspace, _)| **workspace);
    for (workspace, head) in workspaces {
        table.add_row([
            names.get(workspace).cloned().unwrap_or_else(|| workspace.to_string()),
            head.position.to_string(),
            head.recorded_at.map_or_else(|| "-".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        ]);
    }
    table
}

/// A generation in one line.
pub(super) fn describe(generation: &Generation, now: DateTime<Utc>) -> String {
    let Generation { number, began_at, cause, note, timeline, .. } = generation;
    let cause = match cause {
        GenerationCause::First => "the first that was noted".to_owned(),
        GenerationCause::OtherDatabase => "restored into another cluster or database".to_owned(),
        GenerationCause::OtherTimeline => {
            format!("recovered to a point in time, or a standby was promoted (timeline {timeline})")
        }
        GenerationCause::Declared => "declared by an operator".to_owned(),
    };
    let note = note.as_deref().map(|note| format!(": {note}")).unwrap_or_default();
    format!("generation {number} of the logs, for {}: {cause}{note}", age((now - *began_at).max(TimeDelta::zero())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_how_a_generation_began() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let promoted = Generation {
            number: 3,
            began_at: now - TimeDelta::seconds(75),
            cause: GenerationCause::OtherTimeline,
            note: None,
            system_identifier: 7,
            timeline: 2,
        };
        assert_eq!(
            describe(&promoted, now),
            "generation 3 of the logs, for 1 min 15 s: recovered to a point in time, or a standby was promoted \
             (timeline 2)"
        );
        let declared =
            Generation { cause: GenerationCause::Declared, note: Some("the copy of Monday".to_owned()), ..promoted };
        assert!(describe(&declared, now).ends_with("declared by an operator: the copy of Monday"));
    }
}
