//! The live side at one position: a session whose every statement sees the same rows.

use sqlx::{PgConnection, PgPool};

use super::super::Projection;
use super::parts::Parts;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// While the other side sorts a large table this one waits, for longer than a transaction may elsewhere.
const IDLE_TIMEOUT: &str = "SET LOCAL idle_in_transaction_session_timeout = '1h'";

pub(super) struct LiveSnapshot {
    /// Not of the pool: given up in the middle of a long answer, it is closed, not read to its end.
    pub(super) session: PgConnection,
    /// What the workspace's readers see.
    pub(super) epoch: i32,
    /// Of the code that built it.
    pub(super) version: i32,
    /// Up to where its rows go. A checkpoint that is missing means that nothing is applied.
    pub(super) position: i64,
    /// What of the log waits.
    pub(super) parked: Parts,
    /// What the projector cannot get past, and why.
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
