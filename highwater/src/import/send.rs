//! Sends what a file states to the command API.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use reqwest::StatusCode;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::batches::{self, Batch};
use super::campaigns;
use super::facts::SourceFacts;
use super::judge::{BadLine, LineError, Verdict};
use super::plan::Plan;
use super::progress::Progress;
use super::summary::Summary;
use crate::client::{ApiClient, ClientError};

/// The number of batches of statements in flight.
const BATCHES_AT_ONCE: usize = 4;

/// One run. The server sets the time of its statements, because this machine's clock may differ.
pub struct Import<'a> {
    /// The server.
    pub client: &'a ApiClient,
    /// The operator's options.
    pub plan: &'a Plan,
    /// What is known of the sources.
    pub facts: &'a BTreeMap<String, SourceFacts>,
    /// Distinguishes this run from others of the same file.
    pub run: u64,
    /// Identifies the file.
    pub digest: String,
    /// Whether campaigns are known by ids, so that their names may change.
    pub renames: bool,
    /// Shows how far it is.
    pub progress: &'a Progress,
}

impl Import<'_> {
    /// Sends everything. What was done before an error is in the summary.
    pub async fn send(&self, verdict: &mut Verdict, summary: &mut Summary) -> anyhow::Result<()> {
        self.create_sources(verdict, summary).await?;
        let refused = self.create_campaigns(verdict, summary).await?;
        anyhow::ensure!(
            self.plan.replace.is_none() || refused.is_empty(),
            "no statement was sent: campaigns were refused, so the lines are not all that their sources state"
        );
        self.send_statements(verdict, &refused, summary).await?;
        self.send_completions(verdict, summary).await?;
        Ok(())
    }

    async fn create_sources(&self, verdict: &Verdict, summary: &mut Summary) -> anyhow::Result<()> {
        for name in &verdict.sources {
            let Some(facts) = self.facts.get(name).filter(|facts| !facts.is_registered) else { continue };
            let answer = self.client.post(&["v1", "sources"], &self.plan.source(name, facts), None).await?;
            let is_new = answer.status == StatusCode::CREATED;
            answer.accepted()?;
            summary.sources_created += usize::from(is_new);
        }
        Ok(())
    }

    /// Creates the missing campaigns. Returns those that the server refused; their lines are not sent.
    async fn create_campaigns(
        &self,
        verdict: &mut Verdict,
        summary: &mut Summary,
    ) -> Result<BTreeSet<usize>, ClientError> {
        let Self { client, plan, facts, renames, progress, .. } = self;
        let made = campaigns::create(client, plan, verdict, facts, *renames, progress).await?;
        summary.campaigns_created = made.created;
        let mut refused = Vec::new();
        for item in &verdict.items {
            let Some(why) = made.refused.get(&item.campaign) else { continue };
            verdict.totals.withhold(&verdict.sources[item.source], &item.values);
            refused.push(BadLine { line: item.line, error: LineError::NotTaken(why.clone()) });
        }
        summary.report(refused);
        Ok(made.refused.into_keys().collect())
    }

    async fn send_statements(
        &self,
        verdict: &mut Verdict,
        refused: &BTreeSet<usize>,
        summary: &mut Summary,
    ) -> anyhow::Result<()> {
        let batches = batches::gather(verdict, |campaign| !refused.contains(&campaign));
        // Batches that replace would only wait for each other.
        let (batches, at_once) = match self.plan.replace {
            None => (batches, BATCHES_AT_ONCE),
            Some(days) => (days.gather(batches, verdict)?, 1),
        };
        self.progress.phase("statements", batches.iter().map(|batch| batch.items.len() as u64).sum());
        let mut withheld = Vec::new();
        {
            let verdict = &*verdict;
            let mut sent = stream::iter(batches)
                .map(|batch| async move { self.send_batch(&batch, verdict).await.map(|answer| (batch, answer)) })
                .buffered(at_once);
            while let Some((batch, answer)) = sent.try_next().await? {
                let count = |name: &str| answer[name].as_u64().unwrap_or_default();
                let superseded = results(&answer).filter(|result| is_superseded(result)).count() as u64;
                summary.accepted += count("accepted");
                summary.retracted += count("retracted");
                summary.unchanged += count("duplicates").saturating_sub(superseded);
                summary.rejected += count("rejected") + count("conflicts") + superseded;
                for (place, why) in not_taken(&batch, &answer) {
                    withheld.push(place);
                    let line = verdict.items[place].line;
                    summary.report(vec![BadLine { line, error: LineError::NotTaken(why) }]);
                }
                self.progress.step(batch.items.len() as u64);
            }
        }
        for place in withheld {
            let item = &verdict.items[place];
            verdict.totals.withhold(&verdict.sources[item.source], &item.values);
        }
        Ok(())
    }

    /// Sends a batch. The key contains the run and the batch, so that a batch whose answer was lost gets the same
    /// answer again.
    async fn send_batch(&self, batch: &Batch, verdict: &Verdict) -> anyhow::Result<Value> {
        let key = format!("import-{}-{:016x}-{}", self.digest, self.run, batch.number);
        let name = &verdict.sources[batch.source];
        let facts = self.facts.get(name).ok_or_else(|| anyhow::anyhow!("source `{name}` is not known"))?;
        let body = self.plan.statements(batch, verdict, facts);
        Ok(self.client.post(&["v1", "statements"], &body, Some(&key)).await?.accepted()?)
    }

    /// Reports the sources complete. The key depends only on the file, so a second run appends nothing.
    pub async fn send_completions(&self, verdict: &Verdict, summary: &Summary) -> anyhow::Result<()> {
        let Some(last) = self.plan.complete_through else { return Ok(()) };
        if summary.has_refused() {
            self.progress.say(&format!("lines are missing, so the sources were not reported complete through {last}"));
            return Ok(());
        }
        for name in &verdict.sources {
            let Some(facts) = self.facts.get(name) else { continue };
            let until = self.plan.complete_until(last, facts.zone)?;
            // A key is short visible ASCII, but a name need not be.
            let named = hex::encode(&Sha256::digest(name.as_bytes())[..8]);
            let key = format!("import-{}-{last}-{}-{named}", self.digest, facts.zone);
            let path = ["v1", "sources", name, "syncs"];
            let answer = self.client.post(&path, &self.plan.completed(until), Some(&key)).await?;
            if answer.problem_code() != "completeness-would-move-back" {
                answer.accepted()?;
                continue;
            }
            let through = answer.body["complete_through"].as_str().unwrap_or("later");
            self.progress
                .say(&format!("{name}: is complete through {through} already, so this file only reads days again"));
            let first = verdict.items.iter().map(|item| item.day).min().unwrap_or(last).min(last);
            let again = self.plan.read_again(first, until, facts.zone)?;
            self.client.post(&path, &again, Some(&format!("{key}-again"))).await?.accepted()?;
        }
        Ok(())
    }
}

fn results(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["results"].as_array().into_iter().flatten()
}

/// Whether a newer statement wins: of another sender, or because the server's clock went back.
fn is_superseded(result: &Value) -> bool {
    result["reason"] == "superseded"
}

/// The items that the server did not accept, with the reasons. A duplicate was accepted before.
fn not_taken(batch: &Batch, answer: &Value) -> BTreeMap<usize, String> {
    let mut items = BTreeMap::new();
    for result in results(answer) {
        let index = result["index"].as_u64().and_then(|index| usize::try_from(index).ok());
        let taken = matches!(result["status"].as_str(), Some("accepted" | "duplicate")) && !is_superseded(result);
        if let (Some(place), false) = (index.and_then(|index| batch.items.get(index)), taken) {
            let words = |name: &str| result[name].as_str().unwrap_or_default();
            let why = [words("reason"), words("field"), words("detail")];
            let why = why.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            items.insert(*place, why);
        }
    }
    items
}
