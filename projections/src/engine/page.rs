//! Reads pages of a log.

use sqlx::PgConnection;

use super::batch::Batch;

/// The next events of a log, at most `limit`, as a checked batch. `head`: a position that the log is known to reach.
pub(crate) async fn read(
    conn: &mut PgConnection,
    workspace: i32,
    after: i64,
    head: i64,
    limit: i64,
) -> Result<Batch, sqlx::Error> {
    let events = event_store::read_after(conn, workspace, after, limit).await?;
    Ok(Batch::check(workspace, after, events, head.min(after + limit)))
}
