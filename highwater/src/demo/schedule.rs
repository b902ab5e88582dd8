//! The schedule of a source's reports on its runs. Runs follow the quarters of an hour.

use chrono::{DateTime, TimeDelta, Utc};

use super::scenario::{DemoSource, SyncPattern};
use super::volume::chance;

/// The length of the period that one run covers.
const QUARTER_S: i64 = 900;

/// A report on a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledMessage {
    /// Its time.
    pub at: DateTime<Utc>,
    /// Its content.
    pub kind: MessageKind,
}

/// The content of a report on a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageKind {
    /// The run started.
    Started,
    /// The run ended well, and everything before this quarter's end is there.
    Completed { quarter_end: DateTime<Utc> },
    /// The run failed.
    Failed { reason: &'static str },
}

/// The reports of a source after `after`, up to and including `until`, oldest first.
pub fn messages_between(source: &DemoSource, after: DateTime<Utc>, until: DateTime<Utc>) -> Vec<ScheduledMessage> {
    // The reports on one quarter end before the next quarter does, so it is enough to begin one quarter earlier.
    let mut quarter = after.timestamp().div_euclid(QUARTER_S) * QUARTER_S - QUARTER_S;
    let mut words = Vec::new();
    while quarter <= until.timestamp() {
        if let Some(quarter_end) = DateTime::from_timestamp(quarter, 0) {
            words.extend(run(source, quarter_end));
        }
        quarter += QUARTER_S;
    }
    words.retain(|message| message.at > after && message.at <= until);
    words.sort_by_key(|message| message.at);
    words
}

/// The reports of a source on the quarter that ends at `quarter_end`.
fn run(source: &DemoSource, quarter_end: DateTime<Utc>) -> Vec<ScheduledMessage> {
    let message = |seconds, kind| ScheduledMessage { at: quarter_end + TimeDelta::seconds(seconds), kind };
    let completed = || MessageKind::Completed { quarter_end };
    let trouble = chance(&[source.name, "run"], quarter_end.timestamp() / QUARTER_S).is_multiple_of(2);
    match source.habit {
        SyncPattern::OftenLate if trouble => vec![message(600, MessageKind::Started), message(720, completed())],
        SyncPattern::SometimesFails if trouble => vec![
            message(15, MessageKind::Started),
            message(40, MessageKind::Failed { reason: "the network's report endpoint answered 502" }),
            message(400, MessageKind::Started),
            message(430, completed()),
        ],
        SyncPattern::Punctual | SyncPattern::OftenLate | SyncPattern::SometimesFails => {
            vec![message(15, MessageKind::Started), message(30, completed())]
        }
    }
}
