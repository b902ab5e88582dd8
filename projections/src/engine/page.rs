//! Reads pages of a log.

use sqlx::PgConnection;

use super::batch::LogPage;

/// How much a page may hold. One event always fits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) events: i64,
    /// Payloads as they are stored: compressed, if they are large.
    pub(crate) bytes: i64,
}

/// The next events of a log as a checked batch. `head`: a position that the log is known to reach.
pub(crate) async fn read(
    conn: &mut PgConnection,
    workspace: i32,
    after: i64,
    head: i64,
    limit: Limit,
) -> Result<LogPage, sqlx::Error> {
    let events = event_store::read_page(conn, workspace, after, limit.events.max(1), limit.bytes).await?;
    Ok(LogPage::check(workspace, after, events, head))
}
