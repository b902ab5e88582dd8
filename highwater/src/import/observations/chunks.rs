//! The chunks of a file. The same file gives the same chunks, to the byte.

use super::records::{Record, Records, RefusedLines};

/// The most observations of a chunk.
const ITEMS: usize = 2_000;
/// The size at which a chunk ends.
const BYTES: usize = 1 << 20;

/// Observations that are sent together.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Counted from 1.
    pub(super) number: u64,
    /// The body of the request.
    pub(super) body: String,
    /// The lines of its observations.
    pub(super) lines: Vec<u64>,
    /// How many bytes of the file are read up to its end.
    pub(super) read: u64,
}

impl Chunk {
    pub(super) fn first_line(&self) -> u64 {
        self.lines.first().copied().unwrap_or_default()
    }

    pub(super) fn last_line(&self) -> u64 {
        self.lines.last().copied().unwrap_or_default()
    }
}

/// The reader of a file's chunks. Lines that cannot be sent are left out, and told at the end.
#[derive(Debug)]
pub(super) struct Chunks {
    records: Records,
    head: String,
    number: u64,
    refused: RefusedLines,
}

impl Chunks {
    pub(super) fn new(records: Records, source: &str) -> Self {
        let head = format!("{{\"source\":{},\"observations\":[", serde_json::Value::from(source));
        Self { records, head, number: 0, refused: RefusedLines::default() }
    }

    /// The lines that were left out.
    pub(super) fn take_refused(&mut self) -> RefusedLines {
        std::mem::take(&mut self.refused)
    }
}

impl Iterator for Chunks {
    type Item = anyhow::Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut body, mut lines) = (self.head.clone(), Vec::new());
        while lines.len() < ITEMS && body.len() < BYTES {
            let Record { line, item } = match self.records.next() {
                None => break,
                Some(Ok(record)) => record,
                Some(Err(error)) => return Some(Err(error.into())),
            };
            match item {
                Ok(item) => {
                    if !lines.is_empty() {
                        body.push(',');
                    }
                    body.push_str(&item);
                    lines.push(line);
                }
                Err(why) => self.refused.add(line, why),
            }
        }
        if lines.is_empty() {
            return None;
        }
        body.push_str("]}");
        self.number += 1;
        Some(Ok(Chunk { number: self.number, body, lines, read: self.records.position() }))
    }
}
