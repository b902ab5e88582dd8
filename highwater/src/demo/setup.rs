//! Registers the demo's sources and campaigns and sends their history. Each step is repeatable: after a restart or an
//! interrupted setup, what exists already stays.

use chrono::{DateTime, TimeDelta, Utc};
use domain::source::SourceKind;
use reqwest::StatusCode;
use serde_json::Value;

use super::observations::{Draft, of_past_hour};
use super::scenario::{CAMPAIGNS, CampaignLifecycle, DemoCampaign, DemoSource, SOURCES};
use super::statements::{as_of, history_starts, hours, local_date};
use super::wire;
use crate::client::{ApiClient, ApiResponse, ClientError};

/// The number of days of observations before the opening. Their ids are kept for a week.
const PUSHED_DAYS: i64 = 6;
/// The number of days of statements before the opening.
pub const STATED_DAYS: i64 = 14;
/// How long after the opening the pushed history may be sent again within the window of ids.
const PUSHED_AGAIN_FOR: TimeDelta = TimeDelta::hours(20);
/// The most items of one request.
pub const BATCH: usize = 1_000;

/// Sets the workspace up for live traffic.
pub async fn run(
    client: &ApiClient,
    opened_at: DateTime<Utc>,
    now: DateTime<Utc>,
    rate: u32,
) -> Result<(), ClientError> {
    for source in SOURCES {
        let answer = client.post(&["v1", "sources"], &wire::source(source), None).await?;
        tolerate(answer, &[StatusCode::CONFLICT])?;
    }
    for campaign in CAMPAIGNS {
        create(client, campaign, opened_at).await?;
    }
    for source in SOURCES {
        match source.kind {
            SourceKind::Push if now - opened_at < PUSHED_AGAIN_FOR => {
                push_history(client, source, opened_at, rate).await?;
            }
            SourceKind::Push => {}
            SourceKind::Pull => state(client, source, history_starts(now, STATED_DAYS), now, rate).await?,
        }
    }
    Ok(())
}

/// Creates a campaign step by step. Every step has its own key, so that a repetition does not overwrite later changes
/// of a user.
async fn create(client: &ApiClient, campaign: &DemoCampaign, opened_at: DateTime<Utc>) -> Result<(), ClientError> {
    let key = |step: &str| format!("demo-{step}-{}", campaign.external_id);
    let body = wire::campaign(campaign, local_date(opened_at));
    let answer = client.post(&["v1", "campaigns"], &body, Some(&key("create"))).await?;
    // Receipts are kept for two days. Later, a taken external id shows the same.
    let Some(body) = tolerate(answer, &[StatusCode::CONFLICT])? else { return Ok(()) };
    let id = body["campaign_id"].as_str().unwrap_or_default();
    let life = |step: &'static str| async move {
        let answer = client.post(&["v1", "campaigns", id, step], &serde_json::json!({}), Some(&key(step))).await?;
        tolerate(answer, &[StatusCode::UNPROCESSABLE_ENTITY])
    };
    if let Some(whole) = campaign.budget {
        let answer = client.put(&["v1", "campaigns", id, "budget"], &wire::budget(whole), Some(&key("budget"))).await?;
        tolerate(answer, &[StatusCode::UNPROCESSABLE_ENTITY])?;
    }
    match campaign.fate {
        CampaignLifecycle::Drafted => {}
        CampaignLifecycle::Launched => drop(life("launch").await?),
        CampaignLifecycle::Paused => {
            life("launch").await?;
            life("pause").await?;
        }
    }
    Ok(())
}

/// The body, or none if the error shows that this was done before.
fn tolerate(answer: ApiResponse, done_before: &[StatusCode]) -> Result<Option<Value>, ClientError> {
    if done_before.contains(&answer.status) { Ok(None) } else { answer.accepted().map(Some) }
}

/// Sends the days before the opening. Ids and contents are the same each time, so a repetition appends nothing.
async fn push_history(
    client: &ApiClient,
    source: &DemoSource,
    opened_at: DateTime<Utc>,
    rate: u32,
) -> Result<(), ClientError> {
    let first = opened_at - TimeDelta::days(PUSHED_DAYS);
    let past = hours(first, opened_at - TimeDelta::hours(1)).flat_map(|hour| of_past_hour(source, hour, rate));
    let drafts: Vec<_> = past.collect();
    for batch in drafts.chunks(BATCH) {
        push(client, source, batch).await?;
    }
    Ok(())
}

/// Sends a batch of observations. Rejected items are logged, because each is an error of the demo.
pub async fn push(client: &ApiClient, source: &DemoSource, batch: &[Draft]) -> Result<(), ClientError> {
    let body = wire::observations(source, batch);
    let answer = client.post(&["v1", "observations"], &body, None).await?.accepted()?;
    tell_refused(source, &answer);
    Ok(())
}

fn tell_refused(source: &DemoSource, answer: &Value) {
    if answer["rejected"].as_u64() != Some(0) {
        tracing::warn!(source = source.name, first = %answer["results"][0], "items of the demo were refused");
    }
}

/// States everything from `since` on. Unchanged totals append nothing.
pub async fn state(
    client: &ApiClient,
    source: &DemoSource,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
    rate: u32,
) -> Result<(), ClientError> {
    for batch in as_of(source, since, now, rate).chunks(BATCH) {
        let body = wire::statements(source, batch, now);
        tell_refused(source, &client.post(&["v1", "statements"], &body, None).await?.accepted()?);
    }
    Ok(())
}
