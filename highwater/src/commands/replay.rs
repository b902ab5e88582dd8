//! `highwater replay`: rebuilds a projection from the log, beside the live one, and switches to it.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use platform::config::DatabaseConfig;
use platform::database::{Part, connect};
use platform::lifecycle::signals;
use platform::telemetry;
use projections::{ReplayOutcome, ReplayProgress, replay};
use tokio_util::sync::CancellationToken;

use crate::config::Sources;

/// What `replay` is told.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The projection.
    #[arg(default_value = "campaign_model")]
    projection: String,
}

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// The exit status of what was interrupted, as shells have it for SIGINT.
const INTERRUPTED: u8 = 130;

/// Runs the command. Its bar and the log would write over each other, so only warnings are logged. The first Ctrl-C ends it where it can go on, the second at once.
pub async fn run(options: Options, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let config = Sources::of_process(config).default_to("telemetry.filter", "warn").load()?;
    telemetry::init(&config.telemetry)?;
    // A replay is one long statement after the other; the server must not cut them off.
    let database = DatabaseConfig { statement_timeout_ms: 0, ..config.database()?.clone() };
    let pool = connect(&database, Part::Projector).await?;
    let mut stops = signals()?;
    let shutdown = CancellationToken::new();
    let shown = Shown::new();

    let tell = |progress: ReplayProgress| shown.tell(progress);
    let work = replay(&pool, &options.projection, &tell, shutdown.clone());
    tokio::pin!(work);
    let outcome = tokio::select! {
        outcome = &mut work => outcome,
        _ = stops.next() => {
            shutdown.cancel();
            tokio::select! {
                outcome = &mut work => outcome,
                _ = stops.next() => return Ok(ExitCode::from(INTERRUPTED)),
            }
        }
    };
    shown.clear();
    let mut out = std::io::stdout().lock();
    match outcome? {
        ReplayOutcome::Completed { epoch, workspaces, events } => {
            let seconds = shown.started.elapsed().as_secs_f64();
            writeln!(out, "{}: every workspace now reads epoch {epoch}", options.projection)?;
            writeln!(out, "workspaces: {workspaces}\nevents: {events}\nseconds: {seconds:.1}")?;
            Ok(ExitCode::SUCCESS)
        }
        ReplayOutcome::Interrupted { epoch } => {
            writeln!(out, "{}: interrupted; the next replay goes on with epoch {epoch}", options.projection)?;
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// A bar on a terminal, a line now and then elsewhere.
struct Shown {
    started: Instant,
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Shown {
    fn new() -> Self {
        let started = Instant::now();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("[{bar:40}] {human_pos}/{human_len} events {msg}");
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { started, bar, last_line: Mutex::new(started) }
    }

    fn tell(&self, progress: ReplayProgress) {
        let done = u64::try_from(progress.events_done).unwrap_or_default();
        let total = u64::try_from(progress.events_total).unwrap_or_default();
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(rest(progress, total.saturating_sub(done)));
            return;
        }
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            let line = format!("{done} of {total} events {}", rest(progress, total.saturating_sub(done)));
            // Nobody is left to tell that stderr is gone.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The rate, the time that is left, and how many workspaces have switched.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate and a time for people to look at"
)]
fn rest(progress: ReplayProgress, left: u64) -> String {
    let rate = progress.events_per_second;
    let left = if rate >= 1.0 {
        format!("{} left", HumanDuration(Duration::from_secs((left as f64 / rate) as u64)))
    } else {
        "no rate yet".to_owned()
    };
    let switched = format!("{} of {} workspaces switched", progress.workspaces_done, progress.workspaces);
    format!("{}/s, {left}, {switched}", HumanCount(rate as u64))
}
