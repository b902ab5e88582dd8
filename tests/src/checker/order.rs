//! Checks of the order: a request that was acknowledged before another was sent precedes it in the log.

use super::facts::Facts;
use super::{Findings, Rule};
use crate::history::{Attempt, Reply, Request};

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings) {
    let mut done: Vec<(&Request, &Attempt, &Reply)> = facts
        .history
        .requests
        .iter()
        .flat_map(|request| request.done().map(move |(attempt, reply)| (request, attempt, reply)))
        .filter(|(_, _, reply)| !reply.replayed)
        .collect();
    let mut by_end: Vec<(u64, i64)> = done.iter().map(|(_, attempt, reply)| (attempt.ended, reply.position)).collect();
    by_end.sort_unstable();
    done.sort_unstable_by_key(|(_, attempt, _)| attempt.began);

    let (mut ended, mut covered) = (by_end.into_iter().peekable(), 0);
    for (request, attempt, reply) in done {
        while let Some((_, position)) = ended.next_if(|(end, _)| *end < attempt.began) {
            covered = covered.max(position);
        }
        let wrote = !facts.written_by(attempt).is_empty();
        if reply.position < covered + i64::from(wrote) {
            let position = reply.position;
            let detail =
                format!("at {position} although {covered} was answered before it was sent: {}", request.name());
            findings.add(Rule::Order, detail);
        }
    }
}
