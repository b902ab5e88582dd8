//! A report as CSV: its columns follow from its query.

use domain::bucket::Granularity;
use domain::measure::Unit;
use queries::report::query::{GroupKey, MeasureColumn, ReportQuery};
use queries::report::row::{ChangeBody, ComparedRow, ReportRow};

use super::cells::Lines;
use super::number;
use crate::error::ApiError;

/// The names of the columns.
pub(super) fn columns(query: &ReportQuery) -> Vec<String> {
    let mut columns: Vec<String> = query.group_by.iter().flat_map(|key| of_group(*key)).map(str::to_owned).collect();
    if query.granularity != Granularity::All {
        columns.push("bucket".to_owned());
    }
    if query.has_partial_buckets() {
        columns.push("partial".to_owned());
    }
    columns.extend(query.measures.iter().flat_map(|measure| number(measure.name(), measure.unit())));
    if has_money(query) {
        columns.push("by_currency".to_owned());
    }
    if query.compare_to.is_some() {
        columns.extend(["compared_bucket", "compared_state"].map(str::to_owned));
        columns.extend(query.measures.iter().flat_map(|measure| compared(*measure)));
        if has_money(query) {
            columns.push("compared_by_currency".to_owned());
        }
    }
    columns.push("state".to_owned());
    if has_sources(query) {
        columns.extend(["first_incomplete", "complete_through", "final_through", "sources"].map(str::to_owned));
    }
    columns.push("restated_after_final".to_owned());
    columns
}

/// Writes a row.
pub(super) fn write(lines: &mut Lines, query: &ReportQuery, row: &ReportRow<'_>) -> Result<(), ApiError> {
    for key in &query.group_by {
        group(lines, *key, row)?;
    }
    if query.granularity != Granularity::All {
        lines.optional(row.bucket)?;
    }
    if query.has_partial_buckets() {
        lines.text(if row.partial { "true" } else { "" })?;
    }
    for (measure, value) in query.measures.iter().zip(row.measures.values()) {
        lines.value(*value, measure.unit())?;
    }
    if has_money(query) {
        lines.members(row.by_currency)?;
    }
    if query.compare_to.is_some() {
        comparison(lines, query, row.compared.as_ref())?;
    }
    lines.text(row.state)?;
    if has_sources(query) {
        lines.instant(row.first_incomplete)?;
        lines.edge(row.complete_through)?;
        lines.edge(row.final_through)?;
        lines.list(row.sources.unwrap_or_default())?;
    }
    lines.text(if row.restated_after_final { "true" } else { "" })?;
    lines.end()
}

fn has_money(query: &ReportQuery) -> bool {
    query.measures.iter().flat_map(|measure| measure.parts()).any(|part| part.unit() == Unit::Money)
}

/// Whether the rows have a column for missing sources.
fn has_sources(query: &ReportQuery) -> bool {
    [GroupKey::Channel, GroupKey::Source, GroupKey::Campaign].iter().any(|key| query.groups_by(*key))
}

/// The columns of a group key.
fn of_group(key: GroupKey) -> Vec<&'static str> {
    match key {
        GroupKey::Channel => vec!["channel"],
        GroupKey::Source => vec!["source", "role", "reference_measures"],
        GroupKey::Campaign => vec!["campaign_id", "campaign"],
        GroupKey::Dimension(dimension) => vec![dimension.name()],
    }
}

fn group(lines: &mut Lines, key: GroupKey, row: &ReportRow<'_>) -> Result<(), ApiError> {
    match key {
        GroupKey::Channel => lines.optional(row.channel),
        GroupKey::Source => {
            lines.optional(row.source)?;
            lines.optional(row.role)?;
            lines.list(row.reference_measures)
        }
        GroupKey::Campaign => {
            lines.plain(row.campaign_id.map(|id| id.to_string()).unwrap_or_default())?;
            lines.optional(row.campaign)
        }
        GroupKey::Dimension(_) => lines.optional(row.dimension.as_ref().and_then(|dimension| dimension.value)),
    }
}

/// The columns of a comparison: a measure in the other range, and its change. Each range may have another currency, or
/// none.
fn compared(measure: MeasureColumn) -> Vec<String> {
    let (name, unit) = (measure.name(), measure.unit());
    [
        number(&format!("{name}_compared"), unit),
        number(&format!("{name}_change"), unit),
        number(&format!("{name}_relative_change"), Unit::Ratio),
    ]
    .concat()
}

fn comparison(lines: &mut Lines, query: &ReportQuery, compared: Option<&ComparedRow<'_>>) -> Result<(), ApiError> {
    let Some(compared) = compared else {
        // In a comparison, each row has compared values.
        return Err(ApiError::internal("a row of a comparison is not compared"));
    };
    lines.optional(compared.bucket)?;
    lines.text(compared.state)?;
    for (measure, ChangeBody { value, change, relative_change }) in compared.measures.each() {
        lines.value(value, measure.unit())?;
        lines.value(change, measure.unit())?;
        lines.value(relative_change, Unit::Ratio)?;
    }
    if has_money(query) {
        lines.members(compared.by_currency)?;
    }
    Ok(())
}
