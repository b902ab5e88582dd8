//! What an import came to, for people.

use std::fmt::Write as _;

use domain::measure::Unit;

use super::facts::SourceFacts;
use super::judge::{BadLine, Verdict};
use super::totals::written;
use std::collections::BTreeMap;

/// How many refused lines are named.
const NAMED: usize = 50;

/// What an import came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// The name of the file, which begins what is said of a line.
    file: String,
    /// The lines that were refused here or by the server, as far as they are named.
    named: Vec<String>,
    refused: u64,
    /// Sources that were created.
    pub sources_created: usize,
    /// Campaigns that were created.
    pub campaigns_created: usize,
    /// Statements that changed something.
    pub accepted: u64,
    /// Statements that said what was known.
    pub unchanged: u64,
    /// Statements that the server did not take.
    pub rejected: u64,
    /// Values that were taken back.
    pub retracted: u64,
    /// Whether anything was sent.
    pub was_sent: bool,
}

impl Summary {
    /// Nothing yet, of the file of this name.
    pub fn of(file: String) -> Self {
        Self { file, ..Self::default() }
    }

    /// Notes lines that are refused.
    pub fn report(&mut self, lines: Vec<BadLine>) {
        for bad in lines {
            self.refused += 1;
            if self.named.len() < NAMED {
                self.named.push(format!("{}: {bad}", self.file));
            }
        }
    }

    /// Whether a line was not sent or not taken.
    pub fn has_refused(&self) -> bool {
        self.refused > 0
    }

    /// The lines that were refused, to be said once.
    pub fn take_named(&mut self) -> Vec<String> {
        std::mem::take(&mut self.named)
    }

    /// The lines that were refused beyond those that are named.
    pub fn unnamed(&self) -> u64 {
        self.refused.saturating_sub(NAMED as u64)
    }

    /// The summary as text.
    pub fn text(&self, verdict: &Verdict, replaces: bool, seconds: f64) -> String {
        let mut out = String::new();
        let Verdict { rows, left_out, silent, added, mended, rounded, sources, refused, .. } = verdict;
        let bad = refused.len();
        let mut line = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        line(format!("rows: {rows} ({bad} not sent, {silent} that state nothing)"));
        for (count, what) in [
            (*left_out, "lines left out, blank or of totals"),
            (*added, "rows added to an earlier one"),
            (*mended, "names mended, of line breaks or control characters"),
            (*rounded, "values rounded to six decimal places"),
        ] {
            if count > 0 {
                line(format!("{what}: {count}"));
            }
        }
        if self.was_sent {
            line(format!("sources: {} ({} created)", sources.len(), self.sources_created));
            line(format!("campaigns: {} ({} created)", verdict.used_campaigns().len(), self.campaigns_created));
            let Self { accepted, unchanged, rejected, .. } = self;
            line(format!("statements: {accepted} accepted, {unchanged} unchanged, {rejected} rejected"));
            if replaces {
                line(format!("values taken back: {}", self.retracted));
            }
        } else {
            line("nothing was sent".to_owned());
        }
        for share in verdict.totals.shares() {
            line(format!("left out: {share}"));
        }
        line(format!("seconds: {seconds:.1}"));
        out
    }
}

/// What would be sent: totals by source and measure.
pub fn preview(verdict: &Verdict, facts: &BTreeMap<String, SourceFacts>) -> String {
    let mut out = String::new();
    let days = verdict.items.iter().map(|item| item.day);
    let (first, last) = (days.clone().min(), days.max());
    let range = first.zip(last).map(|(first, last)| format!(", {first} to {last}")).unwrap_or_default();
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{} statements of {} campaigns{range}", verdict.items.len(), verdict.used_campaigns().len());
    for (source, measure, sum) in verdict.totals.iter().filter(|(source, ..)| !source.is_empty()) {
        let currency = facts.get(source).filter(|_| measure.unit() == Unit::Money);
        let currency = currency.map(|facts| format!(" {}", facts.currency)).unwrap_or_default();
        let _ = writeln!(out, "  {source}  {measure}  {}{currency}", written(measure, sum.told));
    }
    out
}
