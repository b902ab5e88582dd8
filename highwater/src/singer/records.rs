//! The records of a stream, as the rows of a table.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::decimal::{self, PowerOfTen};
use serde_json::{Map, Value};

use super::bookmarks::day;
use super::mapping::StreamMapping;

/// The records of one stream.
#[derive(Debug, Clone, Default)]
pub struct StreamRecords {
    columns: Vec<String>,
    index_of: BTreeMap<String, usize>,
    rows: Vec<Vec<(usize, String)>>,
    /// Records that lack a member without which they say nothing.
    pub left_out: u64,
}

impl StreamRecords {
    /// Adds a record.
    pub fn add(&mut self, record: &Map<String, Value>, mapping: &StreamMapping) {
        let mut cells = BTreeMap::new();
        flatten("", record, mapping, &mut cells);
        if mapping.needs.iter().any(|name| cells.get(name).is_none_or(String::is_empty)) {
            self.left_out += 1;
            return;
        }
        let row = cells.into_iter().map(|(name, cell)| (self.column(name), cell)).collect();
        self.rows.push(row);
    }

    fn column(&mut self, name: String) -> usize {
        if let Some(index) = self.index_of.get(&name) {
            return *index;
        }
        let index = self.columns.len();
        self.columns.push(name.clone());
        self.index_of.insert(name, index);
        index
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Keeps the records of days before one. Returns how many are gone.
    pub fn keep_before(&mut self, end: NaiveDate, mapping: &StreamMapping) -> usize {
        let names = &mapping.columns.date_from.names;
        let Some(date) = names.iter().find_map(|name| self.index_of.get(name)).copied() else {
            return std::mem::take(&mut self.rows).len();
        };
        let before = self.rows.len();
        self.rows.retain(|row| {
            let cell = row.iter().find(|(index, _)| *index == date).map(|(_, cell)| cell.as_str());
            cell.and_then(day).is_some_and(|day| day < end)
        });
        before - self.rows.len()
    }

    /// The table as CSV, with a header. What a record has no member for is empty; what it has no entry for in a list of
    /// numbers by name is 0.
    pub fn csv(&self, mapping: &StreamMapping) -> csv::Result<Vec<u8>> {
        let is_counted = |column: &String| {
            mapping.pivots.keys().any(|member| column.strip_prefix(member).is_some_and(|rest| rest.starts_with('.')))
        };
        let empty: Vec<&str> = self.columns.iter().map(|column| if is_counted(column) { "0" } else { "" }).collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.columns)?;
        for row in &self.rows {
            let mut cells = empty.clone();
            for (index, cell) in row {
                cells[*index] = cell;
            }
            writer.write_record(&cells)?;
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }
}

/// The members of a record by their paths: `campaign.id` of an object in it, `actions.purchase` of a list by name.
fn flatten(prefix: &str, members: &Map<String, Value>, mapping: &StreamMapping, cells: &mut BTreeMap<String, String>) {
    for (name, value) in members {
        let path = format!("{prefix}{name}");
        match value {
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) => {
                cells.insert(path, value.to_string());
            }
            Value::String(text) => {
                cells.insert(path, if mapping.days_are_local { local_day(text).to_owned() } else { text.clone() });
            }
            Value::Object(members) => flatten(&format!("{path}."), members, mapping, cells),
            Value::Array(entries) => {
                if let Some(by) = mapping.pivots.get(&path) {
                    pivot(&path, entries, by, cells);
                }
            }
        }
    }
}

/// The values of a list by the name that each entry has. Entries of one name, which differ in other members, are added.
/// What is no number stays as it is, so that its line is refused.
fn pivot(path: &str, entries: &[Value], by: &str, cells: &mut BTreeMap<String, String>) {
    let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
    for entry in entries {
        let Some(name) = entry[by].as_str() else { continue };
        let value = match &entry["value"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match decimal::round_millionths(&value, PowerOfTen::default()) {
            Ok(number) => *sums.entry(name).or_default() += i128::from(number.value),
            Err(_) => {
                cells.insert(format!("{path}.{name}"), value);
            }
        }
    }
    for (name, sum) in sums {
        cells.entry(format!("{path}.{name}")).or_insert_with(|| decimal::format_millionths(sum));
    }
}

/// The day of a text that names a whole day by its first instant.
fn local_day(text: &str) -> &str {
    let is_midnight = |rest: &str| {
        let rest = rest.strip_suffix('Z').or_else(|| rest.strip_suffix("+00:00")).unwrap_or(rest);
        rest.strip_prefix(['T', ' '])
            .is_some_and(|time| time.starts_with("00:00") && time.chars().all(|each| matches!(each, '0' | ':' | '.')))
    };
    match text.split_at_checked(10) {
        Some((date, rest)) if day(text).is_some() && is_midnight(rest) => date,
        _ => text,
    }
}
