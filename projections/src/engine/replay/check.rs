//! Whether a workspace may switch. That the new epoch has no hole, and stands where the live one stands, the batches and the
//! switch see to; this asks, while both checkpoints are locked, what else can be told cheaply: that not more is parked, and
//! that the same version gave as many rows. Row by row, `highwater verify` compares.

use sqlx::{PgConnection, Row};

use super::super::parked;
use super::rebuild::Rebuild;
use super::switch::Locked;
use super::{ReplayError, Unlike};

/// Rows of a table that are counted: while they are, nobody can apply anything to the workspace.
const MOST_COUNTED: i64 = 20_000;

/// What is switched to all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed {
    /// More parked parts.
    pub(super) parked: bool,
    /// Another number of rows.
    pub(super) differences: bool,
}

pub(super) async fn may_switch(
    conn: &mut PgConnection,
    rebuild: &Rebuild<'_>,
    locked: Locked,
    allowed: Allowed,
) -> Result<(), ReplayError> {
    let Some(live) = locked.live else { return Ok(()) };
    if !allowed.parked {
        let projection = rebuild.projection.name;
        let before = parked::count(conn, projection, live, Some(locked.workspace)).await?;
        let filled = parked::count(conn, projection, rebuild.epoch, Some(locked.workspace)).await?;
        if filled > before {
            let unlike = Unlike::MoreParked { live: before, filled };
            return Err(ReplayError::Unlike { workspace: locked.workspace, unlike });
        }
    }
    let is_level = locked.filled <= locked.position;
    if !allowed.differences && locked.is_same_version && is_level {
        same_rows(conn, rebuild, locked.workspace, live).await?;
    }
    Ok(())
}

/// Compares how many rows each table has. A table that has more than can be counted quickly in either is passed over.
async fn same_rows(
    conn: &mut PgConnection,
    rebuild: &Rebuild<'_>,
    workspace: i32,
    live: i32,
) -> Result<(), ReplayError> {
    let tables = rebuild.projection.tables;
    let counts = tables.iter().map(|table| {
        let count = |epoch: &str| {
            format!(
                "(SELECT count(*) FROM (SELECT FROM read.{table} WHERE epoch = {epoch} AND workspace = $3 LIMIT $4) c)"
            )
        };
        format!("SELECT {}, {}", count("$1"), count("$2"))
    });
    let counts: Vec<String> = counts.collect();
    // The shape really is dynamic: the tables' names come from the projection's constant.
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
            return Err(ReplayError::Unlike { workspace, unlike: Unlike::Rows { table, live, filled } });
        }
    }
    Ok(())
}
