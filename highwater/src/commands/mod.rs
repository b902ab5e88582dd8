//! The commands: one file each, with its arguments and a `run`.

mod age; // durations for people
pub mod database; // the database of an operator's command
pub mod dev; // everything on this machine
pub mod events; // types of events and their schemas
pub mod import; // import of files
pub mod keys; // API keys
pub mod leaderboard; // refresh of the leaderboard
pub mod migrate; // migrations
pub mod parked; // parked parts
pub mod replay; // rebuild of a projection
pub mod restored; // declaration of a restore
pub mod retention; // months that the read tables keep
mod sending; // arguments of commands that send
pub mod serve; // roles against a database
pub mod singer; // taps of Singer
pub mod status; // progress of the projections
pub mod verify; // comparison of rows with the log
