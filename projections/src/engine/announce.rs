//! Notifies readers of new rows on [`READ_CHANNEL`], after the commit and outside of its transaction. A NOTIFY inside
//! would make commits queue for one lock.

use std::sync::Arc;
use std::time::Duration;

use platform::notifications::READ_CHANNEL;
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Notifies readers now.
pub(crate) async fn announce(pool: &PgPool) -> Result<(), sqlx::Error> {
    // A notification need not survive a crash, so its commit does not wait for the disk.
    sqlx::query_scalar!("SELECT set_config('synchronous_commit', 'off', true) FROM pg_notify($1, '')", READ_CHANNEL)
        .fetch_one(pool)
        .await?;
    Ok(())
}

/// A handle that asks [`run`] to notify readers. Calls that come while it is busy become one.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommitNotifier(Arc<Notify>);

impl CommitNotifier {
    pub(crate) fn notify(&self) {
        self.0.notify_one();
    }
}

/// Announces every commit that it is notified of, until shutdown. A commit right before shutdown is announced too.
pub(crate) async fn run(pool: PgPool, notifier: CommitNotifier, shutdown: CancellationToken) {
    loop {
        let stopping = tokio::select! {
            biased;
            () = notifier.0.notified() => false,
            () = shutdown.cancelled() => true,
        };
        if stopping {
            return;
        }
        if let Err(error) = announce(&pool).await {
            // Readers also poll, so a lost announcement only costs time. It is repeated as soon as the database
            // answers.
            tracing::warn!(error = &error as &dyn std::error::Error, "readers could not be notified of new rows");
            notifier.notify();
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(250)) => {}
            }
        }
    }
}
