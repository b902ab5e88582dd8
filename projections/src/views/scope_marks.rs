//! `read.scope_marks`: the position of the last event that touched each scope, from which a result's version is made.
//!
//! A mark may move although nothing in its scope changed, for example by a statement that loses against a newer one. It
//! always moves when something changed. A maximum does not depend on batches.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::bucket::Bucket;
use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use domain::observation::ObservationsRecorded;
use domain::statement::StatementsRecorded;
use domain::sync::SyncEvent;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;

use super::observed::{Month, ObservedMonths};
use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

const SECONDS_PER_HOUR: i64 = 3_600;

#[derive(Debug, Default)]
pub(super) struct ScopeMarks {
    /// Positions by (workspace, scope). The mark of a campaign's month also marks the campaign and the month, and is
    /// stored once.
    marks: HashMap<(i32, Scope), i64, foldhash::fast::RandomState>,
    /// Positions by workspace. Every event marks its workspace, so the last one is kept at hand.
    workspaces: Vec<(i32, i64)>,
    months: ObservedMonths,
}

/// A scope of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Scope {
    Workspace,
    Month(Month),
    /// A UTC day of what is pushed, and of totals of hours.
    Day(NaiveDate),
    /// A UTC hour of it, by its number since 1970.
    Hour(i64),
    /// The date of totals of days.
    Date(NaiveDate),
    Campaign(CampaignId),
    CampaignMonth(CampaignId, Month),
    Source(SourceId),
    /// What a source is, and to where it took its completeness back.
    SourceSettings(SourceId),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace => f.write_str("workspace"),
            Self::Month(month) => write!(f, "month:{month}"),
            Self::Day(day) => write!(f, "day:{day}"),
            Self::Hour(hour) => match DateTime::from_timestamp(hour * SECONDS_PER_HOUR, 0) {
                Some(start) => write!(f, "hour:{}", start.format("%Y-%m-%dT%H")),
                None => write!(f, "hour:{hour}"),
            },
            Self::Date(date) => write!(f, "date:{date}"),
            Self::Campaign(campaign) => write!(f, "campaign:{campaign}"),
            Self::CampaignMonth(campaign, month) => write!(f, "campaign:{campaign}:{month}"),
            Self::Source(source) => write!(f, "source:{source}"),
            Self::SourceSettings(source) => write!(f, "source:{source}:settings"),
        }
    }
}

impl View for ScopeMarks {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        self.mark_workspace(recorded.workspace, recorded.position);
        match &recorded.event {
            Event::Workspace(_) => {}
            Event::Campaign(_) => self.mark(recorded, Scope::Campaign(recorded.campaign()?)),
            Event::Source(event) => self.mark(recorded, Scope::SourceSettings(event.source())),
            Event::Sync(event @ SyncEvent::SyncReopened { .. }) => {
                self.mark(recorded, Scope::SourceSettings(event.source()));
            }
            Event::Sync(event) => self.mark(recorded, Scope::Source(event.source())),
            Event::Observations(batch) => self.mark_observations(recorded, batch)?,
            Event::Statements(batch) => self.mark_statements(recorded, batch)?,
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        let later = downcast::<Self>(later);
        self.marks.extend(later.marks);
        for (workspace, position) in later.workspaces {
            self.mark_workspace(workspace, position);
        }
    }

    fn pending_rows(&self) -> usize {
        self.marks.len() + self.workspaces.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.workspaces.is_empty() {
                return Ok(());
            }
            let rows = self.all();
            let workspaces: Vec<i32> = rows.keys().map(|(workspace, _)| *workspace).collect();
            let scopes: Vec<String> = rows.keys().map(|(_, scope)| scope.to_string()).collect();
            let positions: Vec<i64> = rows.values().copied().collect();
            sqlx::query!(
                "INSERT INTO read.scope_marks AS m (epoch, workspace, scope, position)
                 SELECT $1, * FROM unnest($2::integer[], $3::text[], $4::bigint[])
                 ON CONFLICT (epoch, workspace, scope)
                 DO UPDATE SET position = greatest(m.position, excluded.position)",
                epoch,
                &workspaces,
                &scopes,
                &positions
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}

impl ScopeMarks {
    fn mark_workspace(&mut self, workspace: i32, position: i64) {
        match self.workspaces.last_mut() {
            Some((last, marked)) if *last == workspace => *marked = position,
            _ => self.workspaces.push((workspace, position)),
        }
    }

    fn mark(&mut self, recorded: &EventEnvelope<'_>, scope: Scope) {
        self.marks.insert((recorded.workspace, scope), recorded.position);
    }

    /// The marks, with those of the scopes that contain them.
    fn all(&self) -> BTreeMap<(i32, Scope), i64> {
        let mut all = BTreeMap::new();
        let mut mark = |workspace: i32, scope: Scope, position: i64| {
            let last = all.entry((workspace, scope)).or_insert(position);
            *last = position.max(*last);
        };
        for &(workspace, position) in &self.workspaces {
            mark(workspace, Scope::Workspace, position);
        }
        for (&(workspace, scope), &position) in &self.marks {
            mark(workspace, scope, position);
            match scope {
                Scope::CampaignMonth(campaign, month) => {
                    mark(workspace, Scope::Campaign(campaign), position);
                    mark(workspace, Scope::Month(month), position);
                }
                Scope::Hour(hour) => {
                    let start = DateTime::from_timestamp(hour * SECONDS_PER_HOUR, 0);
                    if let Some(start) = start {
                        mark(workspace, Scope::Day(start.date_naive()), position);
                    }
                }
                Scope::SourceSettings(source) => mark(workspace, Scope::Source(source), position),
                Scope::Workspace
                | Scope::Month(_)
                | Scope::Day(_)
                | Scope::Date(_)
                | Scope::Campaign(_)
                | Scope::Source(_) => {}
            }
        }
        all
    }

    fn mark_observations(
        &mut self,
        recorded: &EventEnvelope<'_>,
        batch: &ObservationsRecorded,
    ) -> Result<(), ApplyError> {
        // A 15-minute UTC bucket lies in one UTC hour and month, those of every instant in it.
        for &(campaign, month) in self.months.of(batch)? {
            let scope = Scope::CampaignMonth(campaign, month);
            self.marks.insert((recorded.workspace, scope), recorded.position);
        }
        let mut last = None;
        for observation in &batch.observations {
            let hour = observation.occurred_at.timestamp().div_euclid(SECONDS_PER_HOUR);
            if last.replace(hour) != Some(hour) {
                self.marks.insert((recorded.workspace, Scope::Hour(hour)), recorded.position);
            }
        }
        Ok(())
    }

    fn mark_statements(&mut self, recorded: &EventEnvelope<'_>, batch: &StatementsRecorded) -> Result<(), ApplyError> {
        let mut marked = None;
        for statement in &batch.statements {
            let span = statement.bucket.resolve(batch.grain, batch.time_zone)?;
            self.mark_stated_time(recorded, statement.bucket, (span.start, span.end));
            // A bucket is at most a day long, so it touches the months of its first and its last instant.
            let months = (Month::of(span.start), Month::of(span.end - TimeDelta::microseconds(1)));
            if marked != Some((statement.campaign, months)) {
                self.mark(recorded, Scope::CampaignMonth(statement.campaign, months.0));
                self.mark(recorded, Scope::CampaignMonth(statement.campaign, months.1));
                marked = Some((statement.campaign, months));
            }
        }
        Ok(())
    }

    /// Totals of days are read by the date that they state, others by their instants.
    fn mark_stated_time(
        &mut self,
        recorded: &EventEnvelope<'_>,
        bucket: Bucket,
        (start, end): (DateTime<Utc>, DateTime<Utc>),
    ) {
        if let Bucket::Day(date) = bucket {
            return self.mark(recorded, Scope::Date(date));
        }
        let hour = |instant: DateTime<Utc>| instant.timestamp().div_euclid(SECONDS_PER_HOUR);
        for hour in hour(start)..=hour(end - TimeDelta::microseconds(1)) {
            self.mark(recorded, Scope::Hour(hour));
        }
    }
}
