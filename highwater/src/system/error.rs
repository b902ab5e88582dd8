//! What keeps a system from starting.

use std::net::SocketAddr;

use http_edge::bind_policy::ExposureError;
use http_edge::{ServeError, TlsError};
use platform::database::ConnectError;
use platform::telemetry::TelemetryError;
use thiserror::Error;

use super::SchemaError;

/// The error of starting a system.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address must not be exposed.
    #[error("{flag}")]
    Exposed {
        /// The flag that sets the address.
        flag: &'static str,
        /// The cause.
        #[source]
        source: ExposureError,
    },
    /// The certificate or its key is unusable.
    #[error("TLS")]
    Tls(#[from] TlsError),
    /// Another process listens on the address.
    #[error("{addr} is in use: choose another address with {flag}")]
    AddressInUse {
        /// The address.
        addr: SocketAddr,
        /// The flag that sets the address.
        flag: &'static str,
    },
    /// The address cannot be bound.
    #[error("{flag}")]
    Listen {
        /// The flag that sets the address.
        flag: &'static str,
        /// The cause.
        #[source]
        source: ServeError,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The database does not fit this program.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Metrics cannot be recorded.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}
