//! Applies what it can of a refused event, and finds what of it is refused. That is the share of some campaigns if the
//! batch can be decoded, else all of it.

use std::collections::BTreeSet;

use domain::ids::CampaignId;
use event_store::StoredEvent;
use sqlx::{Connection, PgConnection};

use super::super::batch::Accumulator;
use super::super::error::{self, WriteError};
use super::super::event::{ApplyError, EventEnvelope};
use super::super::parked_index::{Disposition, ParkedIndex};
use super::super::{Projection, apply};

/// The most campaigns of one event that are parked one by one. If more are refused, the whole event is parked.
const MOST_CAMPAIGNS: usize = 100;

/// A refused share of an event, and the reason. `None` stands for all of it.
pub(super) type RefusedShare = (Option<CampaignId>, String);

/// Applies an event to one epoch, as far as possible, inside the caller's transaction. The event must not be parked.
pub(super) async fn apply_partially(
    conn: &mut PgConnection,
    projection: &Projection,
    epoch: i32,
    raw: &StoredEvent,
    holds: &ParkedIndex,
) -> Result<Vec<RefusedShare>, sqlx::Error> {
    let campaigns = match EventEnvelope::decode(raw) {
        Ok(recorded) => recorded.campaigns(),
        Err(refusal) => return Ok(vec![(None, refusal.full_text())]),
    };
    let Some(mut campaigns) = campaigns else {
        let refused = attempt(conn, projection, epoch, |fold| fold.absorb_event(raw, holds)).await?;
        return Ok(refused.into_iter().map(|why| (None, why)).collect());
    };
    if let Disposition::ApplyPart(share) = holds.disposition_of(raw) {
        campaigns.retain(|campaign| !share.excludes(*campaign));
    }
    let mut everything = conn.begin().await?;
    let refused = try_shares(&mut everything, projection, epoch, raw, holds, campaigns).await?;
    if refused.iter().any(|(campaign, _)| campaign.is_none()) {
        everything.rollback().await?;
    } else {
        everything.commit().await?;
    }
    Ok(refused)
}

async fn try_shares(
    conn: &mut PgConnection,
    projection: &Projection,
    epoch: i32,
    raw: &StoredEvent,
    holds: &ParkedIndex,
    campaigns: BTreeSet<CampaignId>,
) -> Result<Vec<RefusedShare>, sqlx::Error> {
    // First the part that belongs to no campaign, which also counts the deferred events.
    let without = {
        let mut holds = holds.clone();
        for campaign in &campaigns {
            holds.skip(raw.position, Some(*campaign));
        }
        holds
    };
    if let Some(why) = attempt(conn, projection, epoch, |fold| fold.absorb_event(raw, &without)).await? {
        return Ok(vec![(None, why)]);
    }
    let mut refused = Vec::new();
    let mut untried = vec![Vec::from_iter(campaigns)];
    while let Some(mut some) = untried.pop() {
        if some.is_empty() {
            continue;
        }
        let tried =
            attempt(conn, projection, epoch, |fold| fold.absorb_share(raw, |campaign| some.contains(&campaign)));
        let Some(why) = tried.await? else { continue };
        if let [campaign] = *some {
            if refused.len() == MOST_CAMPAIGNS {
                return Ok(vec![(None, why)]);
            }
            refused.push((Some(campaign), why));
        } else {
            let rest = some.split_off(some.len() / 2);
            untried.extend([some, rest]);
        }
    }
    Ok(refused)
}

/// Folds and writes in a savepoint. Returns the reason of a refusal, which leaves nothing behind.
async fn attempt(
    conn: &mut PgConnection,
    projection: &Projection,
    epoch: i32,
    absorb: impl FnOnce(&mut Accumulator) -> Result<(), ApplyError>,
) -> Result<Option<String>, sqlx::Error> {
    let mut fold = Accumulator::new(projection);
    if let Err(refusal) = absorb(&mut fold) {
        return Ok(Some(refusal.full_text()));
    }
    let mut savepoint = conn.begin().await?;
    let refusal = match apply::rows(&mut savepoint, projection, epoch, &fold).await {
        Ok(()) => {
            savepoint.commit().await?;
            return Ok(None);
        }
        Err(WriteError::Refused(refused)) => refused.reason,
        Err(WriteError::Database(error)) if error::is_about_rows(&error) => ApplyError::Rows(error),
        Err(WriteError::Database(error)) => return Err(error),
    };
    savepoint.rollback().await?;
    Ok(Some(refusal.full_text()))
}
