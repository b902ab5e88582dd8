//! Advances a log past a refused event. What is refused of it is parked, in the transaction that moves the checkpoint.

use event_store::StoredEvent;
use sqlx::{PgConnection, PgPool};

use super::super::batch::CheckpointAdvance;
use super::super::event::{ApplyError, RejectedEvent};
use super::super::parked_index::ParkedIndex;
use super::super::{Projection, checkpoint};
use super::MOST_PARTS;
use super::isolate::{RefusedShare, apply_partially};

/// The outcome of parking an event.
#[derive(Debug)]
pub(crate) enum ParkOutcome {
    /// The checkpoint is past the event: its parts are parked, or it was applied after all.
    Advanced {
        /// The number of parked parts.
        parked: usize,
    },
    /// Another projector moved the checkpoint first, and nothing was written.
    Conflict,
    /// So many parts are parked that the log has to stop.
    Stopped(RejectedEvent),
}

/// Advances one epoch past a refused event that directly follows its checkpoint.
pub(crate) async fn park_and_advance(
    pool: &PgPool,
    projection: &Projection,
    epoch: i32,
    raw: &StoredEvent,
    holds: &ParkedIndex,
) -> Result<ParkOutcome, sqlx::Error> {
    let (workspace, position) = (raw.workspace, raw.position);
    let mut tx = pool.begin().await?;
    let step = CheckpointAdvance { workspace, from: position - 1, to: position, revision: holds.revision };
    if !checkpoint::advance(&mut tx, projection.name, epoch, &[step]).await? {
        tx.rollback().await?;
        return Ok(ParkOutcome::Conflict);
    }
    let refused = apply_partially(&mut tx, projection, epoch, raw, holds).await?;
    if holds.parts() + refused.len() > MOST_PARTS {
        tx.rollback().await?;
        let reason = refused.into_iter().next().map_or_else(String::new, |(_, why)| why);
        return Ok(ParkOutcome::Stopped(RejectedEvent {
            workspace,
            position,
            reason: ApplyError::TooManyParked(reason),
        }));
    }
    add(&mut tx, projection.name, epoch, raw, &refused).await?;
    if !refused.is_empty() {
        checkpoint::bump_revision(&mut tx, projection.name, epoch, workspace).await?;
    }
    // Only the comparison reads a shadow epoch, and it reports parked parts itself.
    let is_seen = refused.is_empty() || is_for_readers(&mut tx, projection, epoch).await?;
    tx.commit().await?;
    for (campaign, reason) in refused.iter().filter(|_| is_seen) {
        tracing::error!(
            projection = projection.name,
            epoch,
            workspace,
            position,
            stream = raw.stream_id(),
            stream_type = raw.stream_type(),
            campaign = campaign.map(tracing::field::display),
            reason,
            "parked a part of a log that cannot be applied"
        );
    }
    Ok(ParkOutcome::Advanced { parked: refused.len() })
}

/// Whether an epoch is for readers. A shadow epoch is only compared and dropped.
async fn is_for_readers(conn: &mut PgConnection, projection: &Projection, epoch: i32) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT state <> 'verifying' AS "is_for_readers!" FROM read.epochs WHERE projection = $1 AND epoch = $2"#,
        projection.name,
        epoch
    )
    .fetch_one(conn)
    .await
}

/// Parks the refused shares of an event. The caller holds the checkpoint.
pub(super) async fn add(
    conn: &mut PgConnection,
    projection: &str,
    epoch: i32,
    raw: &StoredEvent,
    refused: &[RefusedShare],
) -> Result<(), sqlx::Error> {
    for (campaign, reason) in refused {
        sqlx::query!(
            "INSERT INTO read.parked (projection, epoch, workspace, stream_type, stream_id, campaign_id, position,
                                      sequence, waiting, last_position, reason)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $7, $9)",
            projection,
            epoch,
            raw.workspace,
            raw.stream_type(),
            raw.stream_id(),
            campaign.map(|campaign| campaign.0),
            raw.position,
            raw.sequence,
            storable(reason)
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The reason as the database can store it: a quote of the event may hold characters that no text of the database can.
pub(super) fn storable(reason: &str) -> String {
    const LONGEST: usize = 1_000;
    reason.chars().filter(|c| *c != '\0').take(LONGEST).collect()
}
