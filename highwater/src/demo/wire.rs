//! The demo's data as bodies of the command API.

use chrono::{DateTime, Days, NaiveDate, SecondsFormat, Utc};
use domain::bucket::{Bucket, Grain};
use domain::decimal::format_millionths;
use domain::measure::{Measure, Unit};
use domain::source::{SourceKind, SourceRole};
use serde_json::{Map, Value, json};

use super::observations::Draft;
use super::scenario::{CURRENCY, DemoCampaign, DemoSource, TIME_ZONE};
use super::schedule::MessageKind;
use super::statements::{StatementDraft, complete_through};

/// The body that registers a source.
pub fn source(source: &DemoSource) -> Value {
    json!({
        "name": source.name,
        "channel": source.channel,
        "kind": match source.kind { SourceKind::Push => "push", SourceKind::Pull => "pull" },
        "role": match source.role { SourceRole::Primary => "primary", SourceRole::Reference => "reference" },
        "time_zone": TIME_ZONE.name(),
        "currency": CURRENCY,
        "expected_delay_s": source.expected_delay_s,
        "restatement_horizon_s": source.restatement_horizon_s,
    })
}

/// The body that creates a campaign of a workspace that was opened on `opened_on`.
pub fn campaign(campaign: &DemoCampaign, opened_on: NaiveDate) -> Value {
    json!({
        "name": campaign.name,
        "channels": campaign.channels,
        "currency": CURRENCY,
        "time_zone": TIME_ZONE.name(),
        "starts_on": days_from(opened_on, campaign.starts),
        "ends_on": campaign.ends.map(|ends| days_from(opened_on, ends)),
        "external_ids": [{ "id": campaign.external_id }],
        "attributes": { "made_by": "highwater dev" },
    })
}

fn days_from(date: NaiveDate, days: i64) -> NaiveDate {
    let distance = Days::new(days.unsigned_abs());
    let moved = if days < 0 { date.checked_sub_days(distance) } else { date.checked_add_days(distance) };
    moved.unwrap_or(date)
}

/// The body that sets a budget of whole units.
pub fn budget(whole: u32) -> Value {
    json!({ "budget": { "amount": format!("{whole}.00"), "currency": CURRENCY } })
}

/// The body that sends observations.
pub fn observations(source: &DemoSource, drafts: &[Draft]) -> Value {
    let observations: Vec<Value> = drafts.iter().map(observation).collect();
    json!({ "source": source.name, "observations": observations })
}

fn observation(draft: &Draft) -> Value {
    if let Some(original) = &draft.retracts {
        let occurred_at = instant(draft.occurred_at);
        return json!({ "id": draft.id, "type": draft.kind.name(), "occurred_at": occurred_at, "adjusts": original });
    }
    let mut members = Map::new();
    members.insert("id".to_owned(), json!(draft.id));
    members.insert("external_campaign_id".to_owned(), json!(draft.campaign));
    members.insert("type".to_owned(), json!(draft.kind.name()));
    members.insert("occurred_at".to_owned(), json!(instant(draft.occurred_at)));
    if draft.kind.count_measure().is_some() {
        members.insert("count".to_owned(), json!(draft.count));
    }
    if let Some(micros) = draft.value_micros {
        members.insert("value".to_owned(), json!({ "amount": format_millionths(micros.into()), "currency": CURRENCY }));
    }
    if !draft.dimensions.is_empty() {
        members.insert("dimensions".to_owned(), json!(draft.dimensions));
    }
    Value::Object(members)
}

/// The body that states totals, as of `stated_at`.
pub fn statements(source: &DemoSource, drafts: &[StatementDraft], stated_at: DateTime<Utc>) -> Value {
    let statements: Vec<Value> = drafts
        .iter()
        .map(|draft| {
            let measures: Map<String, Value> =
                draft.measures.iter().map(|(measure, value)| stated(*measure, *value)).collect();
            let bucket = match draft.bucket {
                Bucket::Day(date) => date.to_string(),
                Bucket::Starts(start) => start.to_rfc3339_opts(SecondsFormat::Secs, true),
            };
            json!({
                "external_campaign_id": draft.campaign,
                "bucket": bucket,
                "measures": measures,
                "stated_at": instant(stated_at),
            })
        })
        .collect();
    json!({
        "source": source.name,
        "grain": grain(source.grain),
        "time_zone": TIME_ZONE.name(),
        "statements": statements,
    })
}

fn stated(measure: Measure, value: u64) -> (String, Value) {
    let value = match measure.unit() {
        Unit::Count => json!(value),
        Unit::Credit | Unit::Money | Unit::Ratio => json!(format_millionths(value.into())),
    };
    (measure.name().to_owned(), value)
}

/// The body that reports on a run.
pub fn sync(source: &DemoSource, kind: &MessageKind) -> Value {
    match kind {
        MessageKind::Started => json!({ "status": "started" }),
        MessageKind::Completed { quarter_end } => json!({
            "status": "completed",
            "complete_through": instant(complete_through(source.grain, *quarter_end)),
            "grain": grain(source.grain),
        }),
        MessageKind::Failed { reason } => json!({ "status": "failed", "reason": reason }),
    }
}

fn grain(grain: Grain) -> &'static str {
    match grain {
        Grain::QuarterHour => "15m",
        Grain::Hour => "hour",
        Grain::Day => "day",
    }
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
