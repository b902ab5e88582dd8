//! Freshness of a workspace now: how far the log is applied in each projection, and how the runs of each source go. It
//! changes with the clock, so it has no version.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use domain::measure::{Measure, MeasureGroup};
use domain::source::Horizon;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::CAMPAIGN_MODEL;
use crate::access::Access;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::parked::ResourceScope;
use crate::read::ReadModel;
use crate::sources::{self, Source};
use crate::status::ReadStatus;

/// The current freshness of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub struct FreshnessBody {
    /// The time of the answer, in whole microseconds.
    pub at: DateTime<Utc>,
    /// The log's last position.
    pub head: i64,
    /// Every epoch of every projection, except those of a verification.
    pub projections: Vec<ProjectionStatus>,
    /// Every source, by name.
    pub sources: Vec<SourceStatusBody>,
}

/// The progress of one epoch of a projection.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProjectionStatus {
    #[schema(example = json!(CAMPAIGN_MODEL))]
    pub projection: String,
    /// Null if no event of the workspace was ever projected.
    pub epoch: Option<i32>,
    /// `live`: answers are read from it. `building`: a rebuild fills it. `standby`: it is kept for a rollback.
    /// `missing`: there is none yet.
    #[schema(value_type = String, example = "live")]
    pub state: &'static str,
    /// The position up to which the log is applied.
    pub applied: i64,
    /// The number of events that are not applied yet.
    pub lag_events: i64,
    /// The age of the oldest event that is not applied yet, in seconds.
    pub lag_s: f64,
    /// Why it stopped, if it did.
    pub stopped: Option<Stop>,
    /// The parked parts, whose events wait while all others are applied. The first 100.
    pub parked: Vec<ParkedPartBody>,
}

/// A parked part of the log: a stream, or one campaign's share of a stream of batches.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ParkedPartBody {
    /// The position of its first waiting event.
    pub position: i64,
    #[schema(example = "observations")]
    pub stream_type: String,
    /// The id of the stream's aggregate or source.
    pub stream: String,
    /// The campaign whose share waits; null for the whole stream.
    pub campaign_id: Option<Uuid>,
    /// The number of waiting events.
    pub events: i64,
    /// Why the first event is refused.
    pub reason: String,
    pub parked_at: DateTime<Utc>,
}

/// The event at which a projection stopped.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stop {
    /// The position of the missing or refused event.
    pub position: i64,
    pub reason: String,
    pub stopped_at: DateTime<Utc>,
}

/// One source, with the status of its syncs.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceStatusBody {
    pub source: String,
    pub source_id: Uuid,
    #[schema(example = "paid_search")]
    pub channel: String,
    /// `push` or `pull`.
    #[schema(value_type = String)]
    pub kind: &'static str,
    /// `primary` or `reference`.
    #[schema(value_type = String)]
    pub role: &'static str,
    /// The roles of single measures.
    #[schema(value_type = Object)]
    pub measure_roles: BTreeMap<Measure, &'static str>,
    pub time_zone: String,
    pub currency: String,
    /// `ok`, `running`, `late`, `failed`, `never` or `ended`.
    #[schema(value_type = String)]
    pub status: &'static str,
    /// The source is complete up to this instant.
    pub complete_through: Option<DateTime<Utc>>,
    /// The source's numbers are final up to this instant.
    pub final_through: Option<DateTime<Utc>>,
    /// The same by group: `delivery` (impressions, clicks, spend, video views, sends) and `conversions` (the rest).
    #[schema(value_type = BTreeMap<String, Option<DateTime<Utc>>>)]
    pub final_through_by: BTreeMap<&'static str, Option<DateTime<Utc>>>,
    /// The start of the run that last read numbers whose horizon has passed since: they are final once a later run has
    /// read them again.
    pub not_reread_since: Option<DateTime<Utc>>,
    /// When it ended, if nothing is expected of it from then on.
    pub ended_at: Option<DateTime<Utc>>,
    /// The grain of its completeness.
    #[schema(value_type = Option<String>)]
    pub grain: Option<&'static str>,
    /// When it becomes late, unless it reports before.
    pub late_at: Option<DateTime<Utc>>,
    pub expected_delay_s: i64,
    /// For how long after a bucket closes its numbers may still change, in seconds, or as a rule such as `month_end +
    /// 40d`: of `delivery`, of `conversions`, and of single measures, where they differ.
    #[schema(value_type = Object)]
    pub horizons: BTreeMap<&'static str, Horizon>,
    pub last_started_at: Option<DateTime<Utc>>,
    pub last_completed_at: Option<DateTime<Utc>>,
    pub last_failed_at: Option<DateTime<Utc>>,
    /// Why the last failed run failed, in the source's words.
    pub failure_reason: Option<String>,
    /// Whether it feeds any campaign.
    pub feeds_campaigns: bool,
    /// The number of its events that are parked, because they could not be applied.
    pub parked: u64,
}

impl ReadModel {
    /// The freshness of everything in a workspace, now.
    pub async fn freshness(&self, access: Access) -> Result<(FreshnessBody, ReadStatus), ReadError> {
        let mut snapshot = Snapshot::take(&self.database, access.workspace).await?;
        let about = ResourceScope::numbers([]);
        let status = snapshot.status(snapshot.parked.count(&about));
        let projections = projections(&mut snapshot).await?;
        let sources = sources::load(&mut snapshot).await?;
        let now = snapshot.now.trunc_subsecs(6);
        let body = |source: Source| {
            let parked = snapshot.parked.events_of(source.id, &about);
            SourceStatusBody::new(source, parked, now)
        };
        let mut sources: Vec<_> = sources.into_values().map(body).collect();
        sources.sort_by(|a, b| a.source.cmp(&b.source));
        Ok((FreshnessBody { at: now, head: snapshot.head, projections, sources }, status))
    }
}

impl SourceStatusBody {
    fn new(source: Source, parked: u64, now: DateTime<Utc>) -> Self {
        let Source { id, definition, freshness, has_data: feeds, .. } = source;
        let final_through = |measures: &[Measure]| {
            let measures = measures.iter().copied().collect();
            freshness.final_through(&measures, now).filter(|_| parked == 0)
        };
        let all: BTreeSet<_> = Measure::ALL.iter().copied().collect();
        // A measure stands for its group, whatever single measures have of their own.
        let groups = [(MeasureGroup::Delivery, Measure::Spend), (MeasureGroup::Conversions, Measure::Conversions)];
        Self {
            status: freshness.status(now).name(),
            final_through: final_through(Measure::ALL),
            final_through_by: groups.into_iter().map(|(group, of)| (group.name(), final_through(&[of]))).collect(),
            not_reread_since: freshness.not_reread_since(&all, (None, now), now),
            ended_at: freshness.ended_at(),
            late_at: freshness.late_at(),
            source: definition.name,
            source_id: id,
            channel: definition.channel.into(),
            kind: definition.kind.name(),
            role: definition.role.name(),
            measure_roles: definition.measure_roles.into_iter().map(|(measure, role)| (measure, role.name())).collect(),
            time_zone: definition.time_zone.into(),
            currency: definition.currency.into(),
            complete_through: freshness.syncs.complete_through,
            grain: freshness.syncs.grain.map(domain::bucket::Grain::name),
            expected_delay_s: definition.expected_delay_s,
            horizons: definition.horizons.by_member().collect(),
            last_started_at: freshness.syncs.last_started_at,
            last_completed_at: freshness.syncs.last_completed_at,
            last_failed_at: freshness.syncs.last_failed_at,
            failure_reason: freshness.syncs.failure_reason,
            feeds_campaigns: feeds,
            parked,
        }
    }
}

async fn projections(snapshot: &mut Snapshot) -> Result<Vec<ProjectionStatus>, ReadError> {
    let (workspace, head, now) = (snapshot.workspace, snapshot.head, snapshot.now);
    let rows = sqlx::query!(
        r#"SELECT e.projection, e.epoch, e.state, l.epoch IS NOT NULL AS "live!", coalesce(c.position, 0) AS "applied!",
                  CASE WHEN coalesce(c.position, 0) < $2
                       THEN log.recorded_at_of($1, coalesce(c.position, 0) + 1) END AS oldest_unapplied,
                  s.position AS "stopped_position?", s.reason AS "stopped_reason?", s.stopped_at AS "stopped_at?"
           FROM read.epochs e
           LEFT JOIN read.live_epochs l ON l.projection = e.projection AND l.epoch = e.epoch AND l.workspace = $1
           LEFT JOIN read.checkpoints c ON c.projection = e.projection AND c.epoch = e.epoch AND c.workspace = $1
           LEFT JOIN read.stopped_logs s ON s.projection = e.projection AND s.epoch = e.epoch AND s.workspace = $1
           WHERE e.state NOT IN ('dropping', 'verifying')
           ORDER BY e.projection, e.epoch"#,
        workspace,
        head,
    )
    .fetch_all(snapshot.db())
    .await?;
    let mut parked = parked(snapshot).await?;
    let mut projections: Vec<_> = rows
        .into_iter()
        .map(|row| ProjectionStatus {
            state: match (row.live, row.state.as_str()) {
                (true, _) => "live",
                (false, "building") => "building",
                (false, _) => "standby",
            },
            epoch: Some(row.epoch),
            applied: row.applied,
            lag_events: (head - row.applied).max(0),
            lag_s: row.oldest_unapplied.map_or(0.0, |recorded_at| seconds(now - recorded_at)),
            parked: parked.remove(&(row.projection.clone(), row.epoch)).unwrap_or_default(),
            projection: row.projection,
            stopped: row
                .stopped_position
                .zip(row.stopped_reason)
                .zip(row.stopped_at)
                .map(|((position, reason), stopped_at)| Stop { position, reason, stopped_at }),
        })
        .collect();
    // A missing projection lags behind by the whole log.
    if !projections.iter().any(|status| status.projection == CAMPAIGN_MODEL && status.state == "live") {
        projections.push(ProjectionStatus {
            projection: CAMPAIGN_MODEL.to_owned(),
            epoch: None,
            state: "missing",
            applied: 0,
            lag_events: head,
            lag_s: seconds(snapshot.lag()),
            stopped: None,
            parked: Vec::new(),
        });
    }
    Ok(projections)
}

/// The parked parts, by projection and epoch.
async fn parked(snapshot: &mut Snapshot) -> Result<BTreeMap<(String, i32), Vec<ParkedPartBody>>, ReadError> {
    let workspace = snapshot.workspace;
    let rows = sqlx::query!(
        r#"SELECT projection AS "projection!", epoch AS "epoch!", position AS "position!",
                  stream_type AS "stream_type!", stream_id AS "stream_id!", campaign_id, waiting AS "waiting!",
                  reason AS "reason!", parked_at AS "parked_at!"
           FROM (
               SELECT p.*, row_number() OVER (PARTITION BY p.projection, p.epoch
                                              ORDER BY p.position, p.stream_type, p.stream_id, p.campaign_id) AS place
               FROM read.epochs e
               JOIN read.parked p ON p.projection = e.projection AND p.epoch = e.epoch AND p.workspace = $1
           ) parts
           WHERE place <= 100 ORDER BY projection, epoch, place"#,
        workspace,
    )
    .fetch_all(snapshot.db())
    .await?;
    let mut parked: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows {
        parked.entry((row.projection, row.epoch)).or_default().push(ParkedPartBody {
            position: row.position,
            stream: row.stream_id.split_once('/').map_or(row.stream_id.as_str(), |(_, id)| id).to_owned(),
            stream_type: row.stream_type,
            campaign_id: row.campaign_id,
            events: row.waiting,
            reason: row.reason,
            parked_at: row.parked_at,
        });
    }
    Ok(parked)
}

fn seconds(lag: TimeDelta) -> f64 {
    (lag.as_seconds_f64().max(0.0) * 1_000.0).round() / 1_000.0
}
