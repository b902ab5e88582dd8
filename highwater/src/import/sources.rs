//! The sources of a file: what is declared of them against what is registered.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use chrono::NaiveDate;
use domain::money::Currency;
use domain::zone::Zone;
use reqwest::StatusCode;
use serde_json::Value;
use thiserror::Error;

use super::facts::SourceFacts;
use super::judge::{Item, Verdict};
use super::plan::Plan;
use crate::client::ApiClient;

/// The error of sources that are not as declared.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("nothing was sent:\n  {}", .0.join("\n  "))]
pub struct Contradictions(Vec<String>);

/// What the server has under each of these names; null for names that it does not know.
pub async fn look_up<'a>(
    client: &ApiClient,
    names: impl Iterator<Item = &'a String>,
) -> anyhow::Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for name in names {
        let answer = client.get(&["v1", "sources", name]).await?;
        let body = match answer.status {
            StatusCode::NOT_FOUND => Value::Null,
            _ => answer.accepted().with_context(|| format!("source `{name}`"))?,
        };
        found.insert(name.clone(), body);
    }
    Ok(found)
}

/// Settles zone and currency of each source: as declared, else as registered, else as its lines say. Of a source that
/// moved on to others it is those of one series: the one that is declared, else the one of today.
pub fn settle(
    plan: &Plan,
    found: &BTreeMap<String, BTreeSet<Currency>>,
    registered: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, SourceFacts>, Contradictions> {
    let mut wrong = Vec::new();
    let mut facts = BTreeMap::new();
    for (name, currencies) in found {
        let known = registered.get(name).filter(|body| !body.is_null());
        if let Some(known) = known {
            wrong.extend(contradictions(plan, name, known));
        }
        let said = |member: &str| known.and_then(|known| series_of(plan, known)[member].as_str());
        let zone = plan.time_zone.or_else(|| said("time_zone")?.parse().ok()).unwrap_or(Zone::UTC);
        let known_currency = plan.currency.or_else(|| said("currency")?.parse().ok());
        let codes = || currencies.iter().map(Currency::to_string).collect::<Vec<_>>().join(" and ");
        // Single lines in another currency are refused one by one.
        if let Some(known) = known_currency.filter(|known| !currencies.is_empty() && !currencies.contains(known)) {
            wrong.push(format!(
                "source `{name}` is in {known}, and its lines are in {}: give the file a source of its own (--source)",
                codes()
            ));
        }
        if known_currency.is_none() && currencies.len() > 1 {
            let codes = codes();
            wrong.push(format!(
                "`{name}` has lines in {codes}, but a source has one currency: tell its accounts apart with \
                 --source-from, or say --currency, and the lines in another one are refused"
            ));
        }
        let said_currency = known_currency.or_else(|| currencies.first().copied());
        let currency = said_currency.unwrap_or(plan.default_currency);
        let (is_currency_assumed, is_registered) = (said_currency.is_none(), known.is_some());
        facts.insert(name.clone(), SourceFacts { zone, currency, is_currency_assumed, is_registered });
    }
    if wrong.is_empty() { Ok(facts) } else { Err(Contradictions(wrong)) }
}

/// The series of a registered source that is in the declared zone and currency, the last if there are several; else
/// what holds today.
fn series_of<'a>(plan: &Plan, known: &'a Value) -> &'a Value {
    let declared = [
        ("time_zone", plan.time_zone.map(|zone| zone.to_string())),
        ("currency", plan.currency.map(|currency| currency.to_string())),
    ];
    let is_declared = |series: &&Value| {
        declared.iter().all(|(member, declared)| declared.as_deref().is_none_or(|text| series[*member] == text))
    };
    let says_any = declared.iter().any(|(_, declared)| declared.is_some());
    let series = known["series"].as_array().filter(|_| says_any);
    series.and_then(|series| series.iter().rfind(is_declared)).unwrap_or(known)
}

/// Refuses days that a source states in another zone or currency than the lines are judged in.
pub fn check_days(
    verdict: &Verdict,
    facts: &BTreeMap<String, SourceFacts>,
    registered: &BTreeMap<String, Value>,
) -> Result<(), Contradictions> {
    let mut wrong = BTreeSet::new();
    for Item { source, day, .. } in &verdict.items {
        let Some(name) = verdict.sources.get(*source) else { continue };
        let Some((known, facts)) = registered.get(name).zip(facts.get(name)) else { continue };
        let date = |value: &Value| value.as_str().and_then(|text| text.parse::<NaiveDate>().ok());
        let holds = |series: &&Value| {
            date(&series["from"]).is_none_or(|from| from <= *day)
                && date(&series["until"]).is_none_or(|until| *day < until)
        };
        let Some(held) = known["series"].as_array().and_then(|series| series.iter().find(holds)) else { continue };
        let (zone, currency) = (facts.zone.to_string(), facts.currency.to_string());
        if held["time_zone"] != zone || held["currency"] != currency {
            let text = |member: &str| held[member].as_str().unwrap_or_default().to_owned();
            let from = date(&held["from"]).map(|from| format!(" from {from}")).unwrap_or_default();
            let until = date(&held["until"]).map(|until| format!(" before {until}")).unwrap_or_default();
            wrong.insert(format!(
                "source `{name}` is in {} and {}{from}{until}, and the file's days of that time are read in {zone} and \
                 {currency}: send those days by themselves, with --time-zone {} --currency {}",
                text("time_zone"),
                text("currency"),
                text("time_zone"),
                text("currency"),
            ));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Contradictions(wrong.into_iter().collect())) }
}

/// Where what is declared differs from what is registered.
fn contradictions(plan: &Plan, name: &str, known: &Value) -> Vec<String> {
    let settings = &known["settings"];
    let series = series_of(plan, known);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let declared = [
        ("kind", Some("pull".to_owned()), text(&known["kind"])),
        ("currency", plan.currency.map(|currency| currency.to_string()), text(&series["currency"])),
        ("time zone", plan.time_zone.map(|zone| zone.to_string()), text(&series["time_zone"])),
        ("role", plan.declared_role(name).map(|role| role.name().to_owned()), text(&settings["role"])),
        ("channel", plan.declared_channel(name).map(|channel| channel.name().to_owned()), text(&settings["channel"])),
        ("platform", plan.platform.clone(), text(&known["platform"])),
        (
            "expected delay",
            plan.expected_delay_s.map(|seconds| format!("{seconds} s")),
            settings["expected_delay_s"].as_i64().map(|seconds| format!("{seconds} s")),
        ),
    ];
    let differs = |(what, here, there): (&str, Option<String>, Option<String>)| {
        let here = here?;
        let there = there.unwrap_or_else(|| "none".to_owned());
        (here != there).then(|| {
            format!("source `{name}` is registered with the {what} {there}, and here it is {here}{}", remedy(what))
        })
    };
    declared.into_iter().filter_map(differs).collect()
}

fn remedy(what: &str) -> &'static str {
    match what {
        "kind" => ": it sends observations, and a file of totals needs a source of its own",
        "role" | "channel" | "expected delay" => ": leave the option out, or change the source (PATCH /v1/sources/…)",
        _ => ": leave the option out, or give the file a source of its own",
    }
}
