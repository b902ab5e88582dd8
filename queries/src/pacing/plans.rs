//! How the plans of campaigns changed, as the read table has it.

use std::collections::HashMap;

use domain::campaign::Budget;
use domain::pacing::{DailyPlan, PlanChange, PlanDecision};
use domain::zone::Zone;
use uuid::Uuid;

use crate::campaign::budget;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;

/// The changes of each of these campaigns, in their order.
pub(super) async fn of(
    snapshot: &mut Snapshot,
    campaigns: &[Uuid],
) -> Result<HashMap<Uuid, Vec<PlanChange>>, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let rows = sqlx::query!(
        "SELECT campaign_id, changed_at, state, budget_micros, budget_currency, budget_per
         FROM read.plan_changes WHERE epoch = $1 AND workspace = $2 AND campaign_id = ANY($3)
         ORDER BY campaign_id, position",
        epoch,
        workspace,
        campaigns,
    )
    .fetch_all(snapshot.db())
    .await?;
    let mut changes: HashMap<Uuid, Vec<PlanChange>> = HashMap::new();
    for row in rows {
        let decision = match (&row.state, &row.budget_currency) {
            (Some(state), _) => PlanDecision::State(state.parse().map_err(ReadError::corrupt)?),
            (None, Some(currency)) => {
                let currency = currency.parse().map_err(ReadError::corrupt)?;
                PlanDecision::Budget(budget(row.budget_micros, row.budget_per.as_deref(), currency)?)
            }
            (None, None) => PlanDecision::Budget(None),
        };
        changes.entry(row.campaign_id).or_default().push(PlanChange { at: row.changed_at, decision });
    }
    Ok(changes)
}

/// The plan that these changes make; that of `now` on all days where the table has none, as in an epoch of before.
pub(super) fn plan(changes: Option<Vec<PlanChange>>, zone: Zone, now: Option<Budget>) -> DailyPlan {
    let plan = DailyPlan::new(changes.unwrap_or_default(), zone);
    if plan.is_empty() { DailyPlan::constant(now) } else { plan }
}
