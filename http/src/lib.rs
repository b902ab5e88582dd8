//! The edge that every API stands behind.
//!
//! An API crate builds a router from its own handlers, which take their input through `json`, `body`, `query`, `path`
//! and `auth` and refuse with a `problem`, and describes itself by `docs`. Whoever serves it wraps it in `edge` (which
//! also turns what axum itself refuses into problems), merges `health`, asks `bind_policy` whether it may listen there,
//! and hands it to `serve`. How much is taken of all this is decided in `limit`.

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
