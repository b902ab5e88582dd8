//! Opening a log.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::error::OpenWorkspaceError;

/// Makes a workspace with an empty log and returns its number. The first event, which says what the workspace is, is
/// the caller's to append. Needs the rights of the user that migrates, not those of the command role.
pub async fn open_workspace(
    conn: &mut PgConnection,
    name: &str,
    now: DateTime<Utc>,
) -> Result<i32, OpenWorkspaceError> {
    if name.trim().is_empty() || name.contains('\0') {
        return Err(OpenWorkspaceError::InvalidName);
    }
    let opened = sqlx::query_scalar!(
        "WITH opened AS (
             INSERT INTO log.workspaces (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING workspace
         )
         INSERT INTO log.heads (workspace) SELECT workspace FROM opened RETURNING workspace",
        name,
        now,
    )
    .fetch_optional(conn)
    .await?;
    opened.ok_or_else(|| OpenWorkspaceError::NameTaken(name.to_owned()))
}
