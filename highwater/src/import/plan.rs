//! The request bodies of an import, from the file and the operator's options.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate, SecondsFormat, Utc};
use domain::bucket::{Bucket, BucketError, Grain, local_date};
use domain::channel::Channel;
use domain::decimal::format_millionths;
use domain::measure::{Measure, Unit};
use domain::money::Currency;
use domain::source::{Horizon, SourceRole};
use domain::zone::Zone;
use serde_json::{Map, Value, json};

use super::batches::Batch;
use super::facts::SourceFacts;
use super::judge::{Campaign, Verdict};
use super::replacing::ReplacedDays;

/// The expected delay of a day's numbers: such files come once a day, for the day before.
const EXPECTED_DELAY_S: i64 = 86_400;
/// How long platforms usually correct a day.
const HORIZON: Horizon = Horizon::Seconds(7 * 86_400);
/// The default channel of a source.
const UNASSIGNED: &str = "unassigned";
/// A campaign whose last day is longer ago has ended.
const RECENT_DAYS: u64 = 14;

/// The status that campaigns are created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum NewStatus {
    /// Being prepared.
    Draft,
    /// Running.
    Active,
    /// Over, on the last day of its numbers.
    Completed,
}

impl NewStatus {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Completed => "completed",
        }
    }
}

/// The operator's options.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The channels of sources.
    pub channels: BTreeMap<String, Channel>,
    /// The channel of all other sources.
    pub channel: Option<Channel>,
    /// The reference sources.
    pub reference: BTreeSet<String>,
    /// The role of all other sources.
    pub role: Option<SourceRole>,
    /// The platform of the sources.
    pub platform: Option<String>,
    /// The zone of the days.
    pub time_zone: Option<Zone>,
    /// The currency of money.
    pub currency: Option<Currency>,
    /// The currency of money where nothing says one.
    pub default_currency: Currency,
    /// How late numbers come.
    pub expected_delay_s: Option<i64>,
    /// For how long they may change.
    pub horizon: Option<Horizon>,
    /// The length of a bucket.
    pub grain: Grain,
    /// The measures of the file.
    pub measures: Vec<Measure>,
    /// The status of new campaigns; `None`: by their days.
    pub campaign_status: Option<NewStatus>,
    /// The last day that the sources are complete for.
    pub complete_through: Option<NaiveDate>,
    /// The days of which the file is all that its sources state.
    pub replace: Option<ReplacedDays>,
    /// The time of the run.
    pub now: DateTime<Utc>,
}

impl Plan {
    /// Sources that the operator named but the file does not; most likely misspelt.
    pub fn unknown_names<'a>(&'a self, found: &'a [String]) -> impl Iterator<Item = &'a str> {
        let named = self.channels.keys().chain(&self.reference).collect::<BTreeSet<_>>();
        named.into_iter().filter(|name| !found.contains(*name)).map(String::as_str)
    }

    /// The role that the operator gives a source.
    pub fn declared_role(&self, source: &str) -> Option<SourceRole> {
        if self.reference.contains(source) { Some(SourceRole::Reference) } else { self.role }
    }

    /// The channel that the operator gives a source.
    pub fn declared_channel(&self, source: &str) -> Option<&Channel> {
        self.channels.get(source).or(self.channel.as_ref())
    }

    fn role(&self, source: &str) -> SourceRole {
        self.declared_role(source).unwrap_or(SourceRole::Primary)
    }

    fn channel(&self, source: &str) -> &str {
        self.declared_channel(source).map_or(UNASSIGNED, Channel::name)
    }

    /// The body that registers a source.
    pub fn source(&self, name: &str, facts: &SourceFacts) -> Value {
        let mut body = json!({
            "name": name,
            "channel": self.channel(name),
            "kind": "pull",
            "role": self.role(name).name(),
            "time_zone": facts.zone.name(),
            "currency": facts.currency.code(),
        });
        // A platform has a delay and horizons of its own.
        let by_platform = self.platform.is_some();
        if let Some(platform) = &self.platform {
            body["platform"] = json!(platform);
        }
        if let Some(delay) = self.expected_delay_s.or((!by_platform).then_some(EXPECTED_DELAY_S)) {
            body["expected_delay_s"] = json!(delay);
        }
        if let Some(horizon) = self.horizon.or((!by_platform).then_some(HORIZON)) {
            body["horizons"] = json!({ "delivery": horizon.to_string(), "conversions": horizon.to_string() });
        }
        body
    }

    /// The body that creates a campaign on the channels of its primary sources, with a status true of its days.
    pub fn campaign(&self, campaign: &Campaign, verdict: &Verdict, facts: &BTreeMap<String, SourceFacts>) -> Value {
        let names: Vec<&str> = campaign.sources.iter().map(|place| verdict.sources[*place].as_str()).collect();
        let is_primary = |name: &&&str| self.role(name) == SourceRole::Primary;
        let primary: BTreeSet<&str> = names.iter().filter(is_primary).map(|name| self.channel(name)).collect();
        let channels = if primary.is_empty() { names.iter().map(|name| self.channel(name)).collect() } else { primary };
        let facts = names.first().and_then(|name| facts.get(*name));
        let (zone, currency) = facts.map_or((Zone::UTC, self.default_currency), |facts| (facts.zone, facts.currency));
        let status = self.campaign_status.unwrap_or_else(|| self.status(campaign, zone));
        let external_id = match campaign.scope {
            None => json!({ "id": campaign.id }),
            Some(source) => json!({ "source": verdict.sources[source], "id": campaign.id }),
        };
        let mut body = json!({
            "name": campaign.name,
            "channels": channels,
            "currency": currency.code(),
            "time_zone": zone.name(),
            "starts_on": campaign.first_day,
            "external_ids": [external_id],
            "status": status.name(),
        });
        if status == NewStatus::Completed {
            body["ends_on"] = json!(campaign.last_day);
        }
        body
    }

    fn status(&self, campaign: &Campaign, zone: Zone) -> NewStatus {
        let recent = local_date(self.now, zone).checked_sub_days(Days::new(RECENT_DAYS));
        if recent.is_some_and(|recent| campaign.last_day < recent) { NewStatus::Completed } else { NewStatus::Active }
    }

    /// The body that states a batch, as of its arrival.
    pub fn statements(&self, batch: &Batch, verdict: &Verdict, facts: &SourceFacts) -> Value {
        let statements = batch.items.iter().map(|place| {
            let item = &verdict.items[*place];
            let measures: Map<String, Value> =
                item.values.iter().map(|(measure, value)| stated(*measure, *value, facts.currency)).collect();
            json!({
                "external_campaign_id": verdict.campaigns[item.campaign].id,
                "bucket": item.bucket,
                "measures": measures,
            })
        });
        let mut body = json!({
            "source": verdict.sources[batch.source],
            "grain": self.grain.name(),
            "time_zone": facts.zone.name(),
            "statements": statements.collect::<Vec<_>>(),
        });
        if let Some(date) = batch.replaces {
            let measures: Vec<&str> = self.measures.iter().map(|measure| measure.name()).collect();
            body["replace"] = json!({ "from": date, "to": date, "measures": measures });
        }
        body
    }

    /// The end of the last day that the sources are said to be complete for.
    pub fn complete_until(&self, last: NaiveDate, zone: Zone) -> Result<DateTime<Utc>, BucketError> {
        Bucket::Day(last).resolve(Grain::Day, zone).map(|day| day.end)
    }

    /// The body that reports a source complete to an instant.
    pub fn completed(&self, until: DateTime<Utc>) -> Value {
        json!({ "status": "completed", "complete_through": instant(until), "grain": self.grain.name() })
    }

    /// The body that reports that days were read again, of a source that is complete through more already.
    pub fn read_again(&self, first: NaiveDate, until: DateTime<Utc>, zone: Zone) -> Result<Value, BucketError> {
        let start = Bucket::Day(first).resolve(Grain::Day, zone)?.start;
        let covers = json!({ "from": instant(start), "to": instant(until) });
        Ok(json!({ "status": "completed", "covers": covers, "grain": self.grain.name() }))
    }
}

/// A value as JSON. Counts are numbers; money has its currency; what has decimals is a text, so that it stays exact.
fn stated(measure: Measure, value: i64, currency: Currency) -> (String, Value) {
    let decimal = || format_millionths(value.into());
    let value = match measure.unit() {
        Unit::Count => json!(value),
        Unit::Money => json!({ "amount": decimal(), "currency": currency.code() }),
        Unit::Credit | Unit::Ratio => json!(decimal()),
    };
    (measure.name().to_owned(), value)
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
