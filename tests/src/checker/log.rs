//! Checks of positions and versions: both have no gap, and they have the same order.

use std::collections::HashMap;

use super::facts::Facts;
use super::{Findings, Rule};

pub(super) fn check(facts: &Facts<'_>, findings: &mut Findings) {
    let mut expected = 1;
    for event in &facts.evidence.events {
        if event.position != expected {
            let detail = format!("after position {} comes {}", expected - 1, event.position);
            findings.add(Rule::Contiguous, detail);
        }
        expected = event.position + 1;
    }
    if facts.evidence.head != expected - 1 {
        let detail = format!("the head is {} but the last event is at {}", facts.evidence.head, expected - 1);
        findings.add(Rule::Contiguous, detail);
    }

    let mut versions: HashMap<&str, i64> = HashMap::new();
    for event in &facts.evidence.events {
        let version = versions.entry(&event.stream).or_default();
        *version += 1;
        if event.sequence != *version {
            let (stream, sequence, position) = (&event.stream, event.sequence, event.position);
            findings.add(Rule::Versions, format!("{stream} has version {sequence} instead of {version} at {position}"));
            *version = sequence;
        }
    }
}
