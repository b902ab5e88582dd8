//! Creates missing epochs and checkpoints, finds the logs that are ahead of them, and moves checkpoints by
//! compare-and-set.

use event_store::follow::LogAssignment;
use sqlx::{PgConnection, PgPool};

use super::Projection;
use super::batch::CheckpointAdvance;

/// An epoch whose checkpoint is behind its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaggingEpoch {
    pub(crate) workspace: i32,
    pub(crate) epoch: i32,
    pub(crate) position: i64,
    pub(crate) head: i64,
    /// Whether the log is recorded as stopped.
    pub(crate) was_stopped: bool,
    /// The number of changes to what of the log is parked.
    pub(crate) revision: i32,
    /// Whether something of the log may be parked or skipped.
    pub(crate) may_hold: bool,
}

/// The followed epochs of the projection's own version that are behind an assigned log, by workspace.
pub(crate) async fn pending(
    pool: &PgPool,
    projection: &Projection,
    share: &LogAssignment,
) -> Result<Vec<LaggingEpoch>, sqlx::Error> {
    let mut pending = sqlx::query_as!(
        LaggingEpoch,
        r#"SELECT c.workspace, c.epoch, c.position, h.position AS head, s.position IS NOT NULL AS "was_stopped!",
               c.revision, c.revision > 0 OR EXISTS (
                      SELECT FROM read.skipped_events k WHERE k.projection = c.projection AND k.workspace = c.workspace
                  ) AS "may_hold!"
           FROM read.checkpoints c
           JOIN read.epochs e ON e.projection = c.projection AND e.epoch = c.epoch
           JOIN log.heads h ON h.workspace = c.workspace
           LEFT JOIN read.stopped_logs s
                  ON s.projection = c.projection AND s.epoch = c.epoch AND s.workspace = c.workspace
           WHERE c.projection = $1 AND e.version = $2 AND c.following AND c.position < h.position
           ORDER BY c.workspace, c.position, c.epoch"#,
        projection.name,
        projection.version
    )
    .fetch_all(pool)
    .await?;
    pending.retain(|log| share.has(log.workspace));
    Ok(pending)
}

/// Moves the checkpoints of one epoch. Returns `false` if any of them is not at its expected position, or if something
/// of its log was parked or released meanwhile.
///
/// The inner select locks the rows in order of workspace, so that two projectors never deadlock. A row that another
/// projector moved meanwhile no longer matches.
pub(crate) async fn advance(
    conn: &mut PgConnection,
    projection: &str,
    epoch: i32,
    moves: &[CheckpointAdvance],
) -> Result<bool, sqlx::Error> {
    let workspaces: Vec<i32> = moves.iter().map(|step| step.workspace).collect();
    let from: Vec<i64> = moves.iter().map(|step| step.from).collect();
    let to: Vec<i64> = moves.iter().map(|step| step.to).collect();
    let revisions: Vec<i32> = moves.iter().map(|step| step.revision).collect();
    let moved = sqlx::query!(
        "WITH moves AS MATERIALIZED (
             SELECT * FROM unnest($3::integer[], $4::bigint[], $5::bigint[], $6::integer[])
                           AS m (workspace, old, new, revision)
         ), locked AS MATERIALIZED (
             SELECT c.workspace FROM read.checkpoints c
             JOIN moves m ON m.workspace = c.workspace AND m.old = c.position AND m.revision = c.revision
             WHERE c.projection = $1 AND c.epoch = $2
             ORDER BY c.workspace FOR UPDATE OF c
         )
         UPDATE read.checkpoints c SET position = m.new
         FROM locked JOIN moves m USING (workspace)
         WHERE c.projection = $1 AND c.epoch = $2 AND c.workspace = m.workspace AND c.position = m.old",
        projection,
        epoch,
        &workspaces,
        &from,
        &to,
        &revisions
    )
    .execute(conn)
    .await?;
    Ok(moved.rows_affected() == moves.len() as u64)
}

/// Counts a change to what of a log is parked in one epoch, in the transaction that makes it. Locks the row.
pub(crate) async fn bump_revision(
    conn: &mut PgConnection,
    projection: &str,
    epoch: i32,
    workspace: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE read.checkpoints SET revision = revision + 1, revised_at = position
         WHERE projection = $1 AND epoch = $2 AND workspace = $3",
        projection,
        epoch,
        workspace
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a projection without an epoch gets one that readers see while it fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BootstrapPolicy {
    /// Yes, whatever the logs hold.
    AtOnce,
    /// Only if the logs are so short that filling it takes less time than a build.
    IfShort,
    /// No: the epoch is built in the background.
    Never,
}

/// The largest number of events in all logs for [`BootstrapPolicy::IfShort`].
const SHORT: i64 = 1_000;

/// Creates an applied epoch if `first` allows it. Then gives every workspace a live epoch with a checkpoint, if there
/// is an epoch for it.
pub(crate) async fn bootstrap(
    pool: &PgPool,
    projection: &Projection,
    first: BootstrapPolicy,
) -> Result<(), sqlx::Error> {
    let is_complete = sqlx::query_scalar!(
        r#"SELECT NOT EXISTS (
               SELECT FROM log.heads h
               LEFT JOIN read.live_epochs l ON l.projection = $1 AND l.workspace = h.workspace
               LEFT JOIN read.checkpoints c ON c.projection = $1 AND c.workspace = h.workspace AND c.epoch = l.epoch
               WHERE c.workspace IS NULL
           ) AND EXISTS (
               SELECT FROM read.epochs WHERE projection = $1 AND state = 'applied'
           ) AS "is_complete!""#,
        projection.name
    )
    .fetch_one(pool)
    .await?;
    if is_complete {
        return Ok(());
    }
    let mut tx = pool.begin().await?;
    lock_epochs(&mut tx).await?;
    let epoch = match start_epoch(&mut tx, projection.name).await? {
        None => first_epoch(&mut tx, projection, first).await?,
        found => found,
    };
    reset_orphaned_rows(&mut tx, projection).await?;
    if let Some(epoch) = epoch {
        sqlx::query!(
            "INSERT INTO read.live_epochs (projection, workspace, epoch)
             SELECT $1, workspace, $2 FROM log.heads ON CONFLICT DO NOTHING",
            projection.name,
            epoch
        )
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query!(
        "INSERT INTO read.checkpoints (projection, epoch, workspace, position, following)
         SELECT projection, epoch, workspace, 0, true FROM read.live_epochs WHERE projection = $1
         ON CONFLICT DO NOTHING",
        projection.name
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}

/// Locks the epochs until the transaction ends, against everyone who creates, finishes, drops or assigns one.
pub(crate) async fn lock_epochs(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('highwater.epochs'))").execute(conn).await?;
    Ok(())
}

/// Creates an epoch with its tables, in state `building`.
pub(crate) async fn create_epoch(conn: &mut PgConnection, projection: &Projection) -> Result<i32, sqlx::Error> {
    let tables: Vec<String> = projection.tables.iter().map(|&table| table.to_owned()).collect();
    sqlx::query_scalar!(
        r#"SELECT read.create_epoch($1, $2, $3) AS "epoch!""#,
        projection.name,
        &tables,
        projection.version
    )
    .fetch_one(conn)
    .await
}

/// The epoch of a new workspace: the newest applied one that other workspaces read. So it is never one that every
/// workspace has left by a rollback.
pub(crate) async fn start_epoch(conn: &mut PgConnection, projection: &str) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT e.epoch FROM read.epochs e WHERE e.projection = $1 AND e.state = 'applied'
         ORDER BY EXISTS (SELECT FROM read.live_epochs l WHERE l.projection = $1 AND l.epoch = e.epoch) DESC,
                  e.epoch DESC
         LIMIT 1",
        projection
    )
    .fetch_optional(conn)
    .await
}

/// Creates the projection's first epoch, if it may be followed at once and no process is building one.
async fn first_epoch(
    conn: &mut PgConnection,
    projection: &Projection,
    first: BootstrapPolicy,
) -> Result<Option<i32>, sqlx::Error> {
    let known = sqlx::query!(
        r#"SELECT EXISTS (SELECT FROM read.epochs WHERE projection = $1) AS "is_begun!",
                  (SELECT coalesce(sum(position), 0)::bigint FROM log.heads) AS "events!""#,
        projection.name
    )
    .fetch_one(&mut *conn)
    .await?;
    let is_made = match first {
        BootstrapPolicy::AtOnce => true,
        BootstrapPolicy::IfShort => !known.is_begun && known.events <= SHORT,
        BootstrapPolicy::Never => false,
    };
    if !is_made {
        return Ok(None);
    }
    let epoch = create_epoch(conn, projection).await?;
    mark_applied(conn, projection.name, epoch).await?;
    tracing::info!(projection = projection.name, epoch, "created the first epoch");
    Ok(Some(epoch))
}

/// Marks an epoch as applied: workspaces may read it.
pub(crate) async fn mark_applied(conn: &mut PgConnection, projection: &str, epoch: i32) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE read.epochs SET state = 'applied' WHERE projection = $1 AND epoch = $2", projection, epoch)
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes the rows of live epochs without a checkpoint, which by definition have applied nothing. Such rows would be
/// counted twice when the checkpoint starts at 0.
async fn reset_orphaned_rows(conn: &mut PgConnection, projection: &Projection) -> Result<(), sqlx::Error> {
    let unmarked = sqlx::query!(
        "SELECT l.epoch, l.workspace FROM read.live_epochs l
         LEFT JOIN read.checkpoints c ON c.projection = l.projection AND c.epoch = l.epoch AND c.workspace = l.workspace
         WHERE l.projection = $1 AND c.workspace IS NULL",
        projection.name
    )
    .fetch_all(&mut *conn)
    .await?;
    for lost in unmarked {
        tracing::warn!(
            projection = projection.name,
            epoch = lost.epoch,
            workspace = lost.workspace,
            "the checkpoint is missing: the log is applied from its start"
        );
        sqlx::query!(
            "DELETE FROM read.parked WHERE projection = $1 AND epoch = $2 AND workspace = $3",
            projection.name,
            lost.epoch,
            lost.workspace
        )
        .execute(&mut *conn)
        .await?;
        for table in projection.tables {
            // The statement is dynamic, because the table's name comes from the projection's constant.
            sqlx::query(&format!("DELETE FROM read.{table} WHERE epoch = $1 AND workspace = $2"))
                .bind(lost.epoch)
                .bind(lost.workspace)
                .execute(&mut *conn)
                .await?;
        }
    }
    Ok(())
}
