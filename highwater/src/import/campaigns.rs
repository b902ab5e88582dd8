//! The campaigns of a file: those that are missing are created, and those with another name are renamed.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use reqwest::StatusCode;
use serde_json::json;

use super::facts::SourceFacts;
use super::judge::{Campaign, Verdict};
use super::plan::Plan;
use super::progress::Progress;
use crate::client::{ApiClient, ClientError};

/// The number of requests in flight: enough to fill the server's group commits, but not to crowd out others.
const AT_ONCE: usize = 16;

/// What became of the campaigns.
#[derive(Debug, Default)]
pub struct Campaigns {
    /// How many were created.
    pub created: usize,
    /// Those that the server refused, by their places, with the reasons.
    pub refused: BTreeMap<usize, String>,
}

enum Outcome {
    Created,
    Exists,
    Refused(String),
}

/// Creates the missing campaigns. With ids, a campaign that has another name gets that of the file.
pub async fn create(
    client: &ApiClient,
    plan: &Plan,
    verdict: &Verdict,
    facts: &BTreeMap<String, SourceFacts>,
    renames: bool,
    progress: &Progress,
) -> Result<Campaigns, ClientError> {
    // A campaign whose lines were all refused gets nothing.
    let used = verdict.used_campaigns();
    progress.phase("campaigns", used.len() as u64);
    stream::iter(used)
        .map(|place| async move {
            let campaign = &verdict.campaigns[place];
            let outcome = create_one(client, plan, campaign, verdict, facts, renames).await?;
            progress.step(1);
            Ok((place, outcome))
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(Campaigns::default(), |mut all, (place, outcome)| async move {
            match outcome {
                Outcome::Created => all.created += 1,
                Outcome::Exists => {}
                Outcome::Refused(why) => {
                    all.refused.insert(place, why);
                }
            }
            Ok(all)
        })
        .await
}

async fn create_one(
    client: &ApiClient,
    plan: &Plan,
    campaign: &Campaign,
    verdict: &Verdict,
    facts: &BTreeMap<String, SourceFacts>,
    renames: bool,
) -> Result<Outcome, ClientError> {
    let answer = client.post(&["v1", "campaigns"], &plan.campaign(campaign, verdict, facts), None).await?;
    if answer.problem_code() == "external-id-taken" {
        let Some(id) = answer.body["campaign_id"].as_str().filter(|_| renames) else { return Ok(Outcome::Exists) };
        // The name that it has already changes nothing, and an archived campaign keeps its name.
        client.patch(&["v1", "campaigns", id], &json!({ "name": campaign.name })).await?;
        return Ok(Outcome::Exists);
    }
    match answer.status {
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT => Ok(Outcome::Refused(answer.problem())),
        _ => answer.accepted().map(|_| Outcome::Created),
    }
}
