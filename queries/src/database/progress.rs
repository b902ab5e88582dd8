//! Waiting for the projection: readers are woken when their workspace is applied far enough.
//!
//! One task listens for the projector's notifications and reads the checkpoints of the workspaces that have waiters:
//! one statement for each notification, and none without waiters. A lost notification delays waiters until the next
//! poll.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use platform::notifications::{NotificationListener, READ_CHANNEL};
use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::CAMPAIGN_MODEL;

/// The interval of polls, which bounds the delay of a lost notification.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// The delay before the database is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The progress of the projection, for readers that wait. Clones share one task.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The applied position of every workspace that has waiters.
    watched: Mutex<HashMap<i32, watch::Sender<i64>>>,
    /// Notified when a waiter joins.
    joined: Notify,
}

/// The applied position of one workspace, as it changes.
#[derive(Debug)]
pub struct Watch {
    applied: watch::Receiver<i64>,
}

impl Progress {
    /// Starts the task. It holds one connection of the pool until `shutdown`.
    pub fn start(pool: PgPool, shutdown: CancellationToken) -> (Self, JoinHandle<()>) {
        let shared = Arc::new(Shared::default());
        let follower = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            shutdown.run_until_cancelled(follow(&pool, &follower)).await;
        });
        (Self(shared), task)
    }

    /// Begins to watch a workspace. A caller that reads the checkpoint afterwards misses no later change.
    pub fn watch(&self, workspace: i32) -> Watch {
        let mut watched = self.0.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let applied = watched.entry(workspace).or_insert_with(|| watch::channel(0).0).subscribe();
        drop(watched);
        self.0.joined.notify_one();
        Watch { applied }
    }
}

impl Watch {
    /// Returns once the workspace is applied up to `position`. The caller bounds how long it waits.
    pub async fn reaches(&mut self, position: i64) {
        if self.applied.wait_for(|applied| *applied >= position).await.is_err() {
            // The process shuts down: the caller's deadline ends the wait.
            std::future::pending::<()>().await;
        }
    }
}

impl Shared {
    /// The workspaces that still have waiters.
    fn watched_workspaces(&self) -> Vec<i32> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|_, applied| applied.receiver_count() > 0);
        watched.keys().copied().collect()
    }

    fn publish(&self, workspace: i32, position: i64) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(applied) = watched.get(&workspace) {
            // A switch to another epoch never takes a position back.
            applied.send_if_modified(|applied| position > std::mem::replace(applied, position.max(*applied)));
        }
    }
}

/// Publishes the checkpoints after each notification of a commit, and when a waiter joins.
async fn follow(pool: &PgPool, shared: &Shared) {
    let mut notifications = NotificationListener::new(pool.clone(), READ_CHANNEL, POLL_EVERY);
    loop {
        // Kept while waiters join, so that a connection attempt is not given up for each of them.
        let mut changed = pin!(notifications.changed());
        loop {
            if let Err(error) = publish_checkpoints(pool, shared).await {
                tracing::debug!(%error, "cannot read the checkpoints that readers wait for");
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
            tokio::select! {
                () = &mut changed => break,
                () = shared.joined.notified() => {}
            }
        }
    }
}

/// Publishes how far the workspaces with waiters are applied.
async fn publish_checkpoints(pool: &PgPool, shared: &Shared) -> Result<(), sqlx::Error> {
    let workspaces = shared.watched_workspaces();
    if workspaces.is_empty() {
        return Ok(());
    }
    let checkpoints = sqlx::query!(
        "SELECT c.workspace, c.position
         FROM read.live_epochs l
         JOIN read.checkpoints c ON c.projection = l.projection AND c.epoch = l.epoch AND c.workspace = l.workspace
         WHERE l.projection = $1 AND l.workspace = ANY($2)",
        CAMPAIGN_MODEL,
        &workspaces,
    )
    .fetch_all(pool)
    .await?;
    for checkpoint in checkpoints {
        shared.publish(checkpoint.workspace, checkpoint.position);
    }
    Ok(())
}
