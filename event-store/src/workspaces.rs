//! Workspaces: opening the log of one, and finding existing ones. All of it needs the rights of the migrating user.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::error::OpenWorkspaceError;

/// An existing workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its number.
    pub id: i32,
    /// When it was opened.
    pub opened_at: DateTime<Utc>,
}

/// Creates a workspace with an empty log and returns its number. The caller appends the first event, which describes
/// the workspace. It needs the rights of the migrating user, not those of the command role.
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
             INSERT INTO log.workspaces (name, created_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING
             RETURNING workspace
         )
         INSERT INTO log.heads (workspace) SELECT workspace FROM opened RETURNING workspace",
        name,
        now,
    )
    .fetch_optional(conn)
    .await?;
    opened.ok_or_else(|| OpenWorkspaceError::NameTaken(name.to_owned()))
}

/// The workspace of this name.
pub async fn find_workspace(admin: &PgPool, name: &str) -> Result<Option<Workspace>, sqlx::Error> {
    sqlx::query_as!(
        Workspace,
        "SELECT workspace AS id, created_at AS opened_at FROM log.workspaces WHERE name = $1",
        name
    )
    .fetch_optional(admin)
    .await
}

/// The workspace of this name, or else of this number.
pub async fn find_workspace_by_name_or_number(admin: &PgPool, text: &str) -> Result<Option<Workspace>, sqlx::Error> {
    if let Some(named) = find_workspace(admin, text).await? {
        return Ok(Some(named));
    }
    let Ok(number) = text.parse::<i32>() else { return Ok(None) };
    sqlx::query_as!(
        Workspace,
        "SELECT workspace AS id, created_at AS opened_at FROM log.workspaces WHERE workspace = $1",
        number
    )
    .fetch_optional(admin)
    .await
}

/// The names of all workspaces, by number.
pub async fn workspace_names(admin: &PgPool) -> Result<HashMap<i32, String>, sqlx::Error> {
    let rows = sqlx::query!("SELECT workspace, name FROM log.workspaces").fetch_all(admin).await?;
    Ok(rows.into_iter().map(|row| (row.workspace, row.name)).collect())
}
