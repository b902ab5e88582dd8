//! Statements: totals as of now, from a pull source. The newest (`stated_at`, then position) wins.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bucket::{Bucket, BucketError, Grain};
use crate::ids::{CampaignId, SourceId};
use crate::item::{
    Amount, CampaignRef, ItemError, ItemErrorCode, check_money_limit, check_not_ahead, truncate_to_millis,
};
use crate::measure::{Measure, Unit};
use crate::money::{Currency, MoneyLimit};
use crate::zone::Zone;

pub use crate::catalogue::STATEMENT_STREAM as STREAM_TYPE;

/// A batch of one source's statements, in one grain and zone: only what differs from its last statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StatementsRecorded {
    /// The source that stated it.
    pub source: SourceId,
    /// The series of the source that it belongs to; left out of the first one, whose id is the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<SourceId>,
    /// The currency of every money value in it.
    pub currency: Currency,
    /// The length of each bucket.
    pub grain: Grain,
    /// The zone whose days and hours the buckets are.
    pub time_zone: Zone,
    /// The dimensions that the statements are broken down by; left out of totals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakdown: Vec<String>,
    /// The place of the breakdown among those whose rows sum to the total: the lowest one that a bucket has makes the
    /// total, unless that is stated itself. Left out of totals, and where the rows do not sum to the total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precedence: Option<u16>,
    /// The id of the key that opens the sealed parts of the statements; left out if nothing is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_with: Option<String>,
    /// The statements.
    pub statements: Vec<Statement>,
}

/// One campaign's totals in one bucket. Measures that are not named stay as they were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Statement {
    /// The campaign.
    pub campaign: CampaignId,
    /// The bucket, by its local day or its first instant.
    pub bucket: Bucket,
    /// Of each dimension of the batch's breakdown, in its order, the value that the totals are of; left out of totals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The instant as of which the totals are stated. Of two statements about the same measure, the later one wins.
    pub stated_at: DateTime<Utc>,
    /// The totals, as integers in each measure's unit: things, millionths of a conversion, micros of the currency.
    /// Null: the source takes back what it stated.
    pub measures: BTreeMap<Measure, Option<i64>>,
    /// What of it only [`StatementsRecorded::sealed_with`] opens, in base64; left out if nothing is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

impl StatementsRecorded {
    /// The series that the statements count in.
    pub fn series(&self) -> SourceId {
        self.series.unwrap_or(self.source)
    }

    /// Whether the statements make totals: they state them, or rows that sum to them.
    pub fn makes_totals(&self) -> bool {
        self.breakdown.is_empty() || self.precedence.is_some()
    }
}

/// The grain and zone in which the buckets of a batch are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketSpec {
    /// The length of each bucket.
    pub grain: Grain,
    /// The zone whose days and hours the buckets are.
    pub zone: Zone,
}

/// A statement as it is sent. [`validate`](Self::validate) checks it without any lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementInput {
    /// The campaign.
    pub campaign: CampaignRef,
    /// The bucket, by its local day or its first instant.
    pub bucket: Bucket,
    /// The values of the dimensions that the batch's breakdown names.
    pub dimensions: BTreeMap<String, String>,
    /// The totals; `None` takes back what was stated. Measures that it does not name stay as they were.
    pub measures: BTreeMap<Measure, Option<Amount>>,
    /// The instant as of which the totals are stated; the time of receipt if left out.
    pub stated_at: Option<DateTime<Utc>>,
}

impl StatementInput {
    /// Rejects a statement that no source and campaign could take.
    pub fn validate(&self, spec: BucketSpec, now: DateTime<Utc>) -> Result<(), ItemError> {
        self.campaign.validate()?;
        let span = self
            .bucket
            .resolve(spec.grain, spec.zone)
            .map_err(|error| ItemError::at(ItemErrorCode::BadBucket, "bucket", error.to_string()))?;
        if span.start > now {
            return Err(ItemError::at(ItemErrorCode::InFuture, "bucket", "has not begun yet"));
        }
        if let Some(stated_at) = self.stated_at {
            check_not_ahead("stated_at", stated_at, now)?;
        }
        if self.measures.is_empty() {
            return Err(ItemError::at(ItemErrorCode::NoMeasures, "measures", "must name at least one measure"));
        }
        for (measure, amount) in &self.measures {
            if let Some(amount) = amount {
                amount.validate(*measure, &measure_field(*measure))?;
            }
        }
        Ok(())
    }

    /// The instant as of which it is stated, for a batch that was received at `now`. Truncated to the millisecond, as
    /// in events.
    pub fn stated_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        truncate_to_millis(self.stated_at.unwrap_or(now))
    }

    /// The totals as integers, once the source's currency is known.
    pub fn values(&self, currency: Currency) -> Result<BTreeMap<Measure, Option<i64>>, ItemError> {
        let value = |(measure, amount): (&Measure, &Option<Amount>)| {
            let value = amount.map(|amount| amount.in_currency(currency, &measure_field(*measure))).transpose()?;
            Ok((*measure, value))
        };
        self.measures.iter().map(value).collect()
    }

    /// The amounts of money in it, in micros.
    pub fn money(&self) -> impl Iterator<Item = (Measure, i64)> {
        let money = self.measures.iter().filter(|(measure, _)| measure.unit() == Unit::Money);
        money.filter_map(|(measure, amount)| Some((*measure, (*amount)?.value)))
    }

    /// Rejects an amount above the limit of the workspace.
    pub fn check_limit(&self, limit: MoneyLimit) -> Result<(), ItemError> {
        self.money().try_for_each(|(measure, micros)| check_money_limit(limit, micros, &measure_field(measure)))
    }
}

/// The part of a source's statements that a batch makes whole: what was stated there, and the batch does not name, is
/// taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The first bucket.
    pub from: Bucket,
    /// The last bucket, inclusive.
    pub to: Bucket,
    /// The only campaigns that are made whole, if not all are.
    pub campaigns: Option<BTreeSet<CampaignId>>,
    /// The measures that are made whole, if they are not those that the batch names anywhere.
    pub measures: Option<BTreeSet<Measure>>,
}

/// Why a part of a source's statements cannot be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReplacementError {
    /// A bucket is none of the grain.
    #[error("{error}")]
    Bucket {
        /// The member.
        field: &'static str,
        /// What is wrong with it.
        error: BucketError,
    },
    /// The range ends before it begins.
    #[error("lies before `from`")]
    Reversed,
    /// Neither the batch nor the replacement names a measure.
    #[error("must name the measures, because no statement does")]
    NoMeasures,
}

impl ReplacementError {
    /// The member at fault.
    pub fn field(self) -> &'static str {
        match self {
            Self::Bucket { field, .. } => field,
            Self::Reversed => "replace.to",
            Self::NoMeasures => "replace.measures",
        }
    }
}

impl Replacement {
    /// Rejects a range that is none of buckets of the grain and zone.
    pub fn validate(&self, spec: BucketSpec) -> Result<(), ReplacementError> {
        for (field, bucket) in [("replace.from", self.from), ("replace.to", self.to)] {
            bucket.resolve(spec.grain, spec.zone).map_err(|error| ReplacementError::Bucket { field, error })?;
        }
        if self.to < self.from { Err(ReplacementError::Reversed) } else { Ok(()) }
    }
}

/// The name of a measure's amount in errors.
pub fn measure_field(measure: Measure) -> String {
    format!("measures.{measure}")
}
