//! `read.plan_changes`: how each campaign's plan changed: its budget, and whether it may run.
//!
//! A row says what one event decided. Its key ends in its place in the log, so there is nothing to combine. Pacing
//! reads the rows of a campaign in the order of their positions ([`DailyPlan`](domain::pacing::DailyPlan)).

use chrono::{DateTime, Utc};
use domain::event::Event;
use domain::pacing::{PlanChange, PlanDecision};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

/// The columns of the rows, each as long as the others.
#[derive(Debug, Default)]
pub(super) struct PlanChanges {
    workspaces: Vec<i32>,
    campaigns: Vec<Uuid>,
    positions: Vec<i64>,
    changed: Vec<DateTime<Utc>>,
    states: Vec<Option<&'static str>>,
    budget_micros: Vec<Option<i64>>,
    budget_currencies: Vec<Option<String>>,
    budget_pers: Vec<Option<&'static str>>,
}

impl View for PlanChanges {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        let event = match &recorded.event {
            Event::Campaign(event) => event,
            Event::Workspace(_) | Event::Source(_) | Event::Observations(_) | Event::Statements(_) | Event::Sync(_) => {
                return Ok(());
            }
        };
        let Some(PlanChange { at, decision }) = PlanChange::of(event) else { return Ok(()) };
        let (state, budget) = match decision {
            PlanDecision::State(state) => (Some(state.name()), None),
            PlanDecision::Budget(budget) => (None, budget),
        };
        self.workspaces.push(recorded.workspace);
        self.campaigns.push(recorded.campaign()?.0);
        self.positions.push(recorded.position);
        self.changed.push(at);
        self.states.push(state);
        self.budget_micros.push(budget.map(|budget| budget.amount.micros));
        self.budget_currencies.push(budget.map(|budget| budget.amount.currency.to_string()));
        self.budget_pers.push(budget.map(|budget| budget.per.name()));
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        let later = downcast::<Self>(later);
        self.workspaces.extend(later.workspaces);
        self.campaigns.extend(later.campaigns);
        self.positions.extend(later.positions);
        self.changed.extend(later.changed);
        self.states.extend(later.states);
        self.budget_micros.extend(later.budget_micros);
        self.budget_currencies.extend(later.budget_currencies);
        self.budget_pers.extend(later.budget_pers);
    }

    fn pending_rows(&self) -> usize {
        self.workspaces.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.workspaces.is_empty() {
                return Ok(());
            }
            sqlx::query!(
                "INSERT INTO read.plan_changes (epoch, workspace, campaign_id, position, changed_at, state,
                                                budget_micros, budget_currency, budget_per)
                 SELECT $1, p.* FROM unnest($2::integer[], $3::uuid[], $4::bigint[], $5::timestamptz[], $6::text[],
                                            $7::bigint[], $8::text[], $9::text[]) AS p",
                epoch,
                &self.workspaces,
                &self.campaigns,
                &self.positions,
                &self.changed,
                &self.states as _,
                &self.budget_micros as _,
                &self.budget_currencies as _,
                &self.budget_pers as _,
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}
