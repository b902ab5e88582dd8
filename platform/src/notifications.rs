//! The listener for PostgreSQL notifications. It reconnects, coalesces notifications, and polls slowly besides.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;

/// The channel that a projector notifies, without a payload, after it committed rows. Besides the read tables, it is
/// the only contract between projections and queries.
pub const READ_CHANNEL: &str = "highwater_read";

/// A listener on one channel, with a slow poll besides. A notification is a hint that may be lost with its connection.
/// So a caller that wakes reads the tables, and it wakes after `poll` in any case.
#[derive(Debug)]
pub struct NotificationListener {
    pool: PgPool,
    channel: String,
    poll: Duration,
    listener: Option<PgListener>,
}

impl NotificationListener {
    /// A listener that wakes its caller after `poll` at the latest. It takes one connection of the pool at the first
    /// [`changed`](Self::changed) and keeps it.
    pub fn new(pool: PgPool, channel: &str, poll: Duration) -> Self {
        Self { pool, channel: channel.to_owned(), poll, listener: None }
    }

    /// Returns when a change is possible since the last call. It is cancel-safe. It returns after a notification, after
    /// `poll`, and when the connection was made or lost, because notifications may then have been missed. Queued
    /// notifications count as one.
    pub async fn changed(&mut self) {
        match &mut self.listener {
            Some(listener) => match tokio::time::timeout(self.poll, listener.try_recv()).await {
                Ok(Ok(Some(_notification))) => while listener.next_buffered().is_some() {},
                Ok(Ok(None)) => self.lost("the connection was closed"),
                Ok(Err(error)) => self.lost(&error),
                Err(_elapsed) => {}
            },
            None => match tokio::time::timeout(self.poll, listen(&self.pool, &self.channel)).await {
                Ok(Ok(listener)) => self.listener = Some(listener),
                Ok(Err(error)) => {
                    tracing::warn!(channel = self.channel, %error, "cannot listen for notifications, polling instead");
                    tokio::time::sleep(self.poll).await;
                }
                Err(_elapsed) => {
                    tracing::warn!(channel = self.channel, "cannot listen for notifications, polling instead");
                }
            },
        }
    }

    fn lost(&mut self, why: impl std::fmt::Display) {
        tracing::warn!(channel = self.channel, %why, "lost the connection that listens for notifications");
        self.listener = None;
    }
}

async fn listen(pool: &PgPool, channel: &str) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(channel).await?;
    Ok(listener)
}
