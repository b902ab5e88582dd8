//! Line numbers as an editor shows them. Those of the CSV reader are wrong after `\r\n` and after empty lines, which it
//! skips.

use std::collections::VecDeque;
use std::io::Read;

/// A reader that passes a file on and remembers its line breaks until they are used.
#[derive(Debug)]
pub(super) struct Lines<R> {
    file: R,
    passed: u64,
    breaks: VecDeque<(u64, u8)>,
    line: u64,
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(into)?;
        let breaks = (self.passed..).zip(&into[..read]).filter(|(_, byte)| matches!(byte, b'\r' | b'\n'));
        self.breaks.extend(breaks.map(|(offset, byte)| (offset, *byte)));
        self.passed += read as u64;
        Ok(read)
    }
}

impl<R> Lines<R> {
    /// A reader of a file that begins on this line.
    pub(super) fn new(file: R, line: u64) -> Self {
        Self { file, passed: 0, breaks: VecDeque::new(), line }
    }

    /// The line of the record at `offset`, which line breaks may precede. Offsets must come in the order of the file.
    pub(super) fn line_of(&mut self, offset: u64) -> u64 {
        let mut start = offset;
        while let Some((at, byte)) = self.breaks.front().copied() {
            if at > start {
                break;
            }
            if at == start {
                start += 1;
            }
            self.breaks.pop_front();
            // `\r\n` is one break, and so is a single `\r`.
            let halfway = byte == b'\r' && self.breaks.front() == Some(&(at + 1, b'\n'));
            self.line += u64::from(!halfway);
        }
        self.line
    }
}
