//! The source aggregate: one connector's feed, with the meaning of its numbers.
//!
//! 1. Its name is one line of 1 to 100 characters; surrounding white space is removed; `*`, `.` and `..` are invalid.
//! 2. Its expected delay is at most 31 days, its restatement horizon at most 400.
//! 3. It is registered once. The same definition again changes nothing, and another one is rejected, so that recorded
//!    numbers keep their zone, currency and role.

mod command;
mod cqrs_es;
mod decide;
mod error;
mod event;
mod state;
#[cfg(test)]
mod tests;

pub use command::SourceCommand;
pub use decide::{MAX_OBSERVATION_WINDOW_DAYS, check_name, decide, observation_window_s};
pub use error::SourceError;
pub use event::{SourceDefinition, SourceEvent, SourceKind, SourceRole};
pub use state::{Source, SourceDetails};

pub use crate::catalogue::SOURCE_STREAM as STREAM_TYPE;
