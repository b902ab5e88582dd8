//! The loop around a consumer's rounds.

use std::error::Error;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::leases::LogAssignment;

const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// Some cursor moved, so that there may be more to do at once.
    Moved,
    /// There is nothing more to do before the next wake-up.
    Idle,
}

/// A consumer of logs.
pub trait Consumer: Send {
    /// Why a round failed. It is tried again, with growing waits.
    type Error: Error + Send + 'static;

    /// Its name, for people who read the log.
    fn name(&self) -> &str;

    /// Deals with at most one page of every log that is behind. A round that was cancelled or has failed must leave
    /// nothing half done.
    fn round(&mut self) -> impl Future<Output = Result<Round, Self::Error>> + Send;

    /// When the next round is due though nothing wakes it.
    fn next_retry(&self) -> Option<Instant> {
        None
    }
}

/// Runs rounds until shutdown: at once while they move cursors, and otherwise when somebody wakes it, when its share of
/// the logs changes, or when a retry is due. Each completed round keeps the lease alive.
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
