//! Settled sources: those of which every number that is asked for is final. Another run, or the clock, changes nothing
//! that the answer says of them, so its version does not move by them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::freshness::SourceFreshness;
use uuid::Uuid;

use super::plan::Plan;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::parked::ResourceScope;
use crate::sources::{Source, SourcePeriods, periods_of};

/// The settled sources of a question.
#[derive(Debug, Default)]
struct SettledSources {
    /// Also those that the answer does not show.
    all: BTreeSet<Uuid>,
    /// Those that it shows.
    shown: BTreeSet<Uuid>,
}

/// What the version of a report takes of the sources that it watches.
#[derive(Debug)]
pub(super) struct SourceInputs {
    /// The position of the last event of theirs that it rests on.
    pub position: i64,
    /// What the clock makes of them.
    pub deadlines: Vec<SourceFreshness>,
}

/// The inputs of the watched sources, of a question about some campaigns. Settled ones are marked among the periods.
pub(super) async fn inputs(
    snapshot: &mut Snapshot,
    (watched, about): (&[&Source], &ResourceScope),
    periods: &mut SourcePeriods,
    is_expected: impl Fn(&&Source) -> bool,
    plans: &[&Plan],
) -> Result<SourceInputs, ReadError> {
    let unparked = watched.iter().copied().filter(|source| snapshot.parked.events_of(source.id, about) == 0);
    let unparked: Vec<&Source> = unparked.collect();
    let settled = SettledSources::of(&unparked, periods, is_expected, plans, snapshot.now);
    for source in periods.values_mut().filter(|source| settled.contains(source.id)) {
        source.freshness.is_settled = true;
    }
    let last_run = settled.last_run(snapshot, periods, plans).await?;
    let position_of = |source: &&Source| {
        if settled.contains(source.id) { source.settings_position } else { source.last_position }
    };
    let position = watched.iter().map(position_of).max().unwrap_or(0).max(last_run);
    let deadlines = watched.iter().filter_map(|source| settled.freshness_of(source)).collect();
    Ok(SourceInputs { position, deadlines })
}

impl SettledSources {
    /// Those of these watched sources that are settled in every range; none without a range. `is_expected`: whether the
    /// answer shows a period of a source.
    fn of(
        watched: &[&Source],
        periods: &SourcePeriods,
        is_expected: impl Fn(&&Source) -> bool,
        plans: &[&Plan],
        now: DateTime<Utc>,
    ) -> Self {
        let mut settled = Self::default();
        for source in watched.iter().filter(|_| !plans.is_empty()) {
            let shown: Vec<_> = periods_of(periods, source.id).filter(&is_expected).collect();
            let is_final = |plan: &&Plan| {
                let span = plan.range().span;
                let mut asked = shown.iter().filter(|source| source.is_asked_about(span, plan.query_grain));
                asked.all(|source| source.is_final_within(&plan.measures, span, plan.query_grain, now))
            };
            if plans.iter().all(is_final) {
                settled.all.insert(source.id);
                if !shown.is_empty() {
                    settled.shown.insert(source.id);
                }
            }
        }
        settled
    }

    fn contains(&self, source: Uuid) -> bool {
        self.all.contains(&source)
    }

    /// What the clock makes of a source. `None` if that does not show.
    fn freshness_of(&self, source: &Source) -> Option<SourceFreshness> {
        let is_settled = self.contains(source.id);
        let shows = !is_settled || self.shown.contains(&source.id);
        shows.then(|| SourceFreshness { is_settled, ..source.freshness.clone() })
    }

    /// The position of the last run that was needed to settle them; 0 if the clock alone did.
    async fn last_run(
        &self,
        snapshot: &mut Snapshot,
        periods: &SourcePeriods,
        plans: &[&Plan],
    ) -> Result<i64, ReadError> {
        let (mut ids, mut ends, mut settle, mut pushes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for plan in plans {
            let (granularity, zone) = plan.query_grain;
            for source in self.shown.iter().flat_map(|id| periods_of(periods, *id)) {
                let end = source.zone_alignment(granularity, zone).to_source_time(plan.calendar.end());
                let Some(settles_at) = source.freshness.settles_at(&plan.measures, end) else { continue };
                ids.push(source.id);
                ends.push(end);
                settle.push(if source.freshness.is_push { end } else { settles_at });
                pushes.push(source.freshness.is_push);
            }
        }
        if ids.is_empty() {
            return Ok(0);
        }
        let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
        let position = sqlx::query_scalar!(
            r#"SELECT max(first.position)
               FROM unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::boolean[])
                    AS a (source_id, ends, settles_at, is_push)
               CROSS JOIN LATERAL (
                   SELECT r.position FROM read.source_runs r
                   WHERE r.epoch = $1 AND r.workspace = $2 AND r.source_id = a.source_id
                     AND r.completed_at >= a.settles_at AND NOT r.is_reopening AND r.covers_to >= a.ends
                     AND (a.is_push OR r.started_at >= a.settles_at)
                   ORDER BY r.completed_at LIMIT 1
               ) first"#,
            epoch,
            workspace,
            &ids,
            &ends,
            &settle,
            &pushes,
        )
        .fetch_one(snapshot.db())
        .await?;
        Ok(position.unwrap_or(0))
    }
}
