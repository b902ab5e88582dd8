//! What users do, told over HTTP against a whole system with its own database and clock.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod backfills;
mod bad_input;
mod breakdowns;
mod calendars;
mod comparisons;
mod conditional_reads;
mod corrections;
mod described;
mod documented_examples;
mod duplicates; // reported again, whenever
mod forms;
mod freshness;
mod generated_bodies;
mod generated_clients;
mod isolation;
mod large_reports;
mod limits;
mod long_files;
mod mail; // what counts as opened
mod many_lines;
mod memory;
mod money_limit;
mod observation_formats;
mod read_your_writes;
mod rejections; // kept, and taken once the cause is gone
mod replay_under_load;
mod schemathesis;
mod slow_senders;
mod source_changes;
mod source_series;
mod statements;
mod unknown_campaigns;
