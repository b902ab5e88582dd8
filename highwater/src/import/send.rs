//! Sends a scanned file to the command API.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::batches::{Batch, Batches};
use super::plan::Plan;
use super::progress::Progress;
use super::scan::{FileSummary, survey};
use crate::client::{ApiClient, ClientError};

/// The number of requests in flight: enough to fill the server's group commits, but not to crowd out others.
const AT_ONCE: usize = 16;
/// The number of batches of statements in flight.
const BATCHES_AT_ONCE: usize = 4;
/// The attempts at a request. They take a minute and a half in all, longer than a restart of the server.
const ATTEMPTS: u32 = 14;

/// The result of the import.
#[derive(Debug, Default)]
struct Summary {
    rows: u64,
    bad: u64,
    silent: u64,
    sources: (usize, usize),
    campaigns: (usize, usize),
    accepted: u64,
    unchanged: u64,
    rejected: u64,
    retracted: u64,
}

/// Imports a file. The exit status is 1 if a line was not sent or not accepted.
pub async fn import(path: &Path, plan: &Plan, server: &str, key: &SecretString) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let client = ApiClient::new(server, key, ATTEMPTS)?;
    let progress = Progress::default();

    let survey = read(path, plan, &progress)?;
    anyhow::ensure!(
        plan.replace.is_none() || survey.bad.is_empty(),
        "nothing was sent: lines cannot be read, so the file is not all that its sources state"
    );
    for name in plan.unknown_names(&survey.sources) {
        progress.say(&format!("warning: the file has no source `{name}`"));
    }
    let mut summary = Summary { rows: survey.rows, bad: survey.bad.len() as u64, ..Summary::default() };
    summary.sources = create_sources(&client, plan, &survey, &progress).await?;
    summary.campaigns = create_campaigns(&client, plan, &survey, &progress).await?;
    let import = Import { client: &client, plan, run: rand::random(), digest: hex::encode(&survey.digest[..12]) };
    import.send_statements(path, &survey, &mut summary, &progress).await?;
    import.send_completions(&survey, &summary, &progress).await?;
    progress.finish();

    write_summary(&summary, plan.replace.is_some(), started.elapsed().as_secs_f64())?;
    Ok(if summary.bad + summary.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &Path, plan: &Plan, progress: &Progress) -> anyhow::Result<FileSummary> {
    let file = open(path)?;
    progress.phase("reading", file.metadata().map(|metadata| metadata.len()).unwrap_or_default());
    let found = survey(file, &plan.columns, &mut |bad| progress.say(&format!("{}: {bad}", path.display())), &|bytes| {
        progress.at(bytes);
    });
    found.with_context(|| path.display().to_string())
}

fn open(path: &Path) -> anyhow::Result<File> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let kind = file.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(kind.is_file(), "{} is no regular file, and it has to be read twice", path.display());
    Ok(file)
}

/// Registers the missing sources. Returns how many there are, and how many were created.
async fn create_sources(
    client: &ApiClient,
    plan: &Plan,
    survey: &FileSummary,
    progress: &Progress,
) -> anyhow::Result<(usize, usize)> {
    let mut made = 0;
    for name in &survey.sources {
        let answer = client.post(&["v1", "sources"], &plan.source(name), None).await?;
        if answer.problem_code() == "source-name-taken" {
            let differs = answer.body["detail"].as_str().unwrap_or_default();
            progress.say(&format!("source `{name}` stays as it is: {differs}"));
        } else {
            made += usize::from(answer.status == StatusCode::CREATED);
            answer.accepted().with_context(|| format!("source `{name}`"))?;
        }
    }
    Ok((survey.sources.len(), made))
}

/// Creates the missing campaigns.
async fn create_campaigns(
    client: &ApiClient,
    plan: &Plan,
    survey: &FileSummary,
    progress: &Progress,
) -> anyhow::Result<(usize, usize)> {
    progress.phase("campaigns", survey.campaigns.len() as u64);
    let made = stream::iter(&survey.campaigns)
        .map(|(name, seen)| async move {
            let answer = client.post(&["v1", "campaigns"], &plan.campaign(name, seen), None).await?;
            progress.step(1);
            if answer.problem_code() == "external-id-taken" {
                return Ok(0);
            }
            answer.accepted().map(|_| 1).with_context(|| format!("campaign `{name}`"))
        })
        .buffer_unordered(AT_ONCE)
        .try_fold(0, |made, one| async move { anyhow::Ok(made + one) })
        .await?;
    Ok((survey.campaigns.len(), made))
}

/// One run. The server sets the time of its statements, because this machine's clock may differ.
struct Import<'a> {
    client: &'a ApiClient,
    plan: &'a Plan,
    /// Distinguishes this run from others of the same file.
    run: u64,
    digest: String,
}

impl Import<'_> {
    async fn send_statements(
        &self,
        path: &Path,
        survey: &FileSummary,
        summary: &mut Summary,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        progress.phase("statements", survey.rows - survey.bad.len() as u64);
        let mut batches = Batches::new(open(path)?, &self.plan.columns, survey)?;
        {
            let read = std::iter::from_fn(|| batches.next_batch().transpose());
            // Batches that replace would only wait for each other.
            let (read, at_once): (Box<dyn Iterator<Item = _>>, _) = match self.plan.replace {
                None => (Box::new(read), BATCHES_AT_ONCE),
                Some(days) => {
                    let gathered = days.gather(read.collect::<Result<_, _>>()?, &survey.sources)?;
                    (Box::new(gathered.into_iter().map(Ok)), 1)
                }
            };
            let mut sent =
                stream::iter(read).map(|batch| async { anyhow::Ok(self.send_batch(batch?).await?) }).buffered(at_once);
            while let Some((batch, answer)) = sent.try_next().await? {
                let count = |name: &str| answer[name].as_u64().unwrap_or_default();
                let superseded = results(&answer).filter(|result| is_superseded(result)).count() as u64;
                summary.accepted += count("accepted");
                summary.retracted += count("retracted");
                summary.unchanged += count("duplicates").saturating_sub(superseded);
                summary.rejected += count("rejected") + count("conflicts") + superseded;
                for (line, why) in not_taken(&batch, &answer) {
                    progress.say(&format!("{}: line {line} was not taken: {why}", path.display()));
                }
                progress.step(batch.statements.len() as u64);
            }
        }
        summary.silent = batches.silent;
        Ok(())
    }

    /// Sends a batch. The key contains the run and the batch, so that a batch whose answer was lost gets the same
    /// answer again.
    async fn send_batch(&self, batch: Batch) -> Result<(Batch, Value), ClientError> {
        let key = format!("import-{}-{:016x}-{}", self.digest, self.run, batch.number);
        let body = self.plan.statements(&batch);
        let answer = self.client.post(&["v1", "statements"], &body, Some(&key)).await?.accepted()?;
        Ok((batch, answer))
    }

    /// Reports the sources complete. The key depends only on the file, so a second run appends nothing.
    async fn send_completions(
        &self,
        survey: &FileSummary,
        summary: &Summary,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let Some(last) = self.plan.complete_through else { return Ok(()) };
        if summary.bad + summary.rejected > 0 {
            progress.say(&format!("lines are missing, so the sources were not reported complete through {last}"));
            return Ok(());
        }
        let body = self.plan.completed(last)?;
        for name in &survey.sources {
            // A key is short visible ASCII, but a name need not be.
            let named = hex::encode(&Sha256::digest(name.as_bytes())[..8]);
            let key = format!("import-{}-{last}-{}-{named}", self.digest, self.plan.time_zone);
            let path = ["v1", "sources", name, "syncs"];
            let answer = self.client.post(&path, &body, Some(&key)).await?;
            if answer.problem_code() != "completeness-would-move-back" {
                answer.accepted()?;
                continue;
            }
            let through = answer.body["complete_through"].as_str().unwrap_or("later");
            progress.say(&format!("{name}: is complete through {through} already, so this file only reads days again"));
            let first = survey.campaigns.values().map(|campaign| campaign.first_date).min().unwrap_or(last);
            let again = self.plan.read_again(first.min(last), last)?;
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

/// The lines that the server did not accept, with the reasons. A duplicate was accepted before.
fn not_taken(batch: &Batch, answer: &Value) -> BTreeMap<u64, String> {
    let mut lines = BTreeMap::new();
    for result in results(answer) {
        let index = result["index"].as_u64().and_then(|index| usize::try_from(index).ok());
        let statement = index.and_then(|index| batch.statements.get(index));
        let taken = matches!(result["status"].as_str(), Some("accepted" | "duplicate")) && !is_superseded(result);
        if let (Some(statement), false) = (statement, taken) {
            let words = |name: &str| result[name].as_str().unwrap_or_default();
            let why = [words("reason"), words("field"), words("detail")];
            let why = why.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            lines.insert(statement.line, why);
        }
    }
    lines
}

fn write_summary(summary: &Summary, replaces: bool, seconds: f64) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let Summary { rows, bad, silent, sources, campaigns, accepted, unchanged, rejected, retracted } = summary;
    writeln!(out, "rows: {rows} ({bad} not sent, {silent} that state nothing)")?;
    writeln!(out, "sources: {} ({} created)", sources.0, sources.1)?;
    writeln!(out, "campaigns: {} ({} created)", campaigns.0, campaigns.1)?;
    writeln!(out, "statements: {accepted} accepted, {unchanged} unchanged, {rejected} rejected")?;
    if replaces {
        writeln!(out, "values taken back: {retracted}")?;
    }
    writeln!(out, "seconds: {seconds:.1}")?;
    Ok(())
}
