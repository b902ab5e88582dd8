//! What every handler needs.

use std::time::Duration;

use axum::extract::FromRef;
use commands::Commands;
use platform::authenticator::Authenticator;

/// How a request is taken that is recorded chunk by chunk as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// The most lines of a chunk. A chunk's receipt is found again only as long as chunks are cut the same.
    pub chunk_lines: usize,
    /// A chunk ends with the line that reaches so many bytes.
    pub chunk_bytes: usize,
    /// A longer line is rejected by itself.
    pub line_bytes: usize,
    /// The most lines of one request.
    pub lines: u64,
    /// The most bytes of one request, after they are unpacked.
    pub bytes: u64,
    /// The most results that its answer lists.
    pub results: usize,
    /// How long a chunk is tried where the log has no room for it.
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

/// What every handler needs.
#[derive(Debug, Clone)]
pub struct ApiState {
    pub(crate) commands: Commands,
    pub(crate) stream: StreamLimits,
    authenticator: Authenticator,
}

impl ApiState {
    /// The use cases, for the callers that `authenticator` knows.
    pub fn new(commands: Commands, authenticator: Authenticator) -> Self {
        Self { commands, stream: StreamLimits::default(), authenticator }
    }

    /// The same with other limits to streamed requests.
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
