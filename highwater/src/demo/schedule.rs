//! When a source says what of its runs. Runs follow the quarters of an hour.

use chrono::{DateTime, TimeDelta, Utc};

use super::scenario::{DemoSource, SyncPattern};
use super::volume::chance;

/// The length of what one run covers.
const QUARTER_S: i64 = 900;

/// Something that a source says of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledMessage {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub said: MessageKind,
}

/// What can be said of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageKind {
    /// It started.
    Started,
    /// It ended well, and everything before this quarter's end is there.
    Completed { quarter_end: DateTime<Utc> },
    /// It failed.
    Failed { reason: &'static str },
}

/// What a source says after `after`, up to and including `until`, oldest first.
pub fn messages_between(source: &DemoSource, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<ScheduledMessage> {
    // The words about one quarter end before the next one does, so one quarter more on the left is enough.
    let mut quarter = after.timestamp().div_euclid(QUARTER_S) * QUARTER_S - QUARTER_S;
    let mut words = Vec::new();
    while quarter <= until.timestamp() {
        if let Some(quarter_end) = DateTime::from_timestamp(quarter, 0) {
            words.extend(run(source, quarter_end));
        }
        quarter += QUARTER_S;
    }
    words.retain(|word| word.at > after && word.at <= until);
    words.sort_by_key(|word| word.at);
    words
}

/// What a source says of the quarter that ends at `quarter_end`.
fn run(source: &DemoSource, quarter_end: DateTime<Utc>) -> Vec<ScheduledMessage> {
    let word = |seconds, said| ScheduledMessage { at: quarter_end + TimeDelta::seconds(seconds), said };
    let completed = || MessageKind::Completed { quarter_end };
    let trouble = chance(&[source.name, "run"], quarter_end.timestamp() / QUARTER_S).is_multiple_of(2);
    match source.habit {
        SyncPattern::OftenLate if trouble => vec![word(600, MessageKind::Started), word(720, completed())],
        SyncPattern::SometimesFails if trouble => vec![
            word(15, MessageKind::Started),
            word(40, MessageKind::Failed { reason: "the network's report endpoint answered 502" }),
            word(400, MessageKind::Started),
            word(430, completed()),
        ],
        SyncPattern::Punctual | SyncPattern::OftenLate | SyncPattern::SometimesFails => {
            vec![word(15, MessageKind::Started), word(30, completed())]
        }
    }
}
