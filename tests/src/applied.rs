//! Waits until projections have applied a log.

use std::time::{Duration, Instant};

use platform::notifications::READ_CHANNEL;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::time::timeout;

/// How often to check. A projector that is killed after its commit sends no notification.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The epochs to wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Epochs {
    /// The live epoch.
    Live,
    /// Every epoch that is kept applied.
    All,
}

/// Waits until a workspace's log is applied up to `head`. Checks again after every commit of a projector.
pub(crate) async fn until_applied(pool: &PgPool, epochs: Epochs, (workspace, head): (i32, i64), within: Duration) {
    let position = match epochs {
        Epochs::Live => {
            "SELECT coalesce(max(c.position), 0)
             FROM read.live_epochs l JOIN read.checkpoints c USING (projection, epoch, workspace)
             WHERE l.workspace = $1"
        }
        Epochs::All => "SELECT coalesce(min(position), 0) FROM read.checkpoints WHERE workspace = $1 AND following",
    };
    let deadline = Instant::now() + within;
    // The checks use the connection that listens: many tests may wait at once on a small pool.
    let mut commits = PgListener::connect_with(pool).await.unwrap();
    commits.listen(READ_CHANNEL).await.unwrap();
    loop {
        let applied: i64 = sqlx::query_scalar(position).bind(workspace).fetch_one(&mut commits).await.unwrap();
        if applied >= head {
            return;
        }
        assert!(Instant::now() < deadline, "campaign_model stopped at {applied} of {head} in workspace {workspace}");
        if let Ok(announced) = timeout(LOOK_EVERY, commits.try_recv()).await {
            announced.unwrap();
        }
    }
}

/// Waits until every epoch that is kept applied has all events that are in any log now.
pub async fn until_all_is_applied(pool: &PgPool, within: Duration) {
    let deadline = Instant::now() + within;
    let heads: Vec<(i32, i64)> =
        sqlx::query_as("SELECT workspace, position FROM log.heads").fetch_all(pool).await.unwrap();
    for log in heads {
        until_applied(pool, Epochs::All, log, deadline.saturating_duration_since(Instant::now())).await;
    }
}
