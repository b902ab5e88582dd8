//! A snapshot of the live side at one position: a session in which every statement sees the same rows.

use sqlx::{PgConnection, PgPool};

use super::super::Projection;
use super::parts::Parts;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// This session is idle while the other side sorts a large table, longer than transactions may usually be.
const IDLE_TIMEOUT: &str = "SET LOCAL idle_in_transaction_session_timeout = '1h'";

pub(super) struct LiveSnapshot {
    /// A session outside of the pool: if it is dropped in the middle of a long result, it is closed at once.
    pub(super) session: PgConnection,
    /// The live epoch of the workspace.
    pub(super) epoch: i32,
    /// The version of the code that built it.
    pub(super) version: i32,
    /// The checkpoint. A missing one means that nothing is applied.
    pub(super) position: i64,
    /// The parked parts of the log.
    pub(super) parked: Parts,
    /// The position at which the log stopped, and why.
    pub(super) stop: Option<(i64, String)>,
}

impl LiveSnapshot {
    pub(super) async fn take(pool: &PgPool, projection: &Projection, workspace: i32) -> Result<Self, sqlx::Error> {
        let mut session = pool.acquire().await?.detach();
        sqlx::query(BEGIN).execute(&mut session).await?;
        sqlx::query(IDLE_TIMEOUT).execute(&mut session).await?;
        let live = sqlx::query!(
            r#"SELECT l.epoch, e.version, coalesce(c.position, 0) AS "position!", s.position AS "stopped_at?",
                      s.reason AS "reason?"
               FROM read.live_epochs l
               JOIN read.epochs e USING (projection, epoch)
               LEFT JOIN read.checkpoints c USING (projection, epoch, workspace)
               LEFT JOIN read.stopped_logs s USING (projection, epoch, workspace)
               WHERE l.projection = $1 AND l.workspace = $2"#,
            projection.name,
            workspace
        )
        .fetch_one(&mut session)
        .await?;
        let parked = Parts::read(&mut session, projection, live.epoch, workspace).await?;
        Ok(Self {
            session,
            parked,
            epoch: live.epoch,
            version: live.version,
            position: live.position,
            stop: live.stopped_at.zip(live.reason),
        })
    }
}
