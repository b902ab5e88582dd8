//! The commands: one file each, with its arguments and a `run`.

mod age; // lengths of time, for people
pub mod database; // which one an operator's command works on
pub mod dev; // everything on this machine
pub mod events; // what a log can hold
pub mod import; // files in
pub mod keys; // who may call
pub mod leaderboard; // rank campaigns anew
pub mod migrate; // the schema
pub mod parked; // what waits because it cannot be applied
pub mod replay; // rebuild a projection
pub mod retention; // for how many months read tables keep their rows
pub mod serve; // roles against a database
pub mod status; // how far each projection is
pub mod verify; // are the rows what the log says
