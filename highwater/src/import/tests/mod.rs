//! Files as text, from their bytes to what would be sent.

mod bodies;
mod forms;
mod inspect;
mod lines;
mod shipped;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::measure::Measure;
use serde_json::Value;

use super::facts::SourceFacts;
use super::judge::Verdict;
use super::mapping::{Mapping, Names};
use super::plan::Plan;
use super::run::{OpenedFile, Options};
use super::sources;

const HEADER: &str = "Date,Datasource,Campaign,Clicks,Impressions,Cost\n";

fn now() -> DateTime<Utc> {
    "2026-06-30T12:00:00Z".parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn names(column: &str) -> Names {
    Names::required(column.to_owned())
}

/// The options for files under the usual header.
fn options() -> Options {
    let measures = [(Measure::Clicks, "Clicks"), (Measure::Impressions, "Impressions"), (Measure::Spend, "Cost")];
    let mapping = Mapping {
        source_from: names("Datasource"),
        campaign_from: names("Campaign"),
        date_from: names("Date"),
        date_format: Some("%d.%m.%Y".to_owned()),
        measures: measures.map(|(measure, column)| (measure, names(column))).into(),
        ..Mapping::default()
    };
    Options { mapping, ..Options::default() }
}

/// A file that was judged.
struct Judged {
    opened: OpenedFile,
    verdict: Verdict,
    plan: Plan,
    facts: BTreeMap<String, SourceFacts>,
}

impl Judged {
    /// What is wrong with the lines that are refused.
    fn reports(&self) -> Vec<String> {
        self.verdict.refused.iter().map(ToString::to_string).collect()
    }

    /// The sum of a measure over all sources.
    fn told(&self, measure: Measure) -> i128 {
        self.verdict.totals.iter().filter(|(_, other, _)| *other == measure).map(|(.., sum)| sum.told).sum()
    }

    /// The body that creates the campaign of this name.
    fn campaign(&self, name: &str) -> Value {
        let campaign = self.verdict.campaigns.iter().find(|campaign| campaign.name == name).unwrap();
        self.plan.campaign(campaign, &self.verdict, &self.facts)
    }
}

fn try_judge(file: impl Into<Vec<u8>>, options: &Options) -> anyhow::Result<Judged> {
    let opened = OpenedFile::read(file.into(), options)?;
    let plan = opened.plan(options, now())?;
    let facts = sources::settle(&plan, &opened.survey.sources, &BTreeMap::new())?;
    let verdict = opened.judge(options, &facts, now(), &|_| ());
    Ok(Judged { opened, verdict, plan, facts })
}

#[track_caller]
fn judge(file: impl Into<Vec<u8>>, options: &Options) -> Judged {
    try_judge(file, options).unwrap()
}

/// The lines under the usual header.
#[track_caller]
fn judged(lines: &str) -> Judged {
    judge(format!("{HEADER}{lines}"), &options())
}

#[track_caller]
fn refusal(file: impl Into<Vec<u8>>, options: &Options) -> String {
    match try_judge(file, options) {
        Ok(_) => panic!("the file is taken"),
        Err(error) => format!("{error:#}"),
    }
}
