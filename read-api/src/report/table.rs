//! A report as a file: its columns follow from its query.

use domain::bucket::Granularity;
use domain::measure::Unit;

use super::MAX_SUMS;
use super::query::{GroupKey, MeasureColumn as Measured, ReportQuery};
use super::render::Report;
use crate::pipeline::{Column, Params, Table};

impl<P: Params<ReportQuery>> Table for Report<P> {
    // A report is added up whole, so it is told whole.
    const PAGE_SIZE: usize = MAX_SUMS;

    fn file_name(&self) -> String {
        self.campaign.map_or("report".to_owned(), |id| format!("campaign-{id}-metrics"))
    }

    fn columns(&self, query: &ReportQuery) -> Vec<Column> {
        let mut columns: Vec<Column> = query.group_by.iter().flat_map(|key| of_group(*key)).map(Column::of).collect();
        if query.granularity != Granularity::All {
            columns.push(Column::of("bucket"));
        }
        columns.extend(query.measures.iter().flat_map(|measure| Column::number(measure.name(), measure.unit())));
        let mut parts = query.measures.iter().flat_map(|measure| measure.parts());
        let has_money = parts.any(|part| part.unit() == Unit::Money);
        if has_money {
            columns.push(Column::of("by_currency"));
        }
        if query.compare_to.is_some() {
            columns.push(Column::within("compared", "bucket"));
            columns.push(Column::within("compared", "state"));
            columns.extend(query.measures.iter().flat_map(|measure| compared(*measure)));
            if has_money {
                columns.push(Column::within("compared", "by_currency"));
            }
        }
        columns.push(Column::of("state"));
        if [GroupKey::Channel, GroupKey::Source, GroupKey::Campaign].iter().any(|key| query.groups_by(*key)) {
            columns.extend(["first_incomplete", "sources"].map(Column::of));
        }
        columns.push(Column::of("restated_after_final"));
        columns
    }
}

/// The members that a row has by this key.
fn of_group(key: GroupKey) -> Vec<&'static str> {
    match key {
        GroupKey::Channel => vec!["channel"],
        GroupKey::Source => vec!["source", "role", "reference_measures"],
        GroupKey::Campaign => vec!["campaign_id", "campaign"],
        GroupKey::Dimension(dimension) => vec![dimension.name()],
    }
}

/// What a measure was in the other range, and how it changed. Either range may be in a currency of its own, or have none.
fn compared(measure: Measured) -> Vec<Column> {
    let number = |name: &str, member: &'static str, unit: Unit| {
        let path = vec!["compared", "measures", measure.name(), member];
        Column::number_at(format!("{}_{name}", measure.name()), path, unit)
    };
    let unit = measure.unit();
    [
        number("compared", "value", unit),
        number("change", "change", unit),
        number("relative_change", "relative_change", Unit::Ratio),
    ]
    .concat()
}
