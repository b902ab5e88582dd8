//! What every process needs and no campaign knows.
//!
//! In reading order: `config` gathers the sections a process is configured by; `clock` is where time comes from; `telemetry`
//! turns on logs and metrics; `database` opens pools as one role of the database; `notifications` wakes whoever waits for a
//! change; `principal` says who acts and with which scopes; `keys` holds the API keys; `authenticator` turns a bearer token into a
//! principal; `lifecycle` starts, drains and stops the tasks of a process; `local_postgres` runs a private PostgreSQL where no
//! service is at hand; `rate_limit` counts what each of many keys uses.

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
pub mod telemetry;

pub use error_chain::error_chain;
