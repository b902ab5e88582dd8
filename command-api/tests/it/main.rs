//! The command API's router against a database of its own for each test.
#![expect(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that they share")]

mod support;

mod breakdowns; // statements by dimension
mod campaigns;
mod cloud_events;
mod corrections;
mod event_versions;
mod faults;
mod fuzz;
mod id_scope; // ids that are unique for longer than a day
mod idempotency;
mod isolation;
mod lines;
mod lines_underway;
mod mail; // first opens of a message and its recipient
mod observations;
mod openapi;
mod races;
mod reasons; // why commands were given
mod replacing; // statements that are taken back
mod signs; // negative amounts, and bounds
mod source_life; // changes, ends, completeness
mod source_series; // other zones and currencies
mod sources;
mod statements;
mod syncs;
