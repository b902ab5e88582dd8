//! The configuration of a private PostgreSQL.

use std::path::PathBuf;
use std::time::Duration;

/// The settings of one instance.
#[derive(Debug, Clone)]
pub struct LocalPostgresConfig {
    /// The directory of all files of this instance. It is created if it does not exist.
    pub data_dir: PathBuf,
    /// Whether commits survive a crash of the machine, not only of its processes. Tests turn it off.
    pub durable: bool,
    pub max_connections: u32,
    pub shared_buffers_mb: u32,
    /// Whether to listen on a free port of 127.0.0.1 too, with a new password at each start.
    pub loopback_port: bool,
    /// The longest time of a start, with recovery after a crash.
    pub start_within: Duration,
}

impl LocalPostgresConfig {
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            durable: true,
            max_connections: 100,
            shared_buffers_mb: 256,
            loopback_port: false,
            start_within: Duration::from_mins(2),
        }
    }
}
