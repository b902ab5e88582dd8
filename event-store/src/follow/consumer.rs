//! The loop around a consumer's rounds.

use std::error::Error;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::leases::LogAssignment;

const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The result of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Some cursor moved, so there may be more events at once.
    Moved,
    /// There is nothing to do before the next wake-up.
    Idle,
}

/// A consumer of logs.
pub trait Consumer: Send {
    /// The error of a round. The round is retried, with growing waits.
    type Error: Error + Send + 'static;

    /// Its name in log lines.
    fn name(&self) -> &str;

    /// Processes at most one page of every log that is behind. A cancelled or failed round must leave nothing half
    /// done.
    fn round(&mut self) -> impl Future<Output = Result<Round, Self::Error>> + Send;

    /// The time of the next round without a wake-up.
    fn next_retry(&self) -> Option<Instant> {
        None
    }
}

/// Runs rounds until shutdown. A round that moved cursors is followed by the next at once. Otherwise the loop waits for
/// a wake-up, a change of its share of the logs, or a due retry. Each completed round keeps the lease alive.
pub async fn run<C: Consumer>(
    mut consumer: C,
    assignment: &LogAssignment,
    wakeups: &Notify,
    shutdown: &CancellationToken,
) {
    let mut changes = assignment.changes();
    let mut backoff = Backoff::up_to(LONGEST_WAIT);
    while !shutdown.is_cancelled() {
        match consumer.round().await {
            Ok(round) => {
                assignment.heartbeat();
                backoff.reset();
                if round == Round::Moved {
                    continue;
                }
                let retry = consumer.next_retry();
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = wakeups.notified() => {}
                    () = changes.next() => {}
                    () = tokio::time::sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {}
                }
            }
            Err(error) => {
                let wait = backoff.wait();
                tracing::warn!(
                    consumer = consumer.name(),
                    error = &error as &dyn Error,
                    wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    "the logs could not be followed: trying again"
                );
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }
}
