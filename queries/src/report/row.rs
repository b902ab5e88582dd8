//! The rows of a report one by one, as they are written: views of its columns.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::money::Currency;
use domain::observation::Dimension;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

use super::compare::Change;
use super::measure_values::ByCurrency;
use super::query::MeasureColumn;
use super::value::{NumberOrMoney, RowMember, Value};
use crate::sources::BucketEdge;

/// By currency, the changes of the measures that have several currencies in either range.
pub type ChangesByCurrency = BTreeMap<Currency, BTreeMap<&'static str, ChangeBody>>;

/// A row of a report: the keys of its group, its bucket, one member per measure, and its state.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportRow<'a> {
    /// With `group_by` channel: the channel of the sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<&'a str>,
    /// With `group_by` source: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'a str>,
    /// With `group_by` source: `primary`, or `reference` for numbers that no total includes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub role: Option<&'static str>,
    /// Measures of a primary source that do not count toward totals: those it states as a reference, and those computed
    /// from one.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub reference_measures: &'a [&'static str],
    /// With `group_by` campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign_id: Option<Uuid>,
    /// With `group_by` campaign: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<&'a str>,
    /// Described with the measures: both are members of names that the query decides.
    #[serde(flatten)]
    #[schema(ignore)]
    pub dimension: Option<DimensionField<'a>>,
    /// The local date on which the bucket begins, or its first instant when it is shorter than a day. Left out when the
    /// range is one bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<&'a str>,
    /// True when the bucket holds only a part of its week, month, quarter or year, because the range begins or ends
    /// inside it, or when `compare_elapsed` cuts it; otherwise left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// With `group_by` a dimension, a member of its name: what the observations say, `(other)` for the values beyond
    /// those that are kept, null for numbers that name none, as totals of pull sources never do.
    ///
    /// One member per measure, by its name: counts, credits and ratios as numbers, money as `{amount, currency}`. Null
    /// where no source states it or, for quotients, where the denominator is 0.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, RowMember>)]
    pub measures: Measures<'a>,
    /// The values by currency of measures that are null because amounts of several currencies are not added.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, BTreeMap<String, NumberOrMoney>>,
             example = json!({"EUR": {"spend": {"amount": "2.000000", "currency": "EUR"}}}))]
    pub by_currency: &'a ByCurrency,
    /// With `compare_to`: the numbers of the other range, and the changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<ComparedRow<'a>>,
    /// `live`, `provisional` or `final`.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// With `group_by` channel, source or campaign, whose rows wait for different sources: where the numbers of this
    /// one begin to be incomplete. Left out when they are complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_incomplete: Option<DateTime<Utc>>,
    /// With the same: the last bucket, or the last day of a longer one, up to which the row's numbers are complete. It
    /// is a local date, or an instant where buckets are shorter than a day. Left out when the row is final, and where
    /// there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2026-11-21")]
    pub complete_through: Option<BucketEdge>,
    /// The last one up to which they are final, as for `complete_through`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "2026-11-19")]
    pub final_through: Option<BucketEdge>,
    /// With `group_by` channel or campaign: the sources that decide on the state of this row. `meta.freshness` has
    /// their status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub sources: Option<&'a [String]>,
    /// True when a number of the row changed after it was final; otherwise left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub restated_after_final: bool,
}

/// The member of a row that is named after its dimension.
#[derive(Debug)]
pub struct DimensionField<'a> {
    pub dimension: Dimension,
    /// `None`: the numbers have no value.
    pub value: Option<&'a str>,
}

impl Serialize for DimensionField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut member = serializer.serialize_map(Some(1))?;
        member.serialize_entry(self.dimension.name(), &self.value)?;
        member.end()
    }
}

/// The values of a row by the names of its measures.
#[derive(Debug)]
pub struct Measures<'a> {
    pub columns: &'a [MeasureColumn],
    pub values: &'a [Value],
}

/// The numbers of the other range for a row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Compared)]
pub struct ComparedRow<'a> {
    /// The corresponding bucket of the other range, in the same format. Left out if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<&'a str>,
    /// `live`, `provisional` or `final`: of the other range's numbers; of all of them where no bucket corresponds.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// One member per measure, by its name: its value there, by how much it is more now, and that as a part of it. Null
    /// where there is nothing to compare, and `relative_change` where the value is 0.
    #[schema(value_type = BTreeMap<String, ChangeBody>,
             example = json!({"clicks": {"value": 40, "change": 10, "relative_change": 0.25}}))]
    pub measures: Changes<'a>,
    /// The same by currency, for measures that have several currencies in either range.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, BTreeMap<String, ChangeBody>>)]
    pub by_currency: &'a ChangesByCurrency,
}

#[derive(Debug)]
pub struct Changes<'a> {
    pub columns: &'a [MeasureColumn],
    pub now: &'a [Value],
    pub other: &'a [Value],
}

/// A measure in both ranges.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeBody {
    /// In the other range.
    #[schema(value_type = NumberOrMoney, example = 40)]
    pub value: Value,
    /// The difference: the report's own value minus the other.
    #[schema(value_type = NumberOrMoney, example = 10)]
    pub change: Value,
    /// The difference divided by the other value.
    #[schema(value_type = NumberOrMoney, example = 0.25)]
    pub relative_change: Value,
}

impl<'a> ReportRow<'a> {
    pub(super) fn dimension(value: Option<(Dimension, &'a Option<String>)>) -> Option<DimensionField<'a>> {
        value.map(|(dimension, value)| DimensionField { dimension, value: value.as_deref() })
    }

    pub(super) fn measures(columns: &'a [MeasureColumn], values: &'a [Value]) -> Measures<'a> {
        Measures { columns, values }
    }
}

impl<'a> ComparedRow<'a> {
    pub(super) fn changes(columns: &'a [MeasureColumn], now: &'a [Value], other: &'a [Value]) -> Changes<'a> {
        Changes { columns, now, other }
    }
}

impl ChangeBody {
    pub(super) fn new(other: Value, Change { absolute, relative }: Change) -> Self {
        Self { value: other, change: absolute, relative_change: relative }
    }
}

impl Measures<'_> {
    /// The values in the order of the report's measures.
    pub fn values(&self) -> &[Value] {
        self.values
    }
}

impl Changes<'_> {
    /// The change of each measure of the report, in their order.
    pub fn each(&self) -> impl Iterator<Item = (MeasureColumn, ChangeBody)> {
        let values = self.now.iter().zip(self.other);
        self.columns
            .iter()
            .zip(values)
            .map(|(column, (now, other))| (*column, ChangeBody::new(*other, Change::of(*now, *other))))
    }
}

impl Serialize for Changes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, change) in self.each() {
            members.serialize_entry(column.name(), &change)?;
        }
        members.end()
    }
}

impl Serialize for Measures<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, value) in self.columns.iter().zip(self.values) {
            members.serialize_entry(column.name(), value)?;
        }
        members.end()
    }
}
