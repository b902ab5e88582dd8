//! The splitter of a body into lines and chunks. Pure, and independent of how the network splits the body. The same
//! bytes always give the same chunks, so a repeated request finds the chunks' receipts.

use std::ops::Range;

use sha2::{Digest, Sha256};

use crate::idempotency::RequestDigest;

/// The sizes of chunks and lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// The most lines of a chunk, including blank ones.
    pub(super) lines: usize,
    /// The size at which a chunk ends, after the line that reaches it, including line ends.
    pub(super) bytes: usize,
    /// The longest line that is kept. A longer line is skipped.
    pub(super) line_bytes: usize,
}

/// The content of one line, which is never blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// This range of the chunk's text.
    Text(Range<usize>),
    /// It was too long to be kept.
    TooLong,
}

/// Lines that are appended together.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The number of the chunk in its request, from 1.
    pub(super) number: u64,
    /// The numbers of its first and last line.
    pub(super) lines: (u64, u64),
    /// Its lines that are not blank, with their numbers.
    pub(super) items: Vec<(u64, Line)>,
    text: Vec<u8>,
    content: RequestDigest,
}

impl Chunk {
    pub(super) fn text(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// The digest of its lines alone; one that is too long is not kept, and counts as an empty one.
    pub(super) fn text_digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for (_, line) in &self.items {
            if let Line::Text(range) = line {
                digest.update(self.text(range));
            }
            digest.update(b"\n");
        }
        digest.finalize().into()
    }

    /// The digest of its receipt.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.content.clone().digest()
    }
}

/// The splitter of one body.
#[derive(Debug)]
pub(super) struct ChunkSplitter {
    size: Size,
    content: RequestDigest,
    chunks: u64,
    /// The number of complete lines.
    lines: u64,
    /// The number of bytes taken so far.
    bytes: u64,
    open: OpenChunk,
}

/// The incomplete chunk and line.
#[derive(Debug)]
struct OpenChunk {
    content: RequestDigest,
    text: Vec<u8>,
    items: Vec<(u64, Line)>,
    lines: usize,
    bytes: usize,
    /// The number of bytes of the line.
    line_bytes: usize,
    /// The offset of the line in the text.
    line_start: usize,
}

impl OpenChunk {
    fn new(content: &RequestDigest) -> Self {
        Self {
            content: content.clone(),
            text: Vec::new(),
            items: Vec::new(),
            lines: 0,
            bytes: 0,
            line_bytes: 0,
            line_start: 0,
        }
    }

    fn is_empty(&self) -> bool {
        self.lines == 0 && self.line_bytes == 0
    }
}

impl ChunkSplitter {
    /// A splitter. `content` is the digest of the request besides its body.
    pub(super) fn new(size: Size, content: RequestDigest) -> Self {
        let open = OpenChunk::new(&content);
        Self { size, content, chunks: 0, lines: 0, bytes: 0, open }
    }

    /// The number of the first line outside all complete chunks.
    pub(super) fn first_open_line(&self) -> u64 {
        self.lines - self.open.lines as u64 + 1
    }

    /// The number of complete lines.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// The number of bytes taken.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes bytes until a chunk is complete, and returns it. `None` when all bytes are taken.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Option<Chunk> {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            *bytes = rest;
            self.bytes += part.len() as u64;
            self.add(part.strip_suffix(b"\n").unwrap_or(part));
            if end.is_some() {
                self.end_line();
                if self.open.lines == self.size.lines || self.open.bytes >= self.size.bytes {
                    // A chunk without items needs no append.
                    if let Some(chunk) = self.end_chunk() {
                        return Some(chunk);
                    }
                }
            }
        }
        None
    }

    /// The last chunk, once all bytes are taken. The last line may lack its line end.
    pub(super) fn finish(&mut self) -> Option<Chunk> {
        if self.open.line_bytes > 0 {
            self.end_line();
        }
        if self.open.is_empty() { None } else { self.end_chunk() }
    }

    fn add(&mut self, part: &[u8]) {
        let open = &mut self.open;
        open.content.add(part);
        open.line_bytes += part.len();
        if open.line_bytes <= self.size.line_bytes {
            open.text.extend_from_slice(part);
        } else {
            open.text.truncate(open.line_start);
        }
    }

    fn end_line(&mut self) {
        self.lines += 1;
        let open = &mut self.open;
        open.content.add(b"\n");
        open.lines += 1;
        open.bytes += open.line_bytes + 1;
        if open.line_bytes > self.size.line_bytes {
            open.items.push((self.lines, Line::TooLong));
        } else {
            let line = &open.text[open.line_start..];
            let before = line.len() - line.trim_ascii_start().len();
            let range = open.line_start + before..open.line_start + before + line.trim_ascii().len();
            if range.is_empty() {
                open.text.truncate(open.line_start);
            } else {
                open.items.push((self.lines, Line::Text(range)));
            }
        }
        open.line_bytes = 0;
        open.line_start = open.text.len();
    }

    fn end_chunk(&mut self) -> Option<Chunk> {
        let first = self.first_open_line();
        let open = std::mem::replace(&mut self.open, OpenChunk::new(&self.content));
        if open.items.is_empty() {
            return None;
        }
        self.chunks += 1;
        Some(Chunk {
            number: self.chunks,
            lines: (first, self.lines),
            items: open.items,
            text: open.text,
            content: open.content,
        })
    }
}
