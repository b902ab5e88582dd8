//! Rows on the wire.

use std::collections::{BTreeMap, BTreeSet};

use domain::bucket::{Cell, Granularity};
use domain::measure::Measure;
use domain::source::Role;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

use super::combine::Row;
use super::dimension::Member;
use super::query::{Column, ReportQuery};
use super::value::Value;
use crate::sources::{Source, Sources};

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
    /// Measures of a primary source that do not count toward totals.
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
    dimension: Option<Member<'a>>,
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
    #[schema(value_type = BTreeMap<String, Object>)]
    measures: Measures<'a>,
    /// `live`, `provisional` or `final`.
    #[schema(value_type = String)]
    state: &'static str,
    /// True when a number of the row changed after it was final; otherwise left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    restated_after_final: bool,
}

/// The values of a row by the names of its measures.
#[derive(Debug)]
struct Measures<'a> {
    columns: &'a [Column],
    values: &'a [Value],
}

/// What rows of one report share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sheet<'a> {
    pub(crate) query: &'a ReportQuery,
    pub(crate) cells: &'a [Cell],
    pub(crate) measures: &'a BTreeSet<Measure>,
    pub(crate) sources: &'a Sources,
    pub(crate) names: &'a BTreeMap<Uuid, String>,
}

impl<'a> ReportRow<'a> {
    pub(crate) fn new(row: &'a Row, restated_after_final: bool, sheet: Sheet<'a>) -> Self {
        let key = &row.key;
        let source = key.source.as_ref().and_then(|source| sheet.sources.get(&source.id));
        let has_bucket = sheet.query.granularity != Granularity::All;
        Self {
            channel: key.channel.as_deref(),
            source: key.source.as_ref().map(|source| source.name.as_str()),
            role: source.map(|source| source.role_among(sheet.measures).name()),
            reference_measures: source.map(|source| beside_totals(source, sheet.measures)).unwrap_or_default(),
            campaign_id: key.campaign,
            campaign: key.campaign.and_then(|id| sheet.names.get(&id)).map(String::as_str),
            dimension: sheet
                .query
                .dimension()
                .zip(key.slice.as_ref())
                .map(|(dimension, slice)| Member { dimension, slice }),
            bucket: sheet.cells.get(key.cell).filter(|_| has_bucket).map(|cell| cell.label.as_str()),
            measures: Measures { columns: &sheet.query.measures, values: &row.values },
            state: row.state.name(),
            restated_after_final,
        }
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

/// The measures of a primary source that do not count, although others of it do.
fn beside_totals(source: &Source, measures: &BTreeSet<Measure>) -> Vec<&'static str> {
    let is_primary = source.role_among(measures) == Role::Primary;
    let beside = measures
        .iter()
        .filter(|measure| is_primary && source.definition.role_of(**measure) == Role::Reference)
        .map(|measure| measure.name());
    beside.collect()
}
