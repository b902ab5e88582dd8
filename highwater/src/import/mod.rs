//! `highwater import statements`: a file of totals by day, sent to the command API like any integrator would.
//!
//! The file is read twice. The [`scan`] looks at every line first: it finds bad lines and keys given twice, and learns
//! which sources and campaigns the file names, so that they exist before the first statement. Then the [`batches`] are
//! read and [`send`] posts them. What is kept in memory grows with the number of distinct keys (about 40 bytes each),
//! never with the lines in flight.

pub mod batches;
pub mod layout;
mod lines;
pub mod plan;
pub mod progress;
pub mod row;
pub mod scan;
pub mod send;

#[cfg(test)]
mod tests;
