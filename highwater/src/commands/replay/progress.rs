//! Progress of a replay: a bar on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use projections::ReplayProgress;

/// How often a line is written without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The progress as a bar on a terminal, or a line now and then elsewhere.
pub(super) struct ReplayProgressView {
    pub(super) started: Instant,
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl ReplayProgressView {
    pub(super) fn new() -> Self {
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

    pub(super) fn tell(&self, progress: ReplayProgress) {
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
            // If stderr is closed, there is nowhere to write.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The rate, the remaining time, and how many workspaces have switched.
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
