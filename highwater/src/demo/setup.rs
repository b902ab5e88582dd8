//! Registers the demo's sources and campaigns and gives them a history. Each step may be repeated: after a restart, or
//! a stop half way, what is there already stays as it is.

use chrono::{DateTime, TimeDelta, Utc};
use domain::source::SourceKind;
use reqwest::StatusCode;
use serde_json::Value;

use super::observations::{Draft, of_past_hour};
use super::scenario::{CAMPAIGNS, CampaignLifecycle, DemoCampaign, DemoSource, SOURCES};
use super::statements::{as_of, history_starts, hours, local_date};
use super::wire;
use crate::client::{ApiClient, ApiResponse, ClientError};

/// How many days of observations the workspace starts out with. Their ids are taken for a week.
const PUSHED_DAYS: i64 = 6;
/// How many days of statements pull sources have.
pub const STATED_DAYS: i64 = 14;
/// How long after the opening the pushed history may still be sent again without falling out of the window of ids.
const PUSHED_AGAIN_FOR: TimeDelta = TimeDelta::hours(20);
/// The most items of one request.
pub const BATCH: usize = 1_000;

/// Brings the workspace to where live traffic can go on.
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

/// Every step has a key of its own, so that a step that was done is not done again over what a person changed since.
async fn create(client: &ApiClient, campaign: &DemoCampaign, opened_at: DateTime<Utc>) -> Result<(), ClientError> {
    let key = |step: &str| format!("demo-{step}-{}", campaign.external_id);
    let body = wire::campaign(campaign, local_date(opened_at));
    let answer = client.post(&["v1", "campaigns"], &body, Some(&key("create"))).await?;
    // Receipts are kept for two days; later on, that the external id is taken says the same.
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

/// The body, or none where the refusal says that this was done before.
fn tolerate(answer: ApiResponse, done_before: &[StatusCode]) -> Result<Option<Value>, ClientError> {
    if done_before.contains(&answer.status) { Ok(None) } else { answer.accepted().map(Some) }
}

/// The days before the workspace was opened. The same ids and contents each time, so repeating it appends nothing.
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

/// Sends a batch of observations. Items that were refused are told: every one of them is a mistake of the demo's.
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

/// States everything from `since` on. What was said before and has not changed appends nothing.
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
