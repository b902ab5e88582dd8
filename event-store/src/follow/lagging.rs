//! The logs that are ahead of a consumer's cursors.

use sqlx::PgPool;

use super::leases::LogAssignment;
use crate::log::heads;

/// A log that is ahead of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaggingLog {
    /// The workspace of the log.
    pub workspace: i32,
    /// The cursor: the last processed position.
    pub after: i64,
    /// The log's last position.
    pub head: i64,
}

/// The logs of a share that are ahead of their cursors, by workspace. `cursor` returns the last processed position, 0
/// for a log that is new to the consumer.
pub async fn lagging_logs(
    pool: &PgPool,
    assignment: &LogAssignment,
    cursor: impl Fn(i32) -> i64,
) -> Result<Vec<LaggingLog>, sqlx::Error> {
    let heads = heads(&mut *pool.acquire().await?).await?;
    let logs = heads.into_iter().map(|(workspace, head)| LaggingLog { workspace, after: cursor(workspace), head });
    Ok(logs.filter(|log| log.after < log.head && assignment.has(log.workspace)).collect())
}
