//! The state of the handlers.

use std::time::Duration;

use axum::extract::FromRef;
use commands::Commands;
use platform::authenticator::Authenticator;

/// The limits of requests that are recorded chunk by chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// The most lines of a chunk. A chunk's receipt is found only while this stays the same.
    pub chunk_lines: usize,
    /// The size at which a chunk ends, after the line that reaches it.
    pub chunk_bytes: usize,
    /// The longest line. A longer one is rejected as an item.
    pub line_bytes: usize,
    /// The most lines of one request.
    pub lines: u64,
    /// The most bytes of one request, decoded.
    pub bytes: u64,
    /// The most results that its answer lists.
    pub results: usize,
    /// The longest time to retry a chunk while the log's queue is full.
    pub patience: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            chunk_lines: 1_000,
            chunk_bytes: 512 << 10,
            line_bytes: 64 << 10,
            lines: 10_000_000,
            bytes: 8 << 30,
            results: 1_000,
            patience: Duration::from_secs(30),
        }
    }
}

/// The state of every handler.
#[derive(Debug, Clone)]
pub struct ApiState {
    pub(crate) commands: Commands,
    pub(crate) stream: StreamLimits,
    authenticator: Authenticator,
}

impl ApiState {
    /// A state with the use cases, for callers that `authenticator` knows.
    pub fn new(commands: Commands, authenticator: Authenticator) -> Self {
        Self { commands, stream: StreamLimits::default(), authenticator }
    }

    /// Sets other limits for streamed requests.
    #[must_use]
    pub fn with_stream_limits(self, stream: StreamLimits) -> Self {
        Self { stream, ..self }
    }
}

impl FromRef<ApiState> for Authenticator {
    fn from_ref(state: &ApiState) -> Self {
        state.authenticator.clone()
    }
}
