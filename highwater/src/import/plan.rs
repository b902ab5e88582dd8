//! The request bodies of an import, from the file and the operator's options.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use domain::bucket::{Bucket, BucketError, Grain};
use domain::channel::Channel;
use domain::decimal::format_millionths;
use domain::measure::{Measure, Unit};
use domain::money::Currency;
use domain::zone::Zone;
use serde_json::{Map, Value, json};

use super::batches::Batch;
use super::layout::Columns;
use super::replacing::ReplacedDays;
use super::scan::CampaignSummary;

/// The expected delay of a day's numbers: such files come once a day, for the day before.
const EXPECTED_DELAY_S: i64 = 86_400;
/// How long platforms usually correct a day.
const RESTATEMENT_HORIZON_S: i64 = 7 * 86_400;
/// The default channel of a source.
const UNASSIGNED: &str = "unassigned";

/// The operator's options.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The columns of the file.
    pub columns: Columns,
    /// The channels of sources.
    pub channels: BTreeMap<String, Channel>,
    /// The reference sources.
    pub reference: BTreeSet<String>,
    /// The zone of the days.
    pub time_zone: Zone,
    /// The currency of money.
    pub currency: Currency,
    /// The last day that the sources are complete for.
    pub complete_through: Option<NaiveDate>,
    /// The days of which the file is all that its sources state.
    pub replace: Option<ReplacedDays>,
}

impl Plan {
    /// Sources that the operator named but the file does not; most likely misspelt.
    pub fn unknown_names<'a>(&'a self, found: &'a BTreeSet<String>) -> impl Iterator<Item = &'a str> {
        let named = self.channels.keys().chain(&self.reference).collect::<BTreeSet<_>>();
        named.into_iter().filter(|name| !found.contains(*name)).map(String::as_str)
    }

    /// The body that registers a source.
    pub fn source(&self, name: &str) -> Value {
        json!({
            "name": name,
            "channel": self.channel(name),
            "kind": "pull",
            "role": if self.reference.contains(name) { "reference" } else { "primary" },
            "time_zone": self.time_zone.name(),
            "currency": self.currency.code(),
            "expected_delay_s": EXPECTED_DELAY_S,
            "restatement_horizon_s": RESTATEMENT_HORIZON_S,
        })
    }

    fn channel(&self, source: &str) -> &str {
        self.channels.get(source).map_or(UNASSIGNED, Channel::name)
    }

    /// The body that creates a campaign on the channels of its primary sources.
    pub fn campaign(&self, name: &str, seen: &CampaignSummary) -> Value {
        let primary: BTreeSet<&str> =
            seen.sources.iter().filter(|source| !self.reference.contains(*source)).map(|it| self.channel(it)).collect();
        let channels =
            if primary.is_empty() { seen.sources.iter().map(|it| self.channel(it)).collect() } else { primary };
        json!({
            "name": name,
            "channels": channels,
            "currency": self.currency.code(),
            "time_zone": self.time_zone.name(),
            "starts_on": seen.first_date,
            "external_ids": [{ "id": name }],
        })
    }

    /// The body that states a batch, as of its arrival.
    pub fn statements(&self, batch: &Batch) -> Value {
        let statements: Vec<Value> = batch
            .statements
            .iter()
            .map(|statement| {
                let measures: Map<String, Value> =
                    statement.measures.iter().map(|(measure, value)| stated(*measure, *value)).collect();
                json!({
                    "external_campaign_id": statement.campaign,
                    "bucket": statement.date,
                    "measures": measures,
                })
            })
            .collect();
        let mut body = json!({
            "source": batch.source,
            "grain": "day",
            "time_zone": self.time_zone.name(),
            "statements": statements,
        });
        if let Some(date) = batch.replaces {
            let measures: Vec<&str> = self.columns.measures.iter().map(|(measure, _)| measure.name()).collect();
            body["replace"] = json!({ "from": date, "to": date, "measures": measures });
        }
        body
    }

    /// The body that reports a source complete to the end of a day.
    pub fn completed(&self, last: NaiveDate) -> Result<Value, BucketError> {
        let day = Bucket::Day(last).resolve(Grain::Day, self.time_zone)?;
        Ok(json!({ "status": "completed", "complete_through": instant(day.end), "grain": "day" }))
    }

    /// The body that reports that days were read again, of a source that is complete through more already.
    pub fn read_again(&self, first: NaiveDate, last: NaiveDate) -> Result<Value, BucketError> {
        let resolve = |date| Bucket::Day(date).resolve(Grain::Day, self.time_zone);
        let covers = json!({ "from": instant(resolve(first)?.start), "to": instant(resolve(last)?.end) });
        Ok(json!({ "status": "completed", "covers": covers, "grain": "day" }))
    }
}

/// A value as JSON. Counts are numbers; a value with decimals is a text, so that it stays exact.
fn stated(measure: Measure, value: i64) -> (String, Value) {
    let value = match measure.unit() {
        Unit::Count => json!(value),
        Unit::Credit | Unit::Money | Unit::Ratio => json!(format_millionths(value.into())),
    };
    (measure.name().to_owned(), value)
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
