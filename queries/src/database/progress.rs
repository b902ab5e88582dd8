//! Waiting for the projection: wakes up readers whose workspace has been applied far enough.
//!
//! One task listens for the projector's announcements and reads the checkpoints of those workspaces that somebody waits
//! for: one query per announcement, whatever the number of waiters, and none while nobody waits. An announcement that
//! is lost costs at most one slow poll.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use platform::notifications::{NotificationListener, READ_CHANNEL};
use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::MODEL;

/// How long a lost announcement can go unnoticed.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How long to wait before the database is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How far the projection has come, for those who wait. Clones share one task.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The applied position of every workspace that somebody waits for.
    watched: Mutex<HashMap<i32, watch::Sender<i64>>>,
    /// Somebody began to wait.
    joined: Notify,
}

/// One waiter's view of its workspace.
#[derive(Debug)]
pub struct Watch {
    applied: watch::Receiver<i64>,
}

impl Progress {
    /// Starts the task. It takes one connection of the pool for good, and ends with `shutdown`.
    pub fn start(pool: PgPool, shutdown: CancellationToken) -> (Self, JoinHandle<()>) {
        let shared = Arc::new(Shared::default());
        let follower = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            shutdown.run_until_cancelled(follow(&pool, &follower)).await;
        });
        (Self(shared), task)
    }

    /// Begins to watch a workspace. Begin before looking at the checkpoint: nothing that comes later is then missed.
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
            // The process is going down; the caller's deadline ends the wait.
            std::future::pending::<()>().await;
        }
    }
}

impl Shared {
    /// The workspaces that somebody still waits for.
    fn waited_for(&self) -> Vec<i32> {
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

/// Publishes the checkpoints whenever the projector announced a commit or a waiter joined.
async fn follow(pool: &PgPool, shared: &Shared) {
    let mut announcements = NotificationListener::new(pool.clone(), READ_CHANNEL, POLL_EVERY);
    loop {
        // Kept while waiters join: a connection that is being made is not given up for each of them.
        let mut changed = pin!(announcements.changed());
        loop {
            if let Err(error) = look(pool, shared).await {
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

/// Tells the waiters how far their workspaces are applied now.
async fn look(pool: &PgPool, shared: &Shared) -> Result<(), sqlx::Error> {
    let workspaces = shared.waited_for();
    if workspaces.is_empty() {
        return Ok(());
    }
    let checkpoints = sqlx::query!(
        "SELECT c.workspace, c.position
         FROM read.live_epochs l
         JOIN read.checkpoints c ON c.projection = l.projection AND c.epoch = l.epoch AND c.workspace = l.workspace
         WHERE l.projection = $1 AND l.workspace = ANY($2)",
        MODEL,
        &workspaces,
    )
    .fetch_all(pool)
    .await?;
    for checkpoint in checkpoints {
        shared.publish(checkpoint.workspace, checkpoint.position);
    }
    Ok(())
}
