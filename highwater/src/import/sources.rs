//! The sources of a file: what is declared of them against what is registered.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use domain::money::Currency;
use domain::zone::Zone;
use reqwest::StatusCode;
use serde_json::Value;
use thiserror::Error;

use super::facts::SourceFacts;
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

/// Settles zone and currency of each source: as declared, else as registered, else as its lines say.
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
        let said = |member: &str| known.and_then(|known| known[member].as_str());
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

/// Where what is declared differs from what is registered.
fn contradictions(plan: &Plan, name: &str, known: &Value) -> Vec<String> {
    let settings = &known["settings"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let declared = [
        ("kind", Some("pull".to_owned()), text(&known["kind"])),
        ("currency", plan.currency.map(|currency| currency.to_string()), text(&known["currency"])),
        ("time zone", plan.time_zone.map(|zone| zone.to_string()), text(&known["time_zone"])),
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
