//! The limits of the queues and of a batch.

use std::time::Duration;

/// The limits of an [`Appender`](super::Appender).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppenderConfig {
    /// The number of writers, each with its own connection. More than the machine's cores gain nothing.
    pub lanes: usize,
    /// The most requests that wait in a lane.
    pub queue_requests: usize,
    /// The most bytes that wait in a lane.
    pub queue_bytes: usize,
    /// The most requests of one transaction.
    pub batch_requests: usize,
    /// The most rows (events, items, claims) of one transaction, unless one request alone has more.
    pub batch_rows: usize,
    /// The most bytes of one transaction, unless one request alone has more.
    pub batch_bytes: usize,
    /// The most rows of one request: above it, the request is invalid.
    pub request_rows: usize,
    /// The most bytes of one request: above it, the request is invalid.
    pub request_bytes: usize,
    /// How long to wait for a connection before the batch fails.
    pub connect_timeout: Duration,
    /// How long to wait for the database's answer before the batch fails.
    pub append_timeout: Duration,
    /// The least time between two notifications.
    pub notify_pause: Duration,
    /// The fault that a test injects.
    #[cfg(feature = "fault-injection")]
    pub injected_fault: Option<crate::fault_injection::FaultPlan>,
}

impl Default for AppenderConfig {
    fn default() -> Self {
        Self {
            lanes: 2,
            queue_requests: 4_096,
            queue_bytes: 64 << 20,
            batch_requests: 512,
            batch_rows: 10_000,
            batch_bytes: 4 << 20,
            request_rows: 100_000,
            request_bytes: 32 << 20,
            connect_timeout: Duration::from_secs(3),
            append_timeout: Duration::from_secs(30),
            notify_pause: Duration::from_millis(2),
            #[cfg(feature = "fault-injection")]
            injected_fault: None,
        }
    }
}

impl AppenderConfig {
    /// Makes the limits consistent: none is zero, and the largest allowed request fits into a queue.
    pub(super) fn normalized(self) -> Self {
        let queue_bytes = self.queue_bytes.clamp(1, u32::MAX as usize);
        Self {
            lanes: self.lanes.max(1),
            queue_requests: self.queue_requests.max(1),
            queue_bytes,
            batch_requests: self.batch_requests.max(1),
            request_bytes: self.request_bytes.min(queue_bytes),
            ..self
        }
    }
}
