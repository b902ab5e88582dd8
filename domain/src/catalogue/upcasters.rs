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

/// `SourceRegistered`, 1 to 2. Version 1 knew one horizon for all measures, in seconds; version 2 tells delivery and
/// conversions apart.
pub(super) fn horizon_v1_to_v2(mut payload: Value) -> Value {
    let definition = payload.pointer_mut("/SourceRegistered/definition").and_then(Value::as_object_mut);
    if let Some(definition) = definition
        && let Some(seconds) = definition.remove("restatement_horizon_s")
    {
        definition.insert("horizons".to_owned(), json!({"delivery": seconds.clone(), "conversions": seconds}));
    }
    payload
}

/// `SyncCompleted`, 1 to 2. Version 1 did not say how far back the run had read again; it is taken to have read
/// everything that any horizon holds open.
pub(super) fn completed_v1_to_v2(mut payload: Value) -> Value {
    const LONGEST_HORIZON_S: i64 = 400 * 86_400;
    if let Some(completed) = payload.get_mut("SyncCompleted").and_then(Value::as_object_mut) {
        completed.insert("lookback_s".to_owned(), json!(LONGEST_HORIZON_S));
    }
    payload
}
