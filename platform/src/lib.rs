//! What every process needs and no campaign knows.
//!
//! In reading order: `config` holds the sections of the configuration; `clock` reads the time; `telemetry` starts logs
//! and metrics; `database` opens pools with one role of the database; `notifications` wakes code that waits for a
//! change; `principal` describes the actor and its scopes; `keys` holds the API keys; `authenticator` finds the
//! principal of a bearer token; `lifecycle` starts, drains and stops the tasks of a process; `local_postgres` runs a
//! private PostgreSQL; `rate_limit` counts the use of each of many keys; `sealing` seals what must not stand in clear.

pub mod authenticator;
pub mod clock;
pub mod config;
pub mod database;
mod error_chain;
pub mod keys;
pub mod lifecycle;
pub mod local_postgres;
pub mod notifications;
pub mod principal;
pub mod rate_limit;
pub mod sealing;
pub mod telemetry;

pub use error_chain::error_chain;
