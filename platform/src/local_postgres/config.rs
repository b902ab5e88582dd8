//! How a private PostgreSQL is to run.

use std::path::PathBuf;
use std::time::Duration;

/// The settings of one instance.
#[derive(Debug, Clone)]
pub struct LocalPostgresConfig {
    /// Holds everything of this instance; made if it is not there.
    pub data_dir: PathBuf,
    /// Whether what was committed survives a crash of the machine, not only of its processes. Tests do without.
    pub durable: bool,
    pub max_connections: u32,
    pub shared_buffers_mb: u32,
    /// Listen on a free port of 127.0.0.1 too, with a password that is made anew at each start.
    pub loopback_port: bool,
    /// How long a start may take, recovery after a crash included.
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
