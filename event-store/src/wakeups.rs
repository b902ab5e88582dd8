//! Waking up when something changed, without trusting the messenger.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;

/// Listens on a channel, with a slow poll behind it. A notification is a hint that may be lost with its connection, so
/// whoever is woken reads the truth from the tables, and is woken anyway after `poll`.
#[derive(Debug)]
pub struct NotificationListener {
    pool: PgPool,
    channel: String,
    poll: Duration,
    listener: Option<PgListener>,
}

impl NotificationListener {
    /// Wake-ups from a channel, at the latest every `poll`. Takes one connection of the pool at the first
    /// [`changed`](Self::changed) and keeps it.
    pub fn new(pool: PgPool, channel: &str, poll: Duration) -> Self {
        Self { pool, channel: channel.to_owned(), poll, listener: None }
    }

    /// Returns when something may have changed since the last call: a notification came (several that wait count as
    /// one), the connection was made or made again, so that some may have been missed, or `poll` has passed.
    /// Cancel-safe.
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
                    tracing::warn!(channel = self.channel, %error, "cannot listen for wake-ups, polling instead");
                    tokio::time::sleep(self.poll).await;
                }
                Err(_elapsed) => tracing::warn!(channel = self.channel, "cannot listen for wake-ups, polling instead"),
            },
        }
    }

    fn lost(&mut self, why: impl std::fmt::Display) {
        tracing::warn!(channel = self.channel, %why, "lost the connection that listens for wake-ups");
        self.listener = None;
    }
}

async fn listen(pool: &PgPool, channel: &str) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(channel).await?;
    Ok(listener)
}
