//! Decides whether a history can be true of a system that keeps its promises: pure, from what clients were answered and
//! what the log and the read tables hold.

mod campaigns; // what commands made of campaigns
mod corrections; // observations that take others back
mod facts; // history and log, joined
mod items; // what batches of observations were answered
mod log; // positions and versions
mod order; // what was answered first stands first
mod receipts; // the same key, the same answer
mod statements; // the last word
mod tables; // the totals
#[cfg(test)]
mod tests;

use std::fmt;

use crate::evidence::Evidence;
use crate::history::History;
use facts::Facts;

/// A promise that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Positions are 1, 2, 3, … up to the head.
    Contiguous,
    /// Versions of a stream are 1, 2, 3, … in the order of positions.
    Versions,
    /// What was acknowledged is in the log.
    AcknowledgedIsDurable,
    /// Nothing is in the log twice.
    NoDuplicates,
    /// What was refused is not in the log.
    Refused,
    /// The log holds only what was asked for, as it was asked.
    NoUnrequestedWrites,
    /// The same key is always given the same answer.
    Receipt,
    /// A campaign has the version that was answered, and was changed only at the version that was named.
    Campaign,
    /// What was answered before something else was asked stands before it in the log.
    Order,
    /// An item is a duplicate, in conflict or rejected only if it is.
    ItemOutcomeIsJustified,
    /// A correction is the exact difference to what held before it.
    Correction,
    /// The newest statement holds.
    NewestStatementWins,
    /// The read tables hold what the log, and what the answers, add up to.
    Tables,
    /// An answer is one that such a request can have.
    Answer,
}

/// A broken promise, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub rule: Rule,
    /// Where, and how.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.detail)
    }
}

/// Everything that is wrong.
pub fn check(history: &History, evidence: &Evidence) -> Vec<Violation> {
    let facts = Facts::of(history, evidence);
    let mut findings = Findings::default();
    log::check(&facts, &mut findings);
    facts.unasked(&mut findings);
    campaigns::check(&facts, &mut findings);
    items::check(&facts, &mut findings);
    corrections::check(&facts, &mut findings);
    statements::check(&facts, &mut findings);
    receipts::check(&facts, &mut findings);
    order::check(&facts, &mut findings);
    tables::check(&facts, &mut findings);
    findings.0
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, rule: Rule, detail: impl Into<String>) {
        self.0.push(Violation { rule, detail: detail.into() });
    }
}
