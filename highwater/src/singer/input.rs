//! What a tap wrote, from its first line to its last.

use std::collections::BTreeMap;

use serde_json::Value;
use thiserror::Error;

use super::mapping::TapMapping;
use super::message::{Message, MessageError};
use super::records::StreamRecords;

/// The most records that are held.
const MOST_RECORDS: usize = 5_000_000;

/// What a tap wrote so far.
#[derive(Debug)]
pub struct TapInput {
    mapping: TapMapping,
    /// The records of the mapped streams that began.
    pub streams: BTreeMap<String, StreamInput>,
    /// How many records of other streams were skipped.
    pub skipped: BTreeMap<String, u64>,
    /// The last state.
    pub state: Option<Value>,
    lines: u64,
    held: usize,
}

/// What a tap wrote of one stream.
#[derive(Debug, Default)]
pub struct StreamInput {
    /// Its records.
    pub records: StreamRecords,
    /// Whether records followed the last state.
    pub has_unfinished: bool,
}

/// The error of an input that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InputError {
    /// A line is no message.
    #[error("line {line} {error}")]
    Message {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        error: MessageError,
    },
    /// There are too many records.
    #[error("holds more than {MOST_RECORDS} records: configure the tap with a later start date, and run it again")]
    TooLong,
}

impl TapInput {
    /// Nothing yet.
    pub fn new(mapping: TapMapping) -> Self {
        let (streams, skipped) = (BTreeMap::new(), BTreeMap::new());
        Self { mapping, streams, skipped, state: None, lines: 0, held: 0 }
    }

    /// The mapping.
    pub fn mapping(&self) -> &TapMapping {
        &self.mapping
    }

    /// Takes the next line.
    pub fn take(&mut self, line: &str) -> Result<(), InputError> {
        self.lines += 1;
        if line.trim().is_empty() {
            return Ok(());
        }
        let message = line.parse().map_err(|error| InputError::Message { line: self.lines, error })?;
        match message {
            Message::Schema { stream } => {
                if self.mapping.streams.contains_key(&stream) {
                    self.streams.entry(stream).or_default();
                }
            }
            Message::Record { stream, record } => {
                let Some(mapping) = self.mapping.streams.get(&stream) else {
                    *self.skipped.entry(stream).or_default() += 1;
                    return Ok(());
                };
                self.held += 1;
                if self.held > MOST_RECORDS {
                    return Err(InputError::TooLong);
                }
                let input = self.streams.entry(stream).or_default();
                input.records.add(&record, mapping);
                input.has_unfinished = true;
            }
            Message::State(value) => {
                self.state = Some(value);
                self.streams.values_mut().for_each(|stream| stream.has_unfinished = false);
            }
            Message::Other => {}
        }
        Ok(())
    }
}
