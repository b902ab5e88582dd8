//! The edge that every API stands behind.
//!
//! An API crate builds a router from its own handlers, which take their input through `json`, `body`, `query`, `path` and `auth` and
//! refuse with a `problem`, and describes itself by `docs`. Whoever serves it wraps it in `edge` (which also turns what axum itself refuses into problems),
//! merges `health`, asks `exposure` whether it may listen there, and hands it to `serve`. How much is taken of all this is
//! decided in `limit`.

pub mod problem;

pub mod auth;
pub mod body;
pub mod consistency;
pub mod docs;
pub mod json;
pub mod path;
pub mod query;
pub mod trace;

mod compress;
pub mod edge;
pub mod exposure;
pub mod health;
pub mod limit;
mod observe;
mod serve;
mod words;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

use self::limit::LimitConfig;

pub use serve::{Connections, ServeError, TlsConfig, TlsError, bind, serve};

/// How one API listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where to listen. Beyond loopback this needs TLS or `behind_proxy`.
    pub addr: SocketAddr,
    /// Origins of web pages that may call this API from a browser: `https://dash.example.com`, or `*` for any.
    pub cors_origins: Vec<String>,
    /// A larger request body is refused with 413.
    pub max_body_bytes: usize,
    /// A request that has no answer after this long gets 503 (408 if its body never came whole). A stream may go on.
    pub request_timeout_s: u64,
    /// A reverse proxy in front of this process speaks TLS, so plain HTTP beyond loopback is meant. Callers' addresses are
    /// what it says in `X-Forwarded-For` or `Forwarded`.
    pub behind_proxy: bool,
    /// PEM file with the certificate chain, leaf first.
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of `tls_cert`.
    pub tls_key: Option<PathBuf>,
    /// How much it takes, and of whom.
    pub limits: LimitConfig,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            cors_origins: Vec::new(),
            max_body_bytes: 8 << 20,
            request_timeout_s: 60,
            behind_proxy: false,
            tls_cert: None,
            tls_key: None,
            limits: LimitConfig::default(),
        }
    }
}
