//! Notifies listeners that logs have grown, after the commits and on a connection of its own. Inside the transaction,
//! the lock of NOTIFY would serialise all lanes of all processes.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use tokio::sync::watch;

/// The pause before a notification is retried.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Sends one notification for all commits since the last one. Ends with the last lane.
pub(super) async fn notify_commits(pool: PgPool, mut commits: watch::Receiver<()>, pause: Duration) {
    let mut connection = None;
    while commits.changed().await.is_ok() {
        while let Err(error) = notify(&pool, &mut connection).await {
            // Listeners also poll, so a lost notification costs time, not events.
            tracing::warn!(%error, "cannot announce that the log has grown");
            let ending = commits.has_changed().is_err();
            if ending {
                return;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        tokio::time::sleep(pause).await;
    }
}

async fn notify(pool: &PgPool, connection: &mut Option<PoolConnection<Postgres>>) -> Result<(), sqlx::Error> {
    let mut own = match connection.take() {
        Some(own) => own,
        None => pool.acquire().await?,
    };
    // A notification need not survive a crash, so its commit does not wait for the disk.
    let query = sqlx::query_scalar!(
        "SELECT set_config('synchronous_commit', 'off', true) FROM pg_notify($1, '')",
        crate::LOG_CHANNEL
    );
    match query.fetch_one(&mut *own).await {
        Ok(_) => {
            *connection = Some(own);
            Ok(())
        }
        Err(error) => {
            drop(own.detach());
            Err(error)
        }
    }
}
