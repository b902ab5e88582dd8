//! `highwater verify`: compares the live rows of a projection with a rebuild from the log, row by row.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};
use event_store::{find_workspace, workspace_names};
use futures_util::StreamExt;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use platform::clock::SystemClock;
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use platform::lifecycle::signals;
use platform::telemetry;
use projections::parked::ParkedPart;
use projections::{
    Cell, Difference, Problem, ReplayProgress, RowDifference, Sample, Verification, VerifyObserver, VerifyRequest,
    verify,
};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::database::{DatabaseArgs, EndsAt, INTERRUPTED};
use super::parked;
use crate::config::{Config, ConfigSources};

/// The arguments of `verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The projection.
    #[arg(default_value = projections::CAMPAIGN_MODEL.name)]
    projection: String,
    /// Only this workspace; can be given several times.
    #[arg(long = "workspace", value_name = "NAME")]
    workspaces: Vec<String>,
    /// Compare only so many campaigns of each workspace, and what belongs to no campaign.
    #[arg(long, value_name = "CAMPAIGNS", value_parser = clap::value_parser!(u32).range(1..))]
    sample: Option<u32>,
    /// Which campaigns a sample has. The one that was taken is printed; taken again, it gives the same campaigns.
    #[arg(long, requires = "sample")]
    seed: Option<i64>,
    /// How many differences are printed; all are counted. 0: all are printed.
    #[arg(long, value_name = "ROWS", default_value_t = 50)]
    limit: u64,
    /// For programs: a line of JSON for each difference, and one with the summary.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The exit status if rows differ.
const DIFFERENT: u8 = 1;
/// The exit status if some rows could not be verified, and all others are equal.
const UNVERIFIED: u8 = 2;

/// Runs the command. The exit status is 0 if the rows are equal, 1 if some differ, 2 if it could not be found out.
pub async fn run(options: VerifyArgs, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let sources = ConfigSources::of_process(config).default_to("telemetry.filter", "warn");
    let compared =
        options.database.run(sources, EndsAt::SecondSignal, async |config| compare(&options, config).await).await;
    match compared {
        Ok(code) => Ok(code),
        Err(error) => {
            // Not 1, which means that rows differ. If stderr is closed, there is nowhere to write.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            Ok(ExitCode::from(UNVERIFIED))
        }
    }
}

async fn compare(options: &VerifyArgs, config: Config) -> anyhow::Result<ExitCode> {
    telemetry::init(&config.telemetry)?;
    // The rebuild and the comparison are long statements, which the server must not cancel.
    let database = DatabaseConfig { statement_timeout_ms: 0, ..config.database.clone() };
    let admin = connect(&DatabaseConfig { max_connections: 1, ..database.clone() }, DatabaseRole::Admin).await?;
    let names = workspace_names(&admin).await?;
    let request = request(options, &config, &admin).await?;
    let pool = connect(&database, DatabaseRole::Projector).await?;
    let mut stops = signals()?;
    let shutdown = CancellationToken::new();
    let shown = VerifyProgressView::new(options, request.sample, &names);

    let watch = VerifyObserver {
        progress: &|progress| shown.progress(progress),
        difference: &|difference| shown.difference(difference),
    };
    let clock = SystemClock::shared();
    let work = verify(&pool, &options.projection, &request, &clock, watch, shutdown.clone());
    tokio::pin!(work);
    let verified = tokio::select! {
        verified = &mut work => verified,
        _ = stops.next() => {
            shutdown.cancel();
            tokio::select! {
                verified = &mut work => verified,
                _ = stops.next() => return Ok(ExitCode::from(INTERRUPTED)),
            }
        }
    };
    shown.clear();
    // The server may be stopped next, which would end the sessions of an open pool with an error.
    pool.close().await;
    let verified = verified?;
    let outcome = Outcome::of(&verified.workspaces, verified.interrupted);
    shown.summary(&verified.workspaces, outcome)?;
    Ok(ExitCode::from(outcome.code()))
}

async fn request(options: &VerifyArgs, config: &Config, admin: &PgPool) -> anyhow::Result<VerifyRequest> {
    let mut workspaces = Vec::new();
    for name in &options.workspaces {
        match find_workspace(admin, name).await.context("cannot look up workspaces")? {
            Some(found) => workspaces.push(found.id),
            None => bail!("there is no workspace `{name}`"),
        }
    }
    let sample = options.sample.map(|campaigns| {
        let seed = options.seed.unwrap_or_else(|| i64::from(rand::random::<u32>()));
        Sample { campaigns, seed }
    });
    Ok(VerifyRequest { workspaces, sample, memory: config.projector.replay_memory() })
}

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Equal,
    Different,
    Unverified,
    Interrupted,
}

impl Outcome {
    /// A difference counts, whatever else happened.
    fn of(workspaces: &[Verification], interrupted: bool) -> Self {
        if workspaces.iter().any(|workspace| workspace.differences() > 0) {
            Self::Different
        } else if interrupted {
            Self::Interrupted
        } else if workspaces.iter().any(|workspace| workspace.problem.is_some()) {
            Self::Unverified
        } else {
            Self::Equal
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Equal => 0,
            Self::Different => DIFFERENT,
            Self::Unverified => UNVERIFIED,
            Self::Interrupted => INTERRUPTED,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Different => "different",
            Self::Unverified => "unverified",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The output of a run: findings on stdout, progress on a terminal only.
struct VerifyProgressView<'a> {
    options: &'a VerifyArgs,
    sample: Option<Sample>,
    names: &'a HashMap<i32, String>,
    bar: Option<ProgressBar>,
    found: AtomicU64,
}

impl<'a> VerifyProgressView<'a> {
    fn new(options: &'a VerifyArgs, sample: Option<Sample>, names: &'a HashMap<i32, String>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("[{bar:40}] {human_pos}/{human_len} events rebuilt, {msg}");
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { options, sample, names, bar, found: AtomicU64::new(0) }
    }

    fn name(&self, workspace: i32) -> String {
        self.names.get(&workspace).cloned().unwrap_or_else(|| workspace.to_string())
    }

    fn progress(&self, progress: ReplayProgress) {
        let Some(bar) = &self.bar else { return };
        bar.set_length(u64::try_from(progress.events_total).unwrap_or_default());
        bar.set_position(u64::try_from(progress.events_done).unwrap_or_default());
        bar.set_message(format!("{} of {} workspaces compared", progress.workspaces_done, progress.workspaces));
    }

    fn difference(&self, difference: &Difference) {
        let before = self.found.fetch_add(1, Ordering::Relaxed);
        if self.options.limit > 0 && before >= self.options.limit {
            return;
        }
        let name = self.name(difference.workspace);
        let line =
            if self.options.json { as_json(&name, difference).to_string() } else { format!("{name}: {difference}") };
        let print = || {
            // A closed stdout loses the line; the exit status still shows the result.
            let _ = writeln!(std::io::stdout(), "{line}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn summary(&self, workspaces: &[Verification], outcome: Outcome) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.options.json {
            let summary = json!({
                "kind": "summary",
                "projection": self.options.projection,
                "outcome": outcome.name(),
                "seed": self.sample.map(|sample| sample.seed),
                "differences": workspaces.iter().map(Verification::differences).sum::<u64>(),
                "rows": workspaces.iter().map(Verification::rows).sum::<u64>(),
                "workspaces": workspaces.iter().map(|one| self.workspace_as_json(one)).collect::<Vec<_>>(),
            });
            writeln!(out, "{summary}")?;
            return Ok(());
        }
        let (found, printed) = (self.found.load(Ordering::Relaxed), self.options.limit);
        if printed > 0 && found > printed {
            writeln!(out, "… and {} more; --limit says how many are printed", HumanCount(found - printed))?;
        }
        if let Some(Sample { campaigns, seed }) = self.sample {
            writeln!(out, "a sample of {campaigns} campaigns of each workspace, by --seed {seed}")?;
        }
        for one in workspaces {
            self.summarise(one, &mut out)?;
        }
        match outcome {
            Outcome::Interrupted => writeln!(out, "{}: interrupted", self.options.projection)?,
            Outcome::Equal | Outcome::Different | Outcome::Unverified => {
                writeln!(out, "{}: {}", self.options.projection, outcome.name())?;
            }
        }
        Ok(())
    }

    fn summarise(&self, one: &Verification, out: &mut impl std::io::Write) -> anyhow::Result<()> {
        let name = self.name(one.workspace);
        let differing: Vec<String> = one
            .tables
            .iter()
            .filter(|table| table.differences > 0)
            .map(|table| format!("{} of {} in {}", table.differences, table.rows, table.table))
            .collect();
        if !one.tables.is_empty() {
            let found = if differing.is_empty() { "no difference".to_owned() } else { differing.join(", ") };
            writeln!(out, "{name}: {} rows at position {}: {found}", one.rows(), one.position)?;
        }
        let printed = if self.options.limit > 0 { usize::try_from(self.options.limit)? } else { usize::MAX };
        for part in one.parked.iter().take(printed) {
            let title = parked::title(part, self.names);
            writeln!(out, "{title}: parked, {} events wait: {}", part.waiting, part.reason)?;
        }
        if one.parked.len() > printed {
            let more = one.parked.len() - printed;
            writeln!(out, "{name}: … and {more} more are parked: `highwater parked list` shows them")?;
        }
        if let Some(problem) = &one.problem {
            writeln!(out, "{name}: not verified to its end: {}", problem.full_text())?;
        }
        Ok(())
    }

    fn workspace_as_json(&self, one: &Verification) -> Value {
        let tables: Map<String, Value> = one
            .tables
            .iter()
            .map(|table| (table.table.to_owned(), json!({ "rows": table.rows, "differences": table.differences })))
            .collect();
        json!({
            "workspace": self.name(one.workspace),
            "epoch": one.epoch,
            "position": one.position,
            "differences": one.differences(),
            "parked": one.parked.iter().map(part_as_json).collect::<Vec<_>>(),
            "problem": one.problem.as_ref().map(Problem::full_text),
            "tables": tables,
        })
    }
}

fn as_json(workspace: &str, difference: &Difference) -> Value {
    let cells = |cells: &[Cell]| -> Map<String, Value> {
        cells.iter().map(|cell| (cell.column.clone(), json!(cell.value))).collect()
    };
    let (kind, columns) = match &difference.row {
        RowDifference::Changed(columns) => {
            let both = |live: &Option<String>, rebuilt: &Option<String>| json!({ "live": live, "rebuilt": rebuilt });
            let columns: Map<String, Value> =
                columns.iter().map(|column| (column.column.clone(), both(&column.live, &column.rebuilt))).collect();
            ("changed", columns)
        }
        RowDifference::Missing(rest) => ("missing", cells(rest)),
        RowDifference::Extra(rest) => ("extra", cells(rest)),
    };
    json!({
        "kind": kind,
        "workspace": workspace,
        "table": difference.table,
        "key": cells(&difference.key),
        "columns": columns,
    })
}

fn part_as_json(part: &ParkedPart) -> Value {
    json!({
        "stream_type": part.stream_type,
        "stream_id": part.stream_id,
        "campaign_id": part.campaign_id,
        "position": part.position,
        "waiting": part.waiting,
        "reason": part.reason,
    })
}
