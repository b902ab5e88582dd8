//! The log against a real database, one of its own for each test. The writers act as the command role, as they do in
//! earnest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod aggregates;
mod append;
mod claims;
mod follow; // consumers that know no projection
mod generations; // lives of the logs
mod item_days; // ids that are kept under two days
mod items;
mod items_relied_on;
mod lanes;
mod model;
mod outages;
mod plans;
mod races;
mod ranges; // many events at once
mod receipts;
mod roles;
mod support;
mod wakeups;
