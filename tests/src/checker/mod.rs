//! Decides whether a history is consistent with the promises of the system. Pure: it uses the answers to clients, the
//! log and the read tables.

mod campaigns; // campaigns after commands
mod corrections; // corrections of observations
mod facts; // history and log, joined
mod items; // batches of observations
mod log; // positions and versions
mod order; // the order of acknowledged requests
mod receipts; // receipts
mod statements; // statements
mod tables; // the read tables
#[cfg(test)]
mod tests;

use std::fmt;

use crate::evidence::Evidence;
use crate::history::History;
use facts::Facts;

/// A rule that every history keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Positions are 1, 2, 3, … up to the head.
    Contiguous,
    /// Versions of a stream are 1, 2, 3, … in the order of positions.
    Versions,
    /// An acknowledged event is in the log.
    AcknowledgedIsDurable,
    /// Nothing is in the log twice.
    NoDuplicates,
    /// A refused request wrote nothing.
    Refused,
    /// The log contains only what was requested, unchanged.
    NoUnrequestedWrites,
    /// The same key always gets the same answer.
    Receipt,
    /// A campaign has the answered version, and was changed only at the expected version.
    Campaign,
    /// A request that was answered before another was sent precedes it in the log.
    Order,
    /// An item is a duplicate, in conflict or rejected only for a valid reason.
    ItemOutcomeIsJustified,
    /// A correction is the exact difference from the value before it.
    Correction,
    /// The newest statement wins.
    NewestStatementWins,
    /// The read tables equal the sums of the log, and the sums of the answers.
    Tables,
    /// An answer is possible for its request.
    Answer,
}

/// A violation of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The place and the difference.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.detail)
    }
}

/// Finds all violations.
pub fn check(history: &History, evidence: &Evidence) -> Vec<Violation> {
    let facts = Facts::of(history, evidence);
    let mut findings = Findings::default();
    log::check(&facts, &mut findings);
    facts.unrequested(&mut findings);
    campaigns::check(&facts, &mut findings);
    items::check(&facts, &mut findings);
    corrections::check(&facts, &mut findings);
    statements::check(&facts, &mut findings);
    receipts::check(&facts, &mut findings);
    order::check(&facts, &mut findings);
    tables::check(&facts, &mut findings);
    findings.0
}

/// The violations found so far.
#[derive(Debug, Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, rule: Rule, detail: impl Into<String>) {
        self.0.push(Violation { rule, detail: detail.into() });
    }
}
