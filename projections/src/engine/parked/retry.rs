//! Applies the parked events of a part, in order, up to the log's checkpoint. The rows are those of a log in which
//! nothing was ever parked.
//!
//! Each step is one transaction that holds the checkpoint. It writes the rows of some of the part's events, and what is
//! still parked. If an event is refused again, the part stays parked from there on. The shares of it that can be
//! applied by now are applied.

use domain::ids::CampaignId;
use event_store::{PageLimit, StoredEvent, StreamKey};
use sqlx::{Connection, PgConnection, PgPool};

use super::super::batch::Accumulator;
use super::super::error::{self, WriteError};
use super::super::event::{ApplyError, EventEnvelope};
use super::super::parked_index::{self, Disposition, ParkedIndex, ParkedKey};
use super::super::{Projection, apply, checkpoint};
use super::isolate::apply_partially;
use super::{MOST_PARTS, park};

/// The most events of the stream that one transaction reads. The log waits that long.
const STEP_EVENTS: i64 = 10_000;
/// The limits of events that are written together: their number, and bytes of their payloads as stored.
const PAGE_EVENTS: i64 = 500;
const PAGE_BYTES: i64 = 1024 * 1024;

/// The outcome of retrying a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PartRetryOutcome {
    /// Nothing of the part is parked any more.
    Applied,
    /// An event of it is still refused.
    Refused {
        position: i64,
        reason: String,
        /// Whether events before it were applied by this retry.
        moved: bool,
    },
    /// The part is not parked.
    NotParked,
}

/// The outcome of one transaction.
enum RetryStep {
    /// There are more events to apply.
    Incomplete,
    Finished(PartRetryOutcome),
}

/// Applies the parked events of a part.
pub(crate) async fn retry(
    pool: &PgPool,
    projection: &Projection,
    epoch: i32,
    workspace: i32,
    part: &ParkedKey,
) -> Result<PartRetryOutcome, sqlx::Error> {
    let mut has_moved = false;
    loop {
        match step(pool, projection, epoch, workspace, part).await? {
            RetryStep::Incomplete => has_moved = true,
            RetryStep::Finished(PartRetryOutcome::NotParked) if has_moved => return Ok(PartRetryOutcome::Applied),
            RetryStep::Finished(PartRetryOutcome::Refused { position, reason, moved }) => {
                return Ok(PartRetryOutcome::Refused { position, reason, moved: moved || has_moved });
            }
            RetryStep::Finished(end) => {
                if end == PartRetryOutcome::Applied {
                    tracing::info!(
                        projection = projection.name,
                        epoch,
                        workspace,
                        stream = part.stream_id,
                        stream_type = part.stream_type,
                        campaign = part.campaign.map(tracing::field::display),
                        "applied the parked events of a part"
                    );
                }
                return Ok(end);
            }
        }
    }
}

/// A part as stored.
struct ParkedRow {
    position: i64,
    sequence: i64,
    reason: String,
}

async fn step(
    pool: &PgPool,
    projection: &Projection,
    epoch: i32,
    workspace: i32,
    part: &ParkedKey,
) -> Result<RetryStep, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let checkpoint = sqlx::query_scalar!(
        "SELECT position FROM read.checkpoints WHERE projection = $1 AND epoch = $2 AND workspace = $3 FOR UPDATE",
        projection.name,
        epoch,
        workspace
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(checkpoint) = checkpoint else { return Ok(RetryStep::Finished(PartRetryOutcome::NotParked)) };
    let Some(row) = find(&mut tx, projection.name, epoch, workspace, part).await? else {
        return Ok(RetryStep::Finished(PartRetryOutcome::NotParked));
    };
    let mut holds = parked_index::load(&mut tx, projection.name, &[epoch], &[workspace]).await?;
    let mut holds = holds.remove(&(epoch, workspace)).unwrap_or_default();
    // Where the whole stream is parked, a campaign's share waits with it.
    let with_stream = part.campaign.and_then(|_| holds.stream_from(part));
    let through = with_stream.map_or(checkpoint, |from| checkpoint.min(from - 1));
    holds.remove(part);

    let mut pass = RetryPass { projection, epoch, part, holds, sequence: row.sequence, released: 0 };
    let end = pass.run(&mut tx, workspace, through, &row).await?;
    match end {
        PassOutcome::Completed => {
            remove(&mut tx, projection.name, epoch, workspace, part).await?;
            checkpoint::bump_revision(&mut tx, projection.name, epoch, workspace).await?;
            tx.commit().await?;
            Ok(RetryStep::Finished(PartRetryOutcome::Applied))
        }
        PassOutcome::Paused(next) => {
            pass.wait_from(&mut tx, &next, &row.reason).await?;
            checkpoint::bump_revision(&mut tx, projection.name, epoch, workspace).await?;
            tx.commit().await?;
            Ok(RetryStep::Incomplete)
        }
        PassOutcome::Missing => {
            let reason = "its stream lacks the first parked event".to_owned();
            Ok(RetryStep::Finished(PartRetryOutcome::Refused { position: row.position, reason, moved: false }))
        }
        PassOutcome::Refused(raw, reason) => {
            let (position, moved) = (raw.position, pass.released > 0);
            if (position, &reason) != (row.position, &row.reason) {
                pass.wait_from(&mut tx, &raw, &reason).await?;
                if moved {
                    checkpoint::bump_revision(&mut tx, projection.name, epoch, workspace).await?;
                }
                tx.commit().await?;
            }
            Ok(RetryStep::Finished(PartRetryOutcome::Refused { position, reason, moved }))
        }
    }
}

/// Where a pass over the part's events ends.
enum PassOutcome {
    /// Every parked event is applied.
    Completed,
    /// The limit of one transaction is reached, and this event is next.
    Paused(StoredEvent),
    /// This event is refused.
    Refused(StoredEvent, String),
    /// The log lacks the first parked event.
    Missing,
}

/// A pass over a part's events in one transaction.
struct RetryPass<'a> {
    projection: &'a Projection,
    epoch: i32,
    part: &'a ParkedKey,
    /// The index of everything else that is parked.
    holds: ParkedIndex,
    /// The sequence of the next event.
    sequence: i64,
    /// The number of events of the part that are not parked any more.
    released: i64,
}

impl RetryPass<'_> {
    async fn run(
        &mut self,
        conn: &mut PgConnection,
        workspace: i32,
        through: i64,
        row: &ParkedRow,
    ) -> Result<PassOutcome, sqlx::Error> {
        let stream = StreamKey { workspace, stream_type: &self.part.stream_type, stream_id: &self.part.stream_id };
        let mut left = STEP_EVENTS;
        loop {
            let limit = PageLimit { events: PAGE_EVENTS, bytes: PAGE_BYTES };
            let page = event_store::read_stream(conn, stream, self.sequence, through, limit).await?;
            let is_first = self.sequence == row.sequence;
            let Some(first) = page.first().filter(|first| !is_first || first.position == row.position) else {
                return Ok(if is_first { PassOutcome::Missing } else { PassOutcome::Completed });
            };
            if left <= 0 {
                return Ok(PassOutcome::Paused(first.clone()));
            }
            left -= i64::try_from(page.len()).unwrap_or(i64::MAX);
            if let Some((raw, reason)) = self.apply_page(conn, &page).await? {
                return Ok(PassOutcome::Refused(raw, reason));
            }
        }
    }

    /// Applies a page. If it is refused, applies halves of it, to find the refused event.
    async fn apply_page(
        &mut self,
        conn: &mut PgConnection,
        page: &[StoredEvent],
    ) -> Result<Option<(StoredEvent, String)>, sqlx::Error> {
        let mut untried = vec![page];
        while let Some(events) = untried.pop() {
            let Some(why) = self.attempt(conn, events).await? else { continue };
            let [raw] = events else {
                let (first, second) = events.split_at(events.len() / 2);
                untried.extend([second, first]);
                continue;
            };
            if let Some(why) = self.apply_share(conn, raw, why).await? {
                return Ok(Some((raw.clone(), why)));
            }
        }
        Ok(None)
    }

    /// Folds and writes events in a savepoint. Returns the reason of a refusal, which leaves nothing behind.
    async fn attempt(
        &mut self,
        conn: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<Option<String>, sqlx::Error> {
        let mut fold = Accumulator::new(self.projection);
        let mut released = 0;
        for raw in events {
            match self.absorb(&mut fold, raw) {
                Ok(is_of_part) => released += i64::from(is_of_part),
                Err(refusal) => return Ok(Some(refusal.full_text())),
            }
        }
        let mut savepoint = conn.begin().await?;
        let refusal = match apply::rows(&mut savepoint, self.projection, self.epoch, &fold).await {
            Ok(()) => {
                savepoint.commit().await?;
                self.released += released;
                self.sequence = events.last().map_or(self.sequence, |last| last.sequence + 1);
                return Ok(None);
            }
            Err(WriteError::Refused(refused)) => refused.reason,
            Err(WriteError::Database(error)) if error::is_about_rows(&error) => ApplyError::Rows(error),
            Err(WriteError::Database(error)) => return Err(error),
        };
        savepoint.rollback().await?;
        Ok(Some(refusal.full_text()))
    }

    /// Applies the part's share of an event. Returns whether there is one.
    fn absorb(&self, fold: &mut Accumulator, raw: &StoredEvent) -> Result<bool, ApplyError> {
        let Some(campaign) = self.part.campaign else {
            fold.absorb_event(raw, &self.holds)?;
            return Ok(true);
        };
        let has_share = EventEnvelope::decode(raw)?.campaigns().is_none_or(|named| named.contains(&campaign));
        if has_share && !self.is_left_out(raw, campaign) {
            fold.absorb_share(raw, |other| other == campaign)?;
        }
        Ok(has_share)
    }

    fn is_left_out(&self, raw: &StoredEvent, campaign: CampaignId) -> bool {
        match self.holds.disposition_of(raw) {
            Disposition::Apply | Disposition::Defer => false,
            Disposition::Skip => true,
            Disposition::ApplyPart(share) => share.skips(campaign),
        }
    }

    /// Applies what it can of an event of a fully parked stream. The rest stays parked by campaign, and the stream
    /// continues. Returns the reason if that is not possible.
    async fn apply_share(
        &mut self,
        conn: &mut PgConnection,
        raw: &StoredEvent,
        why: String,
    ) -> Result<Option<String>, sqlx::Error> {
        if self.part.campaign.is_some() {
            return Ok(Some(why));
        }
        let mut tried = conn.begin().await?;
        let refused = apply_partially(&mut tried, self.projection, self.epoch, raw, &self.holds).await?;
        let whole = refused.iter().find(|(campaign, _)| campaign.is_none());
        if whole.is_some() || self.holds.parts() + refused.len() > MOST_PARTS {
            let why = whole.map_or(why, |(_, why)| why.clone());
            tried.rollback().await?;
            return Ok(Some(why));
        }
        park::add(&mut tried, self.projection.name, self.epoch, raw, &refused).await?;
        tried.commit().await?;
        for (campaign, _) in refused {
            self.holds.add(&ParkedKey::of(raw, campaign), raw.position);
        }
        self.released += 1;
        self.sequence = raw.sequence + 1;
        Ok(None)
    }

    /// Parks the part from this event on.
    async fn wait_from(&self, conn: &mut PgConnection, raw: &StoredEvent, reason: &str) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "UPDATE read.parked
             SET position = $7, sequence = $8, reason = $9, waiting = greatest(1, waiting - $10)
             WHERE projection = $1 AND epoch = $2 AND workspace = $3 AND stream_type = $4 AND stream_id = $5
               AND campaign_id IS NOT DISTINCT FROM $6",
            self.projection.name,
            self.epoch,
            raw.workspace,
            self.part.stream_type,
            self.part.stream_id,
            self.part.campaign.map(|campaign| campaign.0),
            raw.position,
            raw.sequence,
            park::storable(reason),
            self.released
        )
        .execute(conn)
        .await?;
        Ok(())
    }
}

async fn find(
    conn: &mut PgConnection,
    projection: &str,
    epoch: i32,
    workspace: i32,
    part: &ParkedKey,
) -> Result<Option<ParkedRow>, sqlx::Error> {
    sqlx::query_as!(
        ParkedRow,
        "SELECT position, sequence, reason FROM read.parked
         WHERE projection = $1 AND epoch = $2 AND workspace = $3 AND stream_type = $4 AND stream_id = $5
           AND campaign_id IS NOT DISTINCT FROM $6",
        projection,
        epoch,
        workspace,
        part.stream_type,
        part.stream_id,
        part.campaign.map(|campaign| campaign.0)
    )
    .fetch_optional(conn)
    .await
}

async fn remove(
    conn: &mut PgConnection,
    projection: &str,
    epoch: i32,
    workspace: i32,
    part: &ParkedKey,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM read.parked
         WHERE projection = $1 AND epoch = $2 AND workspace = $3 AND stream_type = $4 AND stream_id = $5
           AND campaign_id IS NOT DISTINCT FROM $6",
        projection,
        epoch,
        workspace,
        part.stream_type,
        part.stream_id,
        part.campaign.map(|campaign| campaign.0)
    )
    .execute(conn)
    .await?;
    Ok(())
}
