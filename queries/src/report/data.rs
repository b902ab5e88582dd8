//! The rows of a report as columns. Names are interned: a row holds indexes of its names, so that it takes tens of
//! bytes beside its numbers, however long the names are.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::{Granularity, ReportBucket};
use domain::freshness::Finality;
use domain::measure::Measure;
use domain::observation::Dimension;
use domain::source::SourceRole;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::compare;
use super::dates::DaysBody;
use super::measure_values::ByCurrency;
use super::query::MeasureColumn;
use super::row::{ChangeBody, ChangesByCurrency, ComparedRow, ReportRow};
use super::rows::{Row, RowContext};
use super::value::Value;
use crate::sources::{self, SettledRange, Source, state_name};

/// The index of a name that a row does not have.
const NONE: u32 = u32::MAX;

/// The rows of a page of a report, with subtotals and totals if they were requested.
#[derive(Debug)]
pub struct ReportData {
    pub rows: ReportColumns,
    /// The subtotals over the rows of all pages.
    pub subtotals: Option<ReportColumns>,
    /// The totals over the rows of all pages.
    pub totals: Option<ReportColumns>,
    /// The days that a relative range stood for.
    pub dates: Option<DaysBody>,
    /// The range that it is compared with.
    pub compared: Option<ComparedRange>,
    measures: Vec<MeasureColumn>,
    dimension: Option<Dimension>,
    names: Names,
}

/// Rows as columns. A column that no row has a value in is empty.
#[derive(Debug, Default)]
pub struct ReportColumns {
    rows: usize,
    buckets: Vec<u32>,
    is_partial: Vec<bool>,
    channels: Vec<u32>,
    sources: Vec<u32>,
    campaigns: Vec<u32>,
    /// Of the report's dimension.
    values: Vec<u32>,
    /// The sources that decide on the finality of each row, as indexes of sets.
    deciding: Vec<u32>,
    /// Of each row, one value for each measure of the report.
    measures: Vec<Value>,
    states: Vec<Finality>,
    first_incomplete: Vec<Option<DateTime<Utc>>>,
    /// Of the rows that are not final, where rows wait for different sources.
    settled: BTreeMap<usize, SettledRange>,
    restated_after_final: Vec<bool>,
    /// By row; few rows have any.
    by_currency: BTreeMap<usize, ByCurrency>,
    compared: Option<ComparedColumns>,
}

/// The numbers that rows are compared with, row by row.
#[derive(Debug, Default)]
struct ComparedColumns {
    buckets: Vec<u32>,
    states: Vec<Finality>,
    measures: Vec<Value>,
    by_currency: BTreeMap<usize, ChangesByCurrency>,
}

/// The names that rows have indexes of.
#[derive(Debug, Default)]
struct Names {
    buckets: Interned<String>,
    channels: Interned<String>,
    sources: Interned<SourceName>,
    campaigns: Interned<(Uuid, Option<String>)>,
    values: Interned<Option<String>>,
    deciding: Interned<Vec<String>>,
}

/// A source as its rows name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SourceName {
    name: String,
    role: Option<&'static str>,
    reference_measures: Vec<&'static str>,
}

/// Distinct values, each kept once, by their indexes.
#[derive(Debug)]
struct Interned<T> {
    all: Vec<T>,
    indexes: HashMap<T, u32>,
}

/// The range that numbers are compared with.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ComparedRange {
    /// Its first local day.
    pub date_from: NaiveDate,
    /// Its last local day.
    pub date_to: NaiveDate,
    /// `live`, `provisional` or `final`.
    #[schema(value_type = String, example = "final")]
    #[serde(serialize_with = "state_name")]
    pub state: Finality,
    /// The instant from which its numbers are incomplete.
    pub first_incomplete: Option<DateTime<Utc>>,
    /// With `compare_elapsed`, if the report's own range is not over: the instant up to which its numbers are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_through: Option<DateTime<Utc>>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { all: Vec::new(), indexes: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Interned<T> {
    fn intern(&mut self, one: T) -> u32 {
        if let Some(index) = self.indexes.get(&one) {
            return *index;
        }
        // A report has fewer rows than the largest index.
        let index = u32::try_from(self.all.len()).unwrap_or(NONE);
        self.all.push(one.clone());
        self.indexes.insert(one, index);
        index
    }

    /// Drops the lookup by value.
    fn seal(&mut self) {
        self.indexes = HashMap::new();
        self.all.shrink_to_fit();
    }
}

impl<T> Interned<T> {
    fn at(&self, column: &[u32], row: usize) -> Option<&T> {
        column.get(row).and_then(|index| self.all.get(usize::try_from(*index).ok()?))
    }
}

/// Makes the columns of one report.
pub(super) struct DataBuilder<'a> {
    pub(super) row_context: &'a RowContext<'a>,
    /// The cells of the other range.
    pub(super) compared: &'a [ReportBucket],
    pub(super) campaign_names: &'a BTreeMap<Uuid, String>,
    names: Names,
}

impl<'a> DataBuilder<'a> {
    pub(super) fn new(
        row_context: &'a RowContext<'a>,
        compared: &'a [ReportBucket],
        campaign_names: &'a BTreeMap<Uuid, String>,
    ) -> Self {
        Self { row_context, compared, campaign_names, names: Names::default() }
    }

    pub(super) fn columns(&mut self, rows: &[Row], is_restated: impl Fn(&Row) -> bool) -> ReportColumns {
        let mut columns = ReportColumns::default();
        for row in rows {
            self.add(&mut columns, row, is_restated(row));
        }
        columns.trim();
        columns
    }

    pub(super) fn finish(
        mut self,
        rows: ReportColumns,
        (subtotals, totals): (Option<ReportColumns>, Option<ReportColumns>),
        dates: Option<DaysBody>,
        compared: Option<ComparedRange>,
    ) -> ReportData {
        let query = self.row_context.query;
        self.names.buckets.seal();
        self.names.channels.seal();
        self.names.sources.seal();
        self.names.campaigns.seal();
        self.names.values.seal();
        self.names.deciding.seal();
        let (measures, dimension, names) = (query.measures.clone(), query.dimension(), self.names);
        ReportData { rows, subtotals, totals, dates, compared, measures, dimension, names }
    }

    fn add(&mut self, columns: &mut ReportColumns, row: &Row, is_restated: bool) {
        let (key, row_context) = (&row.key, self.row_context);
        let source = key.source.as_ref().map(|shown| {
            let periods = row_context.deciding(key);
            self.names.sources.intern(SourceName {
                name: shown.name.clone(),
                role: (!periods.is_empty()).then(|| sources::role_in(&periods, row_context.measures).name()),
                reference_measures: reference_measures(&periods, row_context),
            })
        });
        let has_sources = (key.channel.is_some() || key.campaign.is_some()) && key.source.is_none();
        let deciding = has_sources.then(|| {
            let deciding = row_context.deciding(key).into_iter();
            let mut names: Vec<_> = deciding.map(|source| source.definition.name.clone()).collect();
            names.sort_unstable();
            names.dedup();
            self.names.deciding.intern(names)
        });
        let channel = key.channel.as_ref().map(|channel| self.names.channels.intern(channel.clone()));
        let campaign = key.campaign.map(|id| {
            let name = self.campaign_names.get(&id).cloned();
            self.names.campaigns.intern((id, name))
        });
        let value = key.dimension_value.as_ref().map(|value| self.names.values.intern(value.text().map(str::to_owned)));
        let differs = has_sources || key.source.is_some();
        columns.buckets.push(self.bucket(row_context.cells, key.cell));
        columns.is_partial.push(row_context.cells.get(key.cell).is_some_and(|cell| cell.is_partial));
        columns.channels.push(channel.unwrap_or(NONE));
        columns.sources.push(source.unwrap_or(NONE));
        columns.campaigns.push(campaign.unwrap_or(NONE));
        columns.values.push(value.unwrap_or(NONE));
        columns.deciding.push(deciding.unwrap_or(NONE));
        columns.measures.extend(&row.values);
        columns.states.push(row.state);
        columns.first_incomplete.push(if differs { row_context.first_incomplete(key) } else { None });
        if differs && let Some(settled) = row_context.settled(row) {
            columns.settled.insert(columns.rows, settled);
        }
        columns.restated_after_final.push(is_restated);
        if !row.by_currency.is_empty() {
            columns.by_currency.insert(columns.rows, row.by_currency.clone());
        }
        if let Some(compared) = &row.compared {
            let bucket = self.bucket(self.compared, key.cell);
            let compared_columns = columns.compared.get_or_insert_default();
            compared_columns.buckets.push(bucket);
            compared_columns.states.push(compared.state);
            compared_columns.measures.extend(&compared.values);
            let by_currency = compare::by_currency(row, compared);
            if !by_currency.is_empty() {
                let changes = by_currency.into_iter().map(|(currency, measures)| {
                    let changes =
                        measures.into_iter().map(|(name, (value, change))| (name, ChangeBody::new(value, change)));
                    (currency, changes.collect())
                });
                compared_columns.by_currency.insert(columns.rows, changes.collect());
            }
        }
        columns.rows += 1;
    }

    fn bucket(&mut self, cells: &[ReportBucket], cell: usize) -> u32 {
        let has_buckets = self.row_context.query.granularity != Granularity::All;
        // A cell without time corresponds to nothing: it has no bucket.
        let cell = cells.get(cell).filter(|cell| has_buckets && cell.start < cell.end);
        cell.map_or(NONE, |cell| self.names.buckets.intern(cell.label.clone()))
    }
}

impl ReportColumns {
    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Drops the columns in which no row has a name.
    fn trim(&mut self) {
        let Self { buckets, channels, sources, campaigns, values, deciding, .. } = self;
        for column in [buckets, channels, sources, campaigns, values, deciding] {
            if column.iter().all(|index| *index == NONE) {
                *column = Vec::new();
            }
            column.shrink_to_fit();
        }
        self.measures.shrink_to_fit();
    }

    /// The bytes that it takes in memory, about.
    fn weight(&self) -> usize {
        /// A row that has values in several currencies.
        const BY_CURRENCY: usize = 512;
        /// State, first incomplete instant, restated, and the indexes of names.
        const ROW: usize = 64;
        /// Up to where a row is complete and final.
        const SETTLED: usize = 64;
        let compared = self.compared.as_ref().map_or(0, |compared| {
            compared.measures.len() * size_of::<Value>() + compared.by_currency.len() * 2 * BY_CURRENCY
        });
        let numbers = self.measures.len() * size_of::<Value>() + self.settled.len() * SETTLED;
        self.rows * ROW + numbers + self.by_currency.len() * BY_CURRENCY + compared
    }
}

impl ReportData {
    /// The rows of the page, one by one.
    pub fn rows(&self) -> impl Iterator<Item = ReportRow<'_>> {
        self.views(&self.rows)
    }

    pub fn subtotals(&self) -> Option<impl Iterator<Item = ReportRow<'_>>> {
        self.subtotals.as_ref().map(|subtotals| self.views(subtotals))
    }

    pub fn totals(&self) -> Option<ReportRow<'_>> {
        self.totals.as_ref().and_then(|totals| self.views(totals).next())
    }

    fn views<'a>(&'a self, columns: &'a ReportColumns) -> impl Iterator<Item = ReportRow<'a>> {
        (0..columns.rows).map(|row| self.view(columns, row))
    }

    fn view<'a>(&'a self, columns: &'a ReportColumns, row: usize) -> ReportRow<'a> {
        static NO_CURRENCIES: ByCurrency = ByCurrency::new();
        let names = &self.names;
        let source = names.sources.at(&columns.sources, row);
        let campaign = names.campaigns.at(&columns.campaigns, row);
        let values = self.of_row(&columns.measures, row);
        ReportRow {
            channel: names.channels.at(&columns.channels, row).map(String::as_str),
            source: source.map(|source| source.name.as_str()),
            role: source.and_then(|source| source.role),
            reference_measures: source.map_or(&[], |source| &source.reference_measures),
            campaign_id: campaign.map(|(id, _)| *id),
            campaign: campaign.and_then(|(_, name)| name.as_deref()),
            dimension: ReportRow::dimension(self.dimension.zip(names.values.at(&columns.values, row))),
            bucket: names.buckets.at(&columns.buckets, row).map(String::as_str),
            partial: columns.is_partial.get(row).copied().unwrap_or(false),
            measures: ReportRow::measures(&self.measures, values),
            by_currency: columns.by_currency.get(&row).unwrap_or(&NO_CURRENCIES),
            compared: columns.compared.as_ref().map(|compared| self.compared_view(compared, row, values)),
            state: columns.states.get(row).copied().unwrap_or(Finality::Live).name(),
            first_incomplete: columns.first_incomplete.get(row).copied().flatten(),
            complete_through: columns.settled.get(&row).and_then(|settled| settled.complete_through),
            final_through: columns.settled.get(&row).and_then(|settled| settled.final_through),
            sources: names.deciding.at(&columns.deciding, row).map(Vec::as_slice),
            restated_after_final: columns.restated_after_final.get(row).copied().unwrap_or(false),
        }
    }

    fn compared_view<'a>(&'a self, compared: &'a ComparedColumns, row: usize, now: &'a [Value]) -> ComparedRow<'a> {
        static NO_CHANGES: ChangesByCurrency = ChangesByCurrency::new();
        ComparedRow {
            bucket: self.names.buckets.at(&compared.buckets, row).map(String::as_str),
            state: compared.states.get(row).copied().unwrap_or(Finality::Live).name(),
            measures: ComparedRow::changes(&self.measures, now, self.of_row(&compared.measures, row)),
            by_currency: compared.by_currency.get(&row).unwrap_or(&NO_CHANGES),
        }
    }

    fn of_row<'a>(&self, values: &'a [Value], row: usize) -> &'a [Value] {
        let width = self.measures.len();
        values.get(row * width..(row + 1) * width).unwrap_or_default()
    }

    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let Names { buckets, channels, sources, campaigns, values, deciding } = &self.names;
        let texts = |names: &[String]| names.iter().map(|name| name.len() + 24).sum::<usize>();
        let sources = sources.all.iter().map(|source| size_of::<SourceName>() + source.name.len()).sum::<usize>();
        let campaigns = campaigns.all.iter().map(|(_, name)| 40 + name.as_ref().map_or(0, String::len)).sum::<usize>();
        let values = values.all.iter().map(|value| 24 + value.as_ref().map_or(0, String::len)).sum::<usize>();
        let deciding = deciding.all.iter().map(|names| 24 + texts(names)).sum::<usize>();
        let names = texts(&buckets.all) + texts(&channels.all) + sources + campaigns + values + deciding;
        let columns = [Some(&self.rows), self.subtotals.as_ref(), self.totals.as_ref()];
        size_of::<Self>() + names + columns.into_iter().flatten().map(ReportColumns::weight).sum::<usize>()
    }
}

/// The measures of a primary source that do not count toward totals in any of these periods. A net or
/// derived measure counts if all that it is made of does.
fn reference_measures(periods: &[&Source], row_context: &RowContext<'_>) -> Vec<&'static str> {
    if sources::role_in(periods, row_context.measures) != SourceRole::Primary {
        return Vec::new();
    }
    let is_reference =
        |measure: &Measure| periods.iter().all(|source| source.definition.role_of(*measure) == SourceRole::Reference);
    let stated = row_context.measures.iter().filter(|measure| is_reference(measure)).map(|measure| measure.name());
    let computed = row_context.query.measures.iter().filter_map(|column| match column {
        MeasureColumn::Net(_) | MeasureColumn::Derived(_) | MeasureColumn::Operand(..) => {
            column.parts().iter().any(is_reference).then_some(column.name())
        }
        MeasureColumn::Additive(_) => None,
    });
    stated.chain(computed).collect()
}
