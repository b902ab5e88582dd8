//! Progress of an import: a bar on a terminal, a line for each phase elsewhere.

use std::io::{IsTerminal, Write as _};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// Shows the phases of the work one after the other, on stderr.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    terminal: bool,
}

impl Default for Progress {
    /// The state before the first phase.
    fn default() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style = ProgressStyle::with_template("{prefix:>10} [{bar:40}] {human_pos}/{human_len} {rate} {eta}");
        if let Ok(style) = style {
            let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                // A failure to draw the bar is no reason to stop.
                let _ = write!(out, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
        }
        Self { bar, terminal }
    }
}

impl Progress {
    /// Begins the next phase, of this length.
    pub fn phase(&self, name: &'static str, length: u64) {
        self.bar.reset();
        self.bar.set_length(length);
        self.bar.set_prefix(name);
        if !self.terminal {
            self.say(&format!("{name}: {length}{}", if name == "reading" { " bytes" } else { "" }));
        }
    }

    /// Sets the progress of the phase.
    pub fn at(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Adds to the progress of the phase.
    pub fn step(&self, more: u64) {
        self.bar.inc(more);
    }

    /// Prints a permanent line.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| {
            // If stderr is closed, there is nowhere to write.
            let _ = writeln!(std::io::stderr(), "{line}");
        });
    }

    /// Ends the last phase.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
