//! `highwater import`: sends files to the command API.
//!
//! A file of totals is judged as a whole before anything is sent. Each step is a module:
//!
//! ```text
//! bytes --encoding, spreadsheet--> text --table--> cells --layout (by a mapping)--> columns
//!       --survey--> what all lines decide: formats, sources       --sources--> what the server knows of them
//!       --judge--> items, and what is wrong with the other lines  --send--> sources, campaigns, statements, syncs
//! ```
//!
//! All but the last two arrows are pure. The file is held in memory: its bytes, and some 300 bytes for each item.
//!
//! A file of single observations may have any length, so it is sent while it is read: [`observations`].

pub mod batches;
pub mod campaigns;
pub mod completeness;
pub mod dates;
pub mod encoding;
pub mod facts;
pub mod inspect;
pub mod judge;
pub mod layout;
mod lines;
pub mod mapping;
pub mod names;
pub mod numbers;
pub mod observations;
pub mod pattern;
pub mod plan;
pub mod progress;
pub mod replacing;
pub mod run;
pub mod send;
pub mod sources;
pub mod spreadsheet;
pub mod summary;
pub mod survey;
pub mod table;
pub mod totals;

#[cfg(test)]
mod tests;
