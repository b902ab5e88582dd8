//! `highwater import statements`: sends a file of totals by day to the command API.
//!
//! The file is read twice. First the [`scan`] checks every line: it finds bad lines and duplicate keys, and collects
//! the sources and campaigns of the file, so that they exist before the first statement. Then [`batches`] are read and
//! [`send`] posts them. The memory grows with the number of distinct keys (about 40 bytes each), never with the lines
//! in flight. With `--replace` all lines are kept, until each day is whole.

pub mod batches;
pub mod layout;
mod lines;
pub mod plan;
pub mod progress;
pub mod replacing;
pub mod row;
pub mod scan;
pub mod send;

#[cfg(test)]
mod tests;
