//! Writes a history down while many clients make it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{Attempt, History, Operation, Outcome, Request};

/// Where clients write down what they do. Clones write the same history.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    written: Arc<Mutex<Written>>,
    counts: watch::Sender<Counts>,
}

#[derive(Debug, Default)]
struct Written {
    history: History,
    tick: u64,
    traces: u64,
}

/// How many attempts came to what so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) done: u64,
    pub(crate) unknown: u64,
}

/// An attempt that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Its trace id: 32 hexadecimal digits.
    pub id: String,
    began: u64,
}

impl Recorder {
    fn write<T>(&self, with: impl FnOnce(&mut Written) -> T) -> T {
        with(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A request that is about to be sent; gives its number.
    pub fn asks(&self, key: Option<String>, asks: Operation) -> usize {
        self.write(|written| {
            written.history.requests.push(Request { key, asks, attempts: Vec::new() });
            written.history.requests.len() - 1
        })
    }

    /// An attempt begins. It is doubtful until it has an answer, also if its client never comes back.
    pub fn begins(&self, request: usize) -> Trace {
        self.write(|written| {
            written.tick += 1;
            written.traces += 1;
            let trace = Trace { id: format!("{:032x}", written.traces), began: written.tick };
            written.history.requests[request].attempts.push(Attempt {
                trace: trace.id.clone(),
                began: trace.began,
                ended: u64::MAX,
                outcome: Outcome::Unknown,
            });
            trace
        })
    }

    /// An attempt has ended.
    pub fn ends(&self, request: usize, trace: &Trace, outcome: Outcome) {
        let count: fn(&mut Counts) = match outcome {
            Outcome::Done(ref reply) if reply.is_whole() => |counts| counts.done += 1,
            Outcome::Refused(_) => |_| {},
            Outcome::Done(_) | Outcome::Unknown => |counts| counts.unknown += 1,
        };
        self.write(|written| {
            written.tick += 1;
            let tick = written.tick;
            let attempts = &mut written.history.requests[request].attempts;
            if let Some(attempt) = attempts.iter_mut().find(|attempt| attempt.trace == trace.id) {
                attempt.ended = tick;
                attempt.outcome = outcome;
            }
        });
        self.counts.send_modify(count);
    }

    /// What was written down so far.
    pub fn history(&self) -> History {
        self.write(|written| written.history.clone())
    }

    pub(crate) fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }
}
