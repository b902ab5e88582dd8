//! What an import of observations came to, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::chunks::Chunk;
use super::records::{NAMED, RefusedLines};
use crate::client::ApiResponse;

/// What an import came to.
#[derive(Debug, Default)]
pub(super) struct Report {
    file: String,
    is_backfill: bool,
    /// The lines that were not taken, as far as they are named.
    named: Vec<String>,
    /// Observations that were sent.
    sent: u64,
    /// Lines that could not be sent.
    unsent: u64,
    chunks: u64,
    /// Chunks that were recorded by an earlier run.
    repeated: u64,
    counts: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<String, u64>,
}

const COUNTS: [&str; 4] = ["accepted", "duplicates", "conflicts", "rejected"];

impl Report {
    pub(super) fn of(file: String, is_backfill: bool) -> Self {
        Self { file, is_backfill, ..Self::default() }
    }

    /// Adds the lines that could not be sent.
    pub(super) fn refused(&mut self, refused: RefusedLines) {
        self.unsent += refused.count;
        for (line, why) in refused.named {
            self.name(line, &why);
        }
    }

    /// Adds the answer to a chunk.
    pub(super) fn chunk(&mut self, chunk: &Chunk, answer: &ApiResponse) {
        self.chunks += 1;
        self.repeated += u64::from(self.is_backfill && answer.is_replayed);
        self.sent += chunk.lines.len() as u64;
        for name in COUNTS {
            *self.counts.entry(name).or_default() += answer.body[name].as_u64().unwrap_or_default();
        }
        for result in answer.body["results"].as_array().into_iter().flatten() {
            let word = |name: &str| result[name].as_str().unwrap_or_default();
            if word("status") == "duplicate" {
                continue;
            }
            *self.reasons.entry(word("reason").to_owned()).or_default() += 1;
            let line = result["index"].as_u64().and_then(|index| usize::try_from(index).ok());
            let line = line.and_then(|index| chunk.lines.get(index).copied()).unwrap_or_default();
            let why = ["reason", "field", "detail"].map(word).into_iter().filter(|word| !word.is_empty());
            self.name(line, &why.collect::<Vec<_>>().join(" "));
        }
    }

    fn name(&mut self, line: u64, why: &str) {
        if self.named.len() < NAMED {
            self.named.push(format!("{}: line {line}: {why}", self.file));
        }
    }

    fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// Whether a line was not sent or not taken.
    pub(super) fn has_refused(&self) -> bool {
        self.unsent + self.count("rejected") + self.count("conflicts") > 0
    }

    /// The lines that are named, to be said once.
    pub(super) fn take_named(&mut self) -> Vec<String> {
        let more = (self.unsent + self.reasons.values().sum::<u64>()).saturating_sub(self.named.len() as u64);
        let mut named = std::mem::take(&mut self.named);
        if more > 0 {
            named.push(format!("and {more} more lines"));
        }
        named
    }

    /// The summary as text.
    pub(super) fn text(&self, seconds: f64) -> String {
        let Self { sent, unsent, chunks, repeated, .. } = self;
        let counted = COUNTS.map(|name| format!("{} {name}", self.count(name))).join(", ");
        let mut out = format!("rows: {} ({unsent} not sent)\n", sent + unsent);
        // Writing to a text cannot fail.
        let _ = writeln!(out, "chunks: {chunks} ({repeated} recorded before)");
        let _ = writeln!(out, "observations: {counted}");
        for (reason, count) in &self.reasons {
            let _ = writeln!(out, "{reason}: {count}{}", remedy(reason, self.is_backfill));
        }
        let _ = writeln!(out, "seconds: {seconds:.1}");
        out
    }
}

/// What to do about a reason that the way of importing decides.
fn remedy(reason: &str, is_backfill: bool) -> &'static str {
    match (reason, is_backfill) {
        ("in_window", true) => " (import the file again without --backfill: these are taken, and older ones are not)",
        ("too_old", false) => {
            " (import the file again with --backfill NAME: these are taken, and younger ones are not)"
        }
        _ => "",
    }
}
