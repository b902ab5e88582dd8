//! Versions: what a result depends on. A version may change needlessly; it never stays the same when the result changed.
//! A 304 rests on it: the ETag is model, epoch, version and the hash of the query ([`ResultId`](crate::ResultId)).
//!
//! A version is `<position>.<boundary>.<revision>`. `position` is the maximum of these:
//!
//! | input | what it covers | queries that use it |
//! | --- | --- | --- |
//! | `read.scope_marks`, `campaign:<id>:<month>` | a campaign's numbers in each UTC month that the ranges touch | reports of at most 100 campaigns, dashboards, pacing, corrections |
//! | `read.scope_marks`, `month:<month>` | the numbers of any campaign in those months | other reports, dashboards |
//! | `read.campaigns`, the rows in scope | which campaigns there are, and their own fields | all but activity and leaderboard |
//! | `read.campaign_sources`, the rows in scope | the first event by which a source fed a campaign | all but the leaderboard |
//! | `read.activity`, the campaign's rows | what was decided and corrected | activity |
//! | mark `source:<id>` of the watched sources ([`Source::last_position`](crate::sources::Source::last_position)) | definition, completeness and status | reports, dashboards, pacing; campaigns filtered by source |
//! | the last event that waits in a parked part | that the answer lacks more than before | reports, dashboards, pacing, leaderboard |
//! | the position of the last revision | parts that were parked, retried or skipped | all |
//! | the position of the last refresh | which state of the log the ranks show | leaderboard |
//!
//! A report watches the sources that feed its campaigns. It watches all sources if it is of the whole workspace, or filters by
//! source, channel or status.
//!
//! `boundary` is the last of these instants up to now:
//!
//! | input | queries that use it |
//! | --- | --- |
//! | the ends of buckets, of both ranges, also in the zones of the watched sources | reports, dashboards, pacing |
//! | the deadlines of the watched sources: a restatement horizon passed, a run became late | reports, dashboards, pacing |
//! | the start of a launched campaign, which becomes active | one campaign, campaigns; reports filtered by status |
//! | when retention dropped rows that the range needs | reports, dashboards, pacing, corrections |
//! | the last refresh | leaderboard |
//!
//! `revision` counts how often parts of the log were parked, retried or skipped (`read.checkpoints`). It is in every version,
//! because rows then change without a new event.
//!
//! A dashboard has the maximum of its reports. If one of them is refused as things are now, its version is the checkpoint and
//! the current time.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::ReadError;
use crate::snapshot::Snapshot;

/// The most campaigns that a query watches one by one; beyond, it watches them all.
const MAX_WATCHED: usize = 100;

/// A result's version: `<position>.<boundary>`, and `.<revision>` once something was parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    position: i64,
    revision: i32,
    /// `None` when the clock has not changed anything yet.
    boundary: Option<DateTime<Utc>>,
}

/// What changed an epoch's rows, or what is said of them, without a new event: that something was parked, applied later or
/// left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revision {
    /// How often.
    pub count: i32,
    /// Up to where the log was applied when it last happened.
    pub position: i64,
}

impl Version {
    pub fn new(revision: Revision, position: i64, boundary: Option<DateTime<Utc>>) -> Self {
        Self { position: position.max(revision.position), revision: revision.count, boundary }
    }

    /// The version of two results told as one.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            position: self.position.max(other.position),
            revision: self.revision.max(other.revision),
            boundary: self.boundary.max(other.boundary),
        }
    }

    /// The instant as of which the result is true. What moves with the clock all the time is told as of then.
    pub fn as_of(self) -> DateTime<Utc> {
        self.boundary.unwrap_or_default()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.position, self.boundary.map_or(0, |boundary| boundary.timestamp()))?;
        if self.revision > 0 { write!(f, ".{}", self.revision) } else { Ok(()) }
    }
}

/// Whose events may change a result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Those of these campaigns.
    Campaigns(Vec<Uuid>),
    /// Those of any campaign.
    Workspace,
}

/// What last touched a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastChange {
    /// The last event's position.
    pub position: i64,
    /// When the clock last made a launched campaign active.
    pub last_start: Option<DateTime<Utc>>,
    /// When it next will.
    pub next_start: Option<DateTime<Utc>>,
}

impl Scope {
    /// The scope of a query that is about these campaigns; about all of them if it names none.
    pub(crate) fn of(campaigns: impl IntoIterator<Item = Uuid>) -> Self {
        let campaigns: Vec<_> = campaigns.into_iter().take(MAX_WATCHED + 1).collect();
        if campaigns.is_empty() || campaigns.len() > MAX_WATCHED { Self::Workspace } else { Self::Campaigns(campaigns) }
    }

    /// The marks of its numbers in these months.
    fn marks(&self, months: &[String]) -> Vec<String> {
        match self {
            Self::Workspace => months.iter().map(|month| format!("month:{month}")).collect(),
            Self::Campaigns(campaigns) => {
                let of_campaign = |id: &Uuid| {
                    let campaign = id.as_hyphenated().to_string();
                    months.iter().map(move |month| format!("campaign:{campaign}:{month}"))
                };
                campaigns.iter().flat_map(of_campaign).collect()
            }
        }
    }

    /// What last touched its campaigns, what feeds them, and their numbers in these months.
    pub(crate) async fn last_change(
        &self,
        snapshot: &mut Snapshot,
        months: &[String],
    ) -> Result<LastChange, ReadError> {
        let marks = self.marks(months);
        match self {
            Self::Workspace => workspace_touched(snapshot, &marks).await,
            Self::Campaigns(campaigns) => campaigns_touched(snapshot, &marks, campaigns).await,
        }
    }
}

async fn workspace_touched(snapshot: &mut Snapshot, marks: &[String]) -> Result<LastChange, ReadError> {
    let (epoch, workspace, now) = (snapshot.epoch, snapshot.workspace, snapshot.now);
    let touched = sqlx::query_as!(
        LastChange,
        r#"SELECT greatest(
               0,
               (SELECT max(position) FROM read.scope_marks WHERE epoch = $1 AND workspace = $2 AND scope = ANY($3)),
               (SELECT max(position) FROM read.campaigns WHERE epoch = $1 AND workspace = $2),
               (SELECT max(position) FROM read.campaign_sources WHERE epoch = $1 AND workspace = $2)
           ) AS "position!",
           (SELECT max(starts_at) FROM read.campaigns
            WHERE epoch = $1 AND workspace = $2 AND state = 'launched' AND starts_at <= $4) AS last_start,
           (SELECT min(starts_at) FROM read.campaigns
            WHERE epoch = $1 AND workspace = $2 AND state = 'launched' AND starts_at > $4) AS next_start"#,
        epoch,
        workspace,
        marks,
        now,
    )
    .fetch_one(snapshot.db())
    .await?;
    Ok(touched)
}

async fn campaigns_touched(
    snapshot: &mut Snapshot,
    marks: &[String],
    campaigns: &[Uuid],
) -> Result<LastChange, ReadError> {
    let (epoch, workspace, now) = (snapshot.epoch, snapshot.workspace, snapshot.now);
    let touched = sqlx::query_as!(
        LastChange,
        r#"WITH watched AS MATERIALIZED (
               SELECT position, CASE WHEN state = 'launched' THEN starts_at END AS starts_at
               FROM read.campaigns WHERE epoch = $1 AND workspace = $2 AND campaign_id = ANY($5)
           )
           SELECT greatest(
               0,
               (SELECT max(position) FROM read.scope_marks WHERE epoch = $1 AND workspace = $2 AND scope = ANY($3)),
               (SELECT max(position) FROM watched),
               -- OFFSET: by campaign, not backwards through all positions until one is met.
               (SELECT max(position) FROM (SELECT position FROM read.campaign_sources
                                           WHERE epoch = $1 AND workspace = $2 AND campaign_id = ANY($5) OFFSET 0) fed)
           ) AS "position!",
           (SELECT max(starts_at) FROM watched WHERE starts_at <= $4) AS last_start,
           (SELECT min(starts_at) FROM watched WHERE starts_at > $4) AS next_start"#,
        epoch,
        workspace,
        marks,
        now,
        campaigns,
    )
    .fetch_one(snapshot.db())
    .await?;
    Ok(touched)
}

#[cfg(test)]
mod tests;
