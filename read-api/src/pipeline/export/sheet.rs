//! Rows of JSON to lines of CSV (RFC 4180), number by number as they stand in the JSON.

use std::collections::HashMap;

use bytes::Bytes;
use csv::{Terminator, Writer, WriterBuilder};
use domain::measure::Unit;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::ReadError;

/// A column, and where its values are found in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    name: String,
    /// From member to member.
    path: Vec<&'static str>,
}

impl Column {
    /// A member of the row, by its own name.
    pub(crate) fn of(member: &'static str) -> Self {
        Self::at(member, vec![member])
    }

    /// What is found on this way.
    pub(crate) fn at(name: impl Into<String>, path: Vec<&'static str>) -> Self {
        Self { name: name.into(), path }
    }

    /// A member of a member: `actor_name`.
    pub(crate) fn within(member: &'static str, inner: &'static str) -> Self {
        Self::at(format!("{member}_{inner}"), vec![member, inner])
    }

    /// An amount of money: its number under the member's name, and beside it the currency.
    pub(crate) fn money(member: &'static str) -> Vec<Self> {
        Self::number(member, Unit::Money)
    }

    /// A number in its unit.
    pub(crate) fn number(member: &'static str, unit: Unit) -> Vec<Self> {
        Self::number_at(member.to_owned(), vec![member], unit)
    }

    /// The number that is found on this way. Of an amount of money the currency stands beside it.
    pub(crate) fn number_at(name: String, path: Vec<&'static str>, unit: Unit) -> Vec<Self> {
        match unit {
            Unit::Money => {
                let inner = |member: &'static str| path.iter().copied().chain([member]).collect();
                let currency = Self::at(format!("{name}_currency"), inner("currency"));
                vec![Self::at(name, inner("amount")), currency]
            }
            Unit::Count | Unit::Credit | Unit::Ratio => vec![Self::at(name, path)],
        }
    }

    fn cell(&self, row: &Members<'_>) -> Result<String, ReadError> {
        let Some((first, rest)) = self.path.split_first() else { return Ok(String::new()) };
        let mut found = row.get(*first).copied();
        for member in rest {
            let Some(object) = found else { break };
            let members: Option<Members<'_>> = serde_json::from_str(object.get()).map_err(ReadError::corrupt)?;
            found = members.and_then(|members| members.get(*member).copied());
        }
        found.map_or(Ok(String::new()), cell)
    }
}

type Members<'a> = HashMap<String, &'a RawValue>;

/// A page of JSON, as far as its rows go.
#[derive(Deserialize)]
struct Rows<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// Lines that are not sent yet.
pub(super) struct CsvEncoder {
    columns: Vec<Column>,
    lines: Writer<Vec<u8>>,
}

impl CsvEncoder {
    /// With the names of its columns as its first line.
    pub(super) fn new(columns: Vec<Column>) -> Result<Self, ReadError> {
        let mut lines = lines();
        lines.write_record(columns.iter().map(|column| &column.name)).map_err(ReadError::corrupt)?;
        Ok(Self { columns, lines })
    }

    /// Adds the rows of one page.
    pub(super) fn add(&mut self, page: &[u8]) -> Result<(), ReadError> {
        let rows: Rows<'_> = serde_json::from_slice(page).map_err(ReadError::corrupt)?;
        for row in rows.data {
            let row: Members<'_> = serde_json::from_str(row.get()).map_err(ReadError::corrupt)?;
            for column in &self.columns {
                self.lines.write_field(column.cell(&row)?).map_err(ReadError::corrupt)?;
            }
            self.lines.write_record(None::<&[u8]>).map_err(ReadError::corrupt)?;
        }
        Ok(())
    }

    /// Takes out what was written.
    pub(super) fn written(&mut self) -> Result<Bytes, ReadError> {
        let written = std::mem::replace(&mut self.lines, lines());
        written.into_inner().map(Bytes::from).map_err(|error| ReadError::corrupt(error.into_error()))
    }
}

fn lines() -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new())
}

/// A value as one cell: null is empty, a text is itself, texts are joined by `;`, a number is as it stands, and what is still
/// more is JSON.
fn cell(value: &RawValue) -> Result<String, ReadError> {
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'n') => Ok(String::new()),
        Some(b'"') => serde_json::from_str(json).map(escape_formula).map_err(ReadError::corrupt),
        Some(b'[') => match serde_json::from_str::<Vec<Value>>(json).map_err(ReadError::corrupt)? {
            list if list.iter().all(Value::is_string) => {
                let texts: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                Ok(escape_formula(texts.join(";")))
            }
            _ => Ok(json.to_owned()),
        },
        _ => Ok(json.to_owned()),
    }
}

/// A text that a spreadsheet would take for a formula has an apostrophe in front: names come from strangers. Amounts of money
/// are texts in JSON, and numbers to a spreadsheet.
fn escape_formula(text: String) -> String {
    let is_number = text.strip_prefix('-').is_some_and(|digits| {
        digits.starts_with(|first: char| first.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) && !is_number { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_lines() {
        let money = Column::money("spend");
        let columns = vec![Column::of("name"), Column::of("channels"), Column::of("clicks"), Column::of("ctr")];
        let columns = columns.into_iter().chain(money).chain([Column::within("actor", "name"), Column::of("changes")]);
        let mut sheet = CsvEncoder::new(columns.collect()).unwrap();
        sheet
            .add(
                br#"{"data": [
                    {"name": "Winter, \"best\"\nsale", "channels": ["email", "video"], "clicks": 170141183460469231731687303715884105727,
                     "ctr": 0.028333, "spend": {"amount": "-9.900000", "currency": "EUR"}, "actor": {"name": "ops"}, "changes": {"a": [1]}},
                    {"name": "=HYPERLINK(\"x\")", "channels": [], "clicks": null, "spend": null, "actor": null}
                ], "meta": {}}"#,
            )
            .unwrap();
        let first = sheet.written().unwrap();
        sheet.add(br#"{"data": [{"name": "-1+1", "clicks": -3}]}"#).unwrap();
        let second = sheet.written().unwrap();
        assert_eq!(
            std::str::from_utf8(&first).unwrap(),
            "name,channels,clicks,ctr,spend,spend_currency,actor_name,changes\r\n\
             \"Winter, \"\"best\"\"\nsale\",email;video,170141183460469231731687303715884105727,0.028333,-9.900000,EUR,ops,\"{\"\"a\"\": [1]}\"\r\n\
             \"'=HYPERLINK(\"\"x\"\")\",,,,,,,\r\n"
        );
        assert_eq!(std::str::from_utf8(&second).unwrap(), "'-1+1,,-3,,,,,\r\n");
    }
}
