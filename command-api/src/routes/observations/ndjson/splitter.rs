//! Cuts a body into lines, and lines into chunks. Pure, and blind to how the network cut the body: the same bytes
//! always come to the same chunks, which is what makes a chunk's receipt answer when the request is sent again.

use std::ops::Range;

use crate::idempotency::RequestDigest;

/// How a body is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// The most lines of a chunk, blank ones among them.
    pub(super) lines: usize,
    /// A chunk ends with the line that reaches so many bytes, line ends among them.
    pub(super) bytes: usize,
    /// A longer line than this is skipped without being kept.
    pub(super) line_bytes: usize,
}

/// What is in one line, which is never blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// This part of the chunk's text.
    Text(Range<usize>),
    /// It was too long to be kept.
    TooLong,
}

/// Lines that are appended together.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Counted from 1 in its request.
    pub(super) number: u64,
    /// The numbers of its first and last line.
    pub(super) lines: (u64, u64),
    /// Its lines that are not blank, by their numbers.
    pub(super) items: Vec<(u64, Line)>,
    text: Vec<u8>,
    content: RequestDigest,
}

impl Chunk {
    pub(super) fn text(&self, range: &Range<usize>) -> &[u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// What its receipt stands for.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.content.clone().digest()
    }
}

/// Cuts one body.
#[derive(Debug)]
pub(super) struct ChunkSplitter {
    size: Size,
    content: RequestDigest,
    chunks: u64,
    /// How many lines are complete.
    lines: u64,
    /// All bytes taken so far.
    bytes: u64,
    open: OpenChunk,
}

/// The chunk and the line that are not complete yet.
#[derive(Debug)]
struct OpenChunk {
    content: RequestDigest,
    text: Vec<u8>,
    items: Vec<(u64, Line)>,
    lines: usize,
    bytes: usize,
    /// Of the line.
    line_bytes: usize,
    /// Where in the text the line begins.
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
    /// `content` is what the request says beside its body.
    pub(super) fn new(size: Size, content: RequestDigest) -> Self {
        let open = OpenChunk::new(&content);
        Self { size, content, chunks: 0, lines: 0, bytes: 0, open }
    }

    /// The number of the first line that no complete chunk holds.
    pub(super) fn first_open_line(&self) -> u64 {
        self.lines - self.open.lines as u64 + 1
    }

    /// How many lines are complete.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// How many bytes were taken.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes bytes until a chunk is complete, and gives it. `None` when all bytes are taken.
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
                    // A chunk without items has nothing to be appended.
                    if let Some(chunk) = self.end_chunk() {
                        return Some(chunk);
                    }
                }
            }
        }
        None
    }

    /// The last chunk, once all bytes are taken. The last line may lack its end.
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
