//! The steps from one version of an event's payload to the next.

use serde_json::{Value, json};

/// `CampaignCreated` and `CampaignBudgetSet`, 1 to 2. Version 1 had only a budget for the whole campaign, as a bare
/// amount `{micros, currency}`; version 2 adds its period.
pub(super) fn budget_v1_to_v2(mut payload: Value) -> Value {
    let body = payload.as_object_mut().and_then(|by_name| by_name.values_mut().next());
    if let Some(budget @ Value::Object(_)) = body.and_then(|body| body.get_mut("budget")) {
        *budget = json!({"amount": budget.take(), "per": "total"});
    }
    payload
}
