//! Records a history while many clients run.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{Attempt, History, Operation, Outcome, Request};

/// The recorder of a history. Clones record the same one.
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

/// The number of attempts by outcome so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) done: u64,
    pub(crate) unknown: u64,
}

/// A started attempt.
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

    /// Records a request before it is sent, and returns its number.
    pub fn add_request(&self, key: Option<String>, operation: Operation) -> usize {
        self.write(|written| {
            written.history.requests.push(Request { key, operation, attempts: Vec::new() });
            written.history.requests.len() - 1
        })
    }

    /// Records the start of an attempt. Its outcome is unknown until it is answered.
    pub fn begin(&self, request: usize) -> Trace {
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

    /// Records the end of an attempt.
    pub fn end(&self, request: usize, trace: &Trace, outcome: Outcome) {
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

    /// The history so far.
    pub fn history(&self) -> History {
        self.write(|written| written.history.clone())
    }

    pub(crate) fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }
}
