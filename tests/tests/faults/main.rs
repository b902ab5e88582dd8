//! Faults, each met by clients at work: afterwards the checker reads the whole log and the read tables, and decides
//! whether every answer was true. docs/testing.md says how to read a failure.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod clock_steps;
mod full_disk;
mod injected;
mod killed;
mod poison;
mod projectors;
mod replays;
mod restored;
mod sessions;
mod severed;
mod two_processes;
mod two_projectors;
mod unconfirmed;
mod verdict;
