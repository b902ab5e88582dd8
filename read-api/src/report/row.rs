//! Rows on the wire.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::bucket::{Granularity, ReportBucket};
use domain::measure::Measure;
use domain::money::Currency;
use domain::source::SourceRole;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

use super::compare::{self, Change, Compared};
use super::dimension::DimensionField;
use super::measure_values::ByCurrency;
use super::query::MeasureColumn;
use super::rows::{Row, RowContext};
use super::value::{NumberOrMoney, RowMember, Value};
use crate::response::{Meta, Page};
use crate::sources::Source;

/// A report.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Report)]
pub(crate) struct ReportBody<'a> {
    /// The rows of the page.
    pub(crate) data: Vec<ReportRow<'a>>,
    /// With `subtotals`: the rows of all pages that have that in common, as one each. Sorted by it; primary numbers only, unless
    /// it is `source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subtotals: Option<Vec<ReportRow<'a>>>,
    /// With `totals`: the rows of all pages as one, primary numbers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) totals: Option<ReportRow<'a>>,
    pub(crate) page: Page,
    pub(crate) meta: Meta<'a>,
}

/// A row of a report: the keys of its group, its bucket, one member per measure, and its state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportRow<'a> {
    /// With `group_by` channel: the channel of the sources that say the numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    /// With `group_by` source: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    /// With `group_by` source: `primary`, or `reference` for numbers that no total holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    role: Option<&'static str>,
    /// Measures of a primary source that do not count toward totals: those it states as a reference, and those computed from one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    reference_measures: Vec<&'static str>,
    /// With `group_by` campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign_id: Option<Uuid>,
    /// With `group_by` campaign: its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    campaign: Option<&'a str>,
    /// Described with the measures: both are members of names that the query decides.
    #[serde(flatten)]
    #[schema(ignore)]
    dimension: Option<DimensionField<'a>>,
    /// The local date on which the bucket begins, or its first instant when it is shorter than a day. Left out when the
    /// range is one bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<&'a str>,
    /// With `group_by` a dimension, a member of its name: what the observations say, `(other)` for the values beyond those that are
    /// kept, null for numbers that name none, as totals of pull sources never do.
    ///
    /// One member per measure, by its name: counts, credits and ratios as numbers, money as `{amount, currency}`. Null where
    /// no source states it or, for quotients, where the denominator is 0.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, RowMember>)]
    measures: Measures<'a>,
    /// Where amounts of several currencies would have had to be added, and a measure is null for it: its value in each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, BTreeMap<String, NumberOrMoney>>, example = json!({"EUR": {"spend": {"amount": "2.000000", "currency": "EUR"}}}))]
    by_currency: &'a ByCurrency,
    /// With `compare_to`: the numbers of the other range, and what changed since.
    #[serde(skip_serializing_if = "Option::is_none")]
    compared: Option<ComparedBody<'a>>,
    /// `live`, `provisional` or `final`.
    #[schema(value_type = String)]
    state: &'static str,
    /// With `group_by` channel, source or campaign, whose rows wait for different sources: where the numbers of this one begin to
    /// be incomplete. Left out when they are complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_incomplete: Option<DateTime<Utc>>,
    /// With `group_by` channel or campaign: the sources that decide on the state of this row. `meta.freshness` tells how they
    /// stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    sources: Option<Vec<&'a str>>,
    /// True when a number of the row changed after it was final; otherwise left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    restated_after_final: bool,
}

/// The values of a row by the names of its measures.
#[derive(Debug)]
struct Measures<'a> {
    columns: &'a [MeasureColumn],
    values: &'a [Value],
}

/// The numbers that a row is compared with.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Compared)]
pub(crate) struct ComparedBody<'a> {
    /// The bucket that the row's corresponds to, as that is told. Left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    bucket: Option<&'a str>,
    /// `live`, `provisional` or `final`: of the other range's numbers; of all of them where no bucket corresponds.
    #[schema(value_type = String)]
    state: &'static str,
    /// One member per measure, by its name: its value there, by how much it is more now, and that as a part of it. Null where
    /// there is nothing to compare, and `relative_change` where the value is 0.
    #[schema(value_type = BTreeMap<String, ChangeBody>,
             example = json!({"clicks": {"value": 40, "change": 10, "relative_change": 0.25}}))]
    measures: Changes<'a>,
    /// Of the measures that either range tells in several currencies: the same in each.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, BTreeMap<String, ChangeBody>>)]
    by_currency: BTreeMap<Currency, BTreeMap<&'static str, ChangeBody>>,
}

#[derive(Debug)]
struct Changes<'a> {
    columns: &'a [MeasureColumn],
    now: &'a [Value],
    then: &'a [Value],
}

/// A measure in both ranges.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
struct ChangeBody {
    /// In the other range.
    #[schema(value_type = NumberOrMoney, example = 40)]
    value: Value,
    /// By how much it is more in the report's own.
    #[schema(value_type = NumberOrMoney, example = 10)]
    change: Value,
    /// That as a part of the other.
    #[schema(value_type = NumberOrMoney, example = 0.25)]
    relative_change: Value,
}

/// What rows of one report share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowRenderer<'a> {
    pub(crate) setting: &'a RowContext<'a>,
    /// The cells of the range that rows are compared with.
    pub(crate) compared: &'a [ReportBucket],
    pub(crate) names: &'a BTreeMap<Uuid, String>,
}

impl<'a> ReportRow<'a> {
    pub(crate) fn new(row: &'a Row, restated_after_final: bool, sheet: RowRenderer<'a>) -> Self {
        let (key, setting) = (&row.key, sheet.setting);
        let query = setting.query;
        let source = key.source.as_ref().and_then(|source| setting.sources.get(&source.id));
        let has_sources = (key.channel.is_some() || key.campaign.is_some()) && key.source.is_none();
        let differs = has_sources || key.source.is_some();
        let sources = has_sources.then(|| {
            let mut names: Vec<_> =
                setting.deciding(key).into_iter().map(|source| source.definition.name.as_str()).collect();
            names.sort_unstable();
            names
        });
        Self {
            channel: key.channel.as_deref(),
            source: key.source.as_ref().map(|source| source.name.as_str()),
            role: source.map(|source| source.role_among(setting.measures).name()),
            reference_measures: source.map(|source| beside_totals(source, setting)).unwrap_or_default(),
            campaign_id: key.campaign,
            campaign: key.campaign.and_then(|id| sheet.names.get(&id)).map(String::as_str),
            dimension: query
                .dimension()
                .zip(key.slice.as_ref())
                .map(|(dimension, slice)| DimensionField { dimension, slice }),
            bucket: sheet.label(setting.cells, key.cell),
            measures: Measures { columns: &query.measures, values: &row.values },
            by_currency: &row.by_currency,
            compared: row.compared.as_ref().map(|compared| sheet.compared(row, compared)),
            state: row.state.name(),
            first_incomplete: if differs { setting.first_incomplete(key) } else { None },
            sources,
            restated_after_final,
        }
    }
}

impl<'a> RowRenderer<'a> {
    fn label(&self, cells: &'a [ReportBucket], cell: usize) -> Option<&'a str> {
        let has_buckets = self.setting.query.granularity != Granularity::All;
        // One without time corresponds to nothing: there is no such bucket.
        cells.get(cell).filter(|cell| has_buckets && cell.start < cell.end).map(|cell| cell.label.as_str())
    }

    fn compared(&self, row: &'a Row, compared: &'a Compared) -> ComparedBody<'a> {
        ComparedBody {
            bucket: self.label(self.compared, row.key.cell),
            state: compared.state.name(),
            measures: Changes { columns: &self.setting.query.measures, now: &row.values, then: &compared.values },
            by_currency: compare::by_currency(row, compared)
                .into_iter()
                .map(|(currency, measures)| (currency, measures.into_iter().map(ChangeBody::of_measure).collect()))
                .collect(),
        }
    }
}

impl ChangeBody {
    fn of(then: Value, Change { absolute, relative }: Change) -> Self {
        Self { value: then, change: absolute, relative_change: relative }
    }

    fn of_measure((name, (then, change)): (&'static str, (Value, Change))) -> (&'static str, Self) {
        (name, Self::of(then, change))
    }
}

impl Serialize for Changes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(Some(self.columns.len()))?;
        for (column, (now, then)) in self.columns.iter().zip(self.now.iter().zip(self.then)) {
            members.serialize_entry(column.name(), &ChangeBody::of(*then, Change::of(*now, *then)))?;
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

/// The measures of a primary source that do not count, although others of it do. Totals compute a quotient from sources both of
/// whose sides count.
fn beside_totals(source: &Source, setting: &RowContext<'_>) -> Vec<&'static str> {
    if source.role_among(setting.measures) != SourceRole::Primary {
        return Vec::new();
    }
    let is_beside = |measure: &Measure| source.definition.role_of(*measure) == SourceRole::Reference;
    let stated = setting.measures.iter().filter(|measure| is_beside(measure)).map(|measure| measure.name());
    let computed = setting.query.measures.iter().filter_map(|column| match column {
        MeasureColumn::Derived(derived) => column.parts().iter().any(is_beside).then_some(derived.name),
        MeasureColumn::Additive(_) => None,
    });
    stated.chain(computed).collect()
}
