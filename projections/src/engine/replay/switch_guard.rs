//! Checks whether a workspace may switch. Batches and switch already guarantee that the new epoch has no hole and is at
//! the live position. While both checkpoints are locked, this adds two cheap checks: not more parts are parked, and the
//! same version with the same inputs gave as many rows. A [`SwitchVerifier`] compares row by row, before anything is
//! locked.

use sqlx::{PgConnection, Row};

use super::super::error::{ReplayError, SwitchBlocked};
use super::super::rebuild::Rebuild;
use super::super::verify::SwitchVerifier;
use super::super::{parked, retention};

/// The most rows of a table that are counted: meanwhile, nobody can apply anything to the workspace.
const MOST_COUNTED: i64 = 20_000;

/// The state of a workspace before its switch, locked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Locked {
    pub(super) workspace: i32,
    /// The live epoch; `None` if there is none yet.
    pub(super) live: Option<i32>,
    /// Whether this program's version built the live epoch.
    pub(super) is_same_version: bool,
    /// The checkpoint of the live epoch.
    pub(super) position: i64,
    /// The checkpoint of the other one.
    pub(super) filled: i64,
}

/// What a switch accepts.
#[derive(Debug, Clone, Copy)]
pub(super) struct SwitchPolicy<'a> {
    /// More parked parts than in the live epoch.
    pub(super) parked: bool,
    /// Another number of rows than in the live epoch.
    pub(super) differences: bool,
    /// If present, only epochs that this verifier proves.
    pub(super) proof: Option<&'a SwitchVerifier>,
}

pub(super) async fn may_switch(
    conn: &mut PgConnection,
    rebuild: &Rebuild<'_>,
    locked: Locked,
    allowed: SwitchPolicy<'_>,
) -> Result<(), ReplayError> {
    let Some(live) = locked.live else { return Ok(()) };
    let workspace = locked.workspace;
    if !allowed.parked {
        let projection = rebuild.projection.name;
        let before = parked::count(conn, projection, live, Some(workspace)).await?;
        let filled = parked::count(conn, projection, rebuild.epoch, Some(workspace)).await?;
        if filled > before {
            return Err(ReplayError::SwitchBlocked {
                workspace,
                reason: SwitchBlocked::MoreParked { live: before, filled },
            });
        }
    }
    let is_level = locked.filled <= locked.position;
    if !allowed.differences
        && locked.is_same_version
        && is_level
        && have_same_inputs(conn, rebuild, workspace, live).await?
    {
        same_rows(conn, rebuild, workspace, live).await?;
    }
    Ok(())
}

/// Whether two epochs at one position must have the same rows, in the months that both keep. Their stored inputs may
/// have been changed since the live one was created. The live one may still have an event that was skipped later, if
/// only a newer epoch refused it.
async fn have_same_inputs(
    conn: &mut PgConnection,
    rebuild: &Rebuild<'_>,
    workspace: i32,
    live: i32,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT l.dimension_values = n.dimension_values
                  AND NOT EXISTS (SELECT FROM read.skipped_events s
                                  WHERE s.projection = $1 AND s.workspace = $4 AND s.skipped_at >= l.created_at)
                  AND NOT EXISTS (
                      SELECT FROM read.parked p WHERE p.projection = $1 AND p.workspace = $4 AND p.epoch IN ($2, $3)
                      GROUP BY p.stream_type, p.stream_id, p.campaign_id, p.position HAVING count(*) = 1) AS "are_same!"
           FROM read.epochs l JOIN read.epochs n USING (projection)
           WHERE projection = $1 AND l.epoch = $2 AND n.epoch = $3"#,
        rebuild.projection.name,
        live,
        rebuild.epoch,
        workspace
    )
    .fetch_one(conn)
    .await
}

/// The tables of which one of two epochs does not keep all months.
async fn kept_in_part(conn: &mut PgConnection, rebuild: &Rebuild<'_>, live: i32) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT DISTINCT table_name FROM read.epoch_retention WHERE projection = $1 AND epoch IN ($2, $3)",
        rebuild.projection.name,
        live,
        rebuild.epoch
    )
    .fetch_all(conn)
    .await
}

/// Compares the number of rows of each table. A table with more rows than can be counted quickly, in either epoch, is
/// not compared.
async fn same_rows(
    conn: &mut PgConnection,
    rebuild: &Rebuild<'_>,
    workspace: i32,
    live: i32,
) -> Result<(), ReplayError> {
    let tables = rebuild.projection.tables;
    let kept_in_part = kept_in_part(conn, rebuild, live).await?;
    let counts = tables.iter().map(|table| {
        // Only months that both epochs keep: retention drops months from one epoch after the other.
        let kept = if kept_in_part.iter().any(|name| name == retention::kept_like(table)) {
            let before = format!(
                "(SELECT max(before) FROM read.epoch_retention
                      WHERE table_name = '{}' AND epoch IN ($1, $2))",
                retention::kept_like(table)
            );
            format!(" AND {}", retention::kept_from(table, &before))
        } else {
            String::new()
        };
        let count = |epoch: &str| {
            format!(
                "(SELECT count(*) FROM (SELECT FROM read.{table}
                 WHERE epoch = {epoch} AND workspace = $3{kept} LIMIT $4) c)"
            )
        };
        format!("SELECT {}, {}", count("$1"), count("$2"))
    });
    let counts: Vec<String> = counts.collect();
    // The statement is dynamic, because the tables' names come from the projection's constant.
    let rows = sqlx::query(&counts.join(" UNION ALL "))
        .bind(live)
        .bind(rebuild.epoch)
        .bind(workspace)
        .bind(MOST_COUNTED + 1)
        .fetch_all(conn)
        .await?;
    for (table, row) in tables.iter().zip(rows) {
        let (live, filled): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if live != filled && live.max(filled) <= MOST_COUNTED {
            return Err(ReplayError::SwitchBlocked { workspace, reason: SwitchBlocked::Rows { table, live, filled } });
        }
    }
    Ok(())
}
