//! The edge of every API.
//!
//! An API crate builds a router of handlers. They read their input through `json`, `body`, `query`, `path` and `auth`,
//! refuse with a `problem`, and are described by `docs`. The server wraps the router in `edge`, which also turns what
//! axum refuses into problems. It merges `health`, checks the address by `bind_policy` and passes the router to
//! `serve`. `limit` decides how much of all this is accepted.

pub mod problem;

pub mod auth;
pub mod body;
pub mod config;
pub mod consistency;
pub mod docs;
pub mod json;
pub mod path;
pub mod query;
pub mod trace;

pub mod bind_policy;
mod compress;
pub mod edge;
pub mod health;
pub mod limit;
mod request_log;
mod serve;
pub mod weights;
mod words;

pub use config::{HttpConfig, HttpConfigError};
pub use serve::{Connections, ServeError, TlsConfig, TlsError, bind, serve};
