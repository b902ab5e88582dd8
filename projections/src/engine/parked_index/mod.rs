//! The index of what is parked of one log in one epoch, and of what is skipped for good.
//!
//! Every batch is folded under such an index. The checkpoint's `revision` is compared when the checkpoint moves, so
//! that no process commits a fold under an outdated index.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::ids::CampaignId;
use event_store::StoredEvent;
use sqlx::PgConnection;
use uuid::Uuid;

/// The key of a parked part: a stream, or one campaign's share of a stream of batches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ParkedKey {
    pub(crate) stream_type: String,
    /// Named `<workspace>/<id>`.
    pub(crate) stream_id: String,
    /// `None` for the whole stream.
    pub(crate) campaign: Option<CampaignId>,
}

impl ParkedKey {
    /// The part of an event's stream.
    pub(crate) fn of(raw: &StoredEvent, campaign: Option<CampaignId>) -> Self {
        Self { stream_type: raw.stream_type().to_owned(), stream_id: raw.stream_id().to_owned(), campaign }
    }
}

/// The deferred events of a parked part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeferredCount {
    pub(crate) events: i64,
    pub(crate) last: i64,
}

/// The index that a log is folded under.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ParkedIndex {
    /// The number of changes to what is parked. It is compared when the checkpoint moves.
    pub(crate) revision: i32,
    /// By the stream's id, then its type.
    streams: HashMap<String, BTreeMap<String, ParkedStream>>,
    /// By position.
    skips: BTreeMap<i64, SkippedEvent>,
}

/// What is parked of one stream, and from which position on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ParkedStream {
    whole: Option<i64>,
    campaigns: BTreeMap<CampaignId, i64>,
}

/// What is skipped of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SkippedEvent {
    Whole,
    Campaigns(BTreeSet<CampaignId>),
}

/// The disposition of one event.
#[derive(Debug)]
pub(crate) enum Disposition<'a> {
    /// All of it is applied.
    Apply,
    /// It is deferred with its stream.
    Defer,
    /// It is skipped.
    Skip,
    /// Some campaigns' share of it is deferred or skipped.
    ApplyPart(PartialDisposition<'a>),
}

/// The campaigns whose share of an event is deferred or skipped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartialDisposition<'a> {
    position: i64,
    waiting: Option<&'a BTreeMap<CampaignId, i64>>,
    left: Option<&'a BTreeSet<CampaignId>>,
}

impl PartialDisposition<'_> {
    /// Whether a campaign's share is deferred.
    pub(crate) fn waits(&self, campaign: CampaignId) -> bool {
        !self.skips(campaign)
            && self.waiting.and_then(|all| all.get(&campaign)).is_some_and(|from| *from <= self.position)
    }

    /// Whether a campaign's share is skipped.
    pub(crate) fn skips(&self, campaign: CampaignId) -> bool {
        self.left.is_some_and(|all| all.contains(&campaign))
    }

    /// Whether a campaign's share is not applied.
    pub(crate) fn excludes(&self, campaign: CampaignId) -> bool {
        self.waits(campaign) || self.skips(campaign)
    }
}

impl ParkedIndex {
    pub(crate) fn disposition_of(&self, raw: &StoredEvent) -> Disposition<'_> {
        if self.streams.is_empty() && self.skips.is_empty() {
            return Disposition::Apply;
        }
        let held = self.streams.get(raw.stream_id()).and_then(|types| types.get(raw.stream_type()));
        let left = match self.skips.get(&raw.position) {
            Some(SkippedEvent::Whole) => return Disposition::Skip,
            Some(SkippedEvent::Campaigns(campaigns)) => Some(campaigns),
            None => None,
        };
        if held.and_then(|held| held.whole).is_some_and(|from| from <= raw.position) {
            return Disposition::Defer;
        }
        let waiting = held.map(|held| &held.campaigns).filter(|campaigns| !campaigns.is_empty());
        match (waiting, left) {
            (None, None) => Disposition::Apply,
            (waiting, left) => Disposition::ApplyPart(PartialDisposition { position: raw.position, waiting, left }),
        }
    }

    /// The position from which on the whole stream of a part is parked.
    pub(crate) fn stream_from(&self, part: &ParkedKey) -> Option<i64> {
        self.streams.get(&part.stream_id)?.get(&part.stream_type)?.whole
    }

    /// The number of parked parts.
    pub(crate) fn parts(&self) -> usize {
        let held = self.streams.values().flat_map(BTreeMap::values);
        held.map(|held| usize::from(held.whole.is_some()) + held.campaigns.len()).sum()
    }

    /// Adds a parked part.
    pub(crate) fn add(&mut self, part: &ParkedKey, position: i64) {
        let held = self.streams.entry(part.stream_id.clone()).or_default().entry(part.stream_type.clone()).or_default();
        match part.campaign {
            None => held.whole = Some(position),
            Some(campaign) => drop(held.campaigns.insert(campaign, position)),
        }
    }

    /// Removes a part.
    pub(crate) fn remove(&mut self, part: &ParkedKey) {
        let types = self.streams.get_mut(&part.stream_id);
        let Some(held) = types.and_then(|types| types.get_mut(&part.stream_type)) else { return };
        match part.campaign {
            None => held.whole = None,
            Some(campaign) => drop(held.campaigns.remove(&campaign)),
        }
    }

    /// Skips an event, or a campaign's share of it.
    pub(super) fn skip(&mut self, position: i64, campaign: Option<CampaignId>) {
        match (campaign, self.skips.entry(position).or_insert_with(|| SkippedEvent::Campaigns(BTreeSet::new()))) {
            (None, left) => *left = SkippedEvent::Whole,
            (Some(_), SkippedEvent::Whole) => {}
            (Some(campaign), SkippedEvent::Campaigns(campaigns)) => drop(campaigns.insert(campaign)),
        }
    }
}

/// Indexes by (epoch, workspace). A log without an entry has nothing parked or skipped.
pub(crate) type Loaded = HashMap<(i32, i32), ParkedIndex>;

/// Loads the indexes of these logs in these epochs. The two lists belong together.
pub(crate) async fn load(
    conn: &mut PgConnection,
    projection: &str,
    epochs: &[i32],
    workspaces: &[i32],
) -> Result<Loaded, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT l.epoch AS "epoch!", l.workspace AS "workspace!", p.stream_type AS "stream_type?",
                  p.stream_id AS "stream_id?", p.campaign_id, p.position AS "position!"
           FROM unnest($2::integer[], $3::integer[]) AS l (epoch, workspace)
           JOIN read.parked p ON p.projection = $1 AND p.epoch = l.epoch AND p.workspace = l.workspace
           UNION ALL
           SELECT l.epoch, l.workspace, NULL, NULL, s.campaign_id, s.position
           FROM unnest($2::integer[], $3::integer[]) AS l (epoch, workspace)
           JOIN read.skipped_events s ON s.projection = $1 AND s.workspace = l.workspace"#,
        projection,
        epochs,
        workspaces
    )
    .fetch_all(conn)
    .await?;
    let mut loaded = Loaded::new();
    for row in rows {
        let holds = loaded.entry((row.epoch, row.workspace)).or_default();
        let campaign = row.campaign_id.map(CampaignId);
        match row.stream_type.zip(row.stream_id) {
            Some((stream_type, stream_id)) => holds.add(&ParkedKey { stream_type, stream_id, campaign }, row.position),
            None => holds.skip(row.position, campaign),
        }
    }
    Ok(loaded)
}

/// The index of one log in one epoch, as of its checkpoint's revision.
pub(crate) async fn of_log(
    conn: &mut PgConnection,
    projection: &str,
    epoch: i32,
    workspace: i32,
) -> Result<Arc<ParkedIndex>, sqlx::Error> {
    // The revision is read first: a change after it makes the checkpoint's move fail.
    let revision = sqlx::query_scalar!(
        "SELECT revision FROM read.checkpoints WHERE projection = $1 AND epoch = $2 AND workspace = $3",
        projection,
        epoch,
        workspace
    )
    .fetch_optional(&mut *conn)
    .await?;
    let mut loaded = load(conn, projection, &[epoch], &[workspace]).await?;
    let mut holds = loaded.remove(&(epoch, workspace)).unwrap_or_default();
    holds.revision = revision.unwrap_or(0);
    Ok(Arc::new(holds))
}

/// Counts deferred events. The caller holds the checkpoint.
pub(crate) async fn defer(
    conn: &mut PgConnection,
    projection: &str,
    epoch: i32,
    joined: &BTreeMap<(i32, ParkedKey), DeferredCount>,
) -> Result<(), sqlx::Error> {
    let (workspaces, parts): (Vec<i32>, Vec<&ParkedKey>) =
        joined.keys().map(|(workspace, part)| (*workspace, part)).unzip();
    let types: Vec<String> = parts.iter().map(|part| part.stream_type.clone()).collect();
    let ids: Vec<String> = parts.iter().map(|part| part.stream_id.clone()).collect();
    let campaigns: Vec<Option<Uuid>> = parts.iter().map(|part| part.campaign.map(|campaign| campaign.0)).collect();
    let events: Vec<i64> = joined.values().map(|waiting| waiting.events).collect();
    let last: Vec<i64> = joined.values().map(|waiting| waiting.last).collect();
    sqlx::query!(
        "UPDATE read.parked p
         SET waiting = p.waiting + j.events, last_position = greatest(p.last_position, j.last)
         FROM unnest($3::integer[], $4::text[], $5::text[], $6::uuid[], $7::bigint[], $8::bigint[])
              AS j (workspace, stream_type, stream_id, campaign_id, events, last)
         WHERE p.projection = $1 AND p.epoch = $2 AND p.workspace = j.workspace AND p.stream_id = j.stream_id
           AND p.stream_type = j.stream_type AND p.campaign_id IS NOT DISTINCT FROM j.campaign_id",
        projection,
        epoch,
        &workspaces,
        &types,
        &ids,
        &campaigns as _,
        &events,
        &last
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
