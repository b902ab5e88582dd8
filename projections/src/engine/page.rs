//! Reads pages of a log.

use sqlx::PgConnection;

use super::batch::Batch;

/// Payloads of a page, as they are stored: compressed, if they are large.
const PAGE_BYTES: i64 = 4 * 1024 * 1024;

/// The next events of a log, at most `limit` and as many as fit in memory, as a checked batch. `head`: a position that the
/// log is known to reach.
pub(crate) async fn read(
    conn: &mut PgConnection,
    workspace: i32,
    after: i64,
    head: i64,
    limit: i64,
) -> Result<Batch, sqlx::Error> {
    let events = event_store::read_page(conn, workspace, after, limit, PAGE_BYTES).await?;
    Ok(Batch::check(workspace, after, events, head))
}
