//! `read.scope_marks`: the position of the last event that touched each scope: what a result's version is made of.
//!
//! A mark may move though nothing in its scope changed (a statement that loses against a newer one); it never stays when
//! something did. A maximum does not depend on batches.

use std::collections::HashMap;
use std::fmt;

use chrono::TimeDelta;
use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use domain::observation::ObservationsRecorded;
use domain::source::SourceEvent;
use domain::statement::StatementsRecorded;
use futures_util::future::BoxFuture;
use sqlx::PgConnection;

use super::observed::{Month, observed_months};
use crate::engine::{Recorded, Refusal, View, WriteError};

/// By (workspace, scope): the position.
#[derive(Debug, Default)]
pub(super) struct ScopeMarks(HashMap<(i32, Scope), i64>);

/// Something that results are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Scope {
    Workspace,
    Month(Month),
    Campaign(CampaignId),
    CampaignMonth(CampaignId, Month),
    Source(SourceId),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace => f.write_str("workspace"),
            Self::Month(month) => write!(f, "month:{month}"),
            Self::Campaign(campaign) => write!(f, "campaign:{campaign}"),
            Self::CampaignMonth(campaign, month) => write!(f, "campaign:{campaign}:{month}"),
            Self::Source(source) => write!(f, "source:{source}"),
        }
    }
}

impl View for ScopeMarks {
    fn absorb(&mut self, recorded: &Recorded<'_>) -> Result<(), Refusal> {
        self.mark(recorded, Scope::Workspace);
        match &recorded.event {
            Event::Workspace(_) => {}
            Event::Campaign(_) => self.mark(recorded, Scope::Campaign(recorded.campaign()?)),
            Event::Source(SourceEvent::SourceRegistered { source, .. }) => self.mark(recorded, Scope::Source(*source)),
            Event::Sync(event) => self.mark(recorded, Scope::Source(event.source())),
            Event::Observations(batch) => self.mark_observations(recorded, batch)?,
            Event::Statements(batch) => self.mark_statements(recorded, batch)?,
        }
        Ok(())
    }

    fn rows(&self) -> usize {
        self.0.len()
    }

    fn write<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.0.is_empty() {
                return Ok(());
            }
            let mut rows: Vec<(&(i32, Scope), &i64)> = self.0.iter().collect();
            rows.sort_unstable();
            let workspaces: Vec<i32> = rows.iter().map(|((workspace, _), _)| *workspace).collect();
            let scopes: Vec<String> = rows.iter().map(|((_, scope), _)| scope.to_string()).collect();
            let positions: Vec<i64> = rows.iter().map(|(_, position)| **position).collect();
            sqlx::query!(
                "INSERT INTO read.scope_marks AS m (epoch, workspace, scope, position)
                 SELECT $1, * FROM unnest($2::integer[], $3::text[], $4::bigint[])
                 ON CONFLICT (epoch, workspace, scope) DO UPDATE SET position = greatest(m.position, excluded.position)",
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
    fn mark(&mut self, recorded: &Recorded<'_>, scope: Scope) {
        self.0.insert((recorded.workspace, scope), recorded.position);
    }

    fn mark_numbers(&mut self, recorded: &Recorded<'_>, campaign: CampaignId, month: Month) {
        self.mark(recorded, Scope::Campaign(campaign));
        self.mark(recorded, Scope::Month(month));
        self.mark(recorded, Scope::CampaignMonth(campaign, month));
    }

    fn mark_observations(&mut self, recorded: &Recorded<'_>, batch: &ObservationsRecorded) -> Result<(), Refusal> {
        // A 15-minute UTC bucket lies in one UTC month, the one of every instant in it.
        for (campaign, month) in observed_months(batch)? {
            self.mark_numbers(recorded, campaign, month);
        }
        Ok(())
    }

    fn mark_statements(&mut self, recorded: &Recorded<'_>, batch: &StatementsRecorded) -> Result<(), Refusal> {
        let mut marked = None;
        for statement in &batch.statements {
            let span = statement.bucket.resolve(batch.grain, batch.time_zone)?;
            // A bucket is at most a day long, so it touches the months of its first and its last instant.
            let months = (Month::of(span.start), Month::of(span.end - TimeDelta::microseconds(1)));
            if marked != Some((statement.campaign, months)) {
                self.mark_numbers(recorded, statement.campaign, months.0);
                self.mark_numbers(recorded, statement.campaign, months.1);
                marked = Some((statement.campaign, months));
            }
        }
        Ok(())
    }
}
