//! `highwater singer`: takes what a Singer tap extracts, and states it.
//!
//! A tap writes messages, one on each line: schemas, records and states (the Singer specification, version 0.3). Their
//! numbers take the way of a file: a stream becomes a table, which is judged as a whole and sent.
//!
//! ```text
//! line --message--> record --records--> row       (a mapping says which streams and members)
//! rows of a stream --input--> table --import--> statements     state --bookmarks--> the day that is complete
//! ```
//!
//! All but the last step are pure. Records are held in memory until the input ends, because several of them may be one
//! total: the ads of a campaign.

pub mod bookmarks;
pub mod input;
pub mod mapping;
pub mod message;
pub mod records;
pub mod run;
pub mod tap;

#[cfg(test)]
mod tests;
