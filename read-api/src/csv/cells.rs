//! CSV (RFC 4180), cell by cell.

use std::collections::BTreeMap;
use std::fmt::Display;

use ::csv::{Terminator, Writer, WriterBuilder};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use domain::measure::Unit;
use queries::report::value::Value;
use queries::sources::BucketEdge;
use serde::Serialize;

use crate::error::ApiError;

/// The buffer of lines that are not sent yet.
pub(super) struct Lines(Writer<Vec<u8>>);

impl Lines {
    /// Starts with the names of the columns as the first line.
    pub(super) fn new(columns: &[String]) -> Result<Self, ApiError> {
        let mut lines = writer();
        lines.write_record(columns).map_err(ApiError::internal)?;
        Ok(Self(lines))
    }

    /// Takes the buffered lines.
    pub(super) fn take(&mut self) -> Result<Bytes, ApiError> {
        let written = std::mem::replace(&mut self.0, writer());
        written.into_inner().map(Bytes::from).map_err(|error| ApiError::internal(error.into_error()))
    }

    fn cell(&mut self, text: &str) -> Result<(), ApiError> {
        self.0.write_field(text).map_err(ApiError::internal)
    }

    /// Ends the line.
    pub(super) fn end(&mut self) -> Result<(), ApiError> {
        self.0.write_record(None::<&[u8]>).map_err(ApiError::internal)
    }

    pub(super) fn empty(&mut self) -> Result<(), ApiError> {
        self.cell("")
    }

    /// Writes a text. One that a spreadsheet would read as a formula gets a leading apostrophe, because names come from
    /// untrusted callers.
    pub(super) fn text(&mut self, text: &str) -> Result<(), ApiError> {
        if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) && !is_number(text) {
            self.cell(&format!("'{text}"))
        } else {
            self.cell(text)
        }
    }

    pub(super) fn optional(&mut self, text: Option<&str>) -> Result<(), ApiError> {
        self.text(text.unwrap_or_default())
    }

    /// Texts joined by `;`.
    pub(super) fn list<T: AsRef<str>>(&mut self, texts: &[T]) -> Result<(), ApiError> {
        let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
        self.text(&texts.join(";"))
    }

    /// A whole number, a date or a fixed name.
    pub(super) fn plain(&mut self, value: impl Display) -> Result<(), ApiError> {
        self.cell(&value.to_string())
    }

    pub(super) fn instant(&mut self, instant: Option<DateTime<Utc>>) -> Result<(), ApiError> {
        match instant {
            Some(instant) => self.cell(&instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => self.empty(),
        }
    }

    /// A bucket up to which something holds: a date, or an instant.
    pub(super) fn edge(&mut self, edge: Option<BucketEdge>) -> Result<(), ApiError> {
        match edge {
            Some(BucketEdge::Date(date)) => self.plain(date),
            Some(BucketEdge::Instant(instant)) => self.instant(Some(instant)),
            None => self.empty(),
        }
    }

    /// A number in its unit. An amount of money takes two cells, the second for its currency.
    pub(super) fn value(&mut self, value: Value, unit: Unit) -> Result<(), ApiError> {
        self.cell(&value.number().unwrap_or_default())?;
        match (unit, value) {
            (Unit::Money, Value::Money(_, currency)) => self.plain(currency),
            (Unit::Money, _) => self.empty(),
            (Unit::Count | Unit::Credit | Unit::Ratio, _) => Ok(()),
        }
    }

    /// A value with members, as JSON.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), ApiError> {
        let json = serde_json::to_string(value).map_err(ApiError::internal)?;
        self.cell(&json)
    }

    /// A map as JSON; an empty map is an empty cell.
    pub(super) fn members<K: Serialize, V: Serialize>(&mut self, map: &BTreeMap<K, V>) -> Result<(), ApiError> {
        if map.is_empty() { self.empty() } else { self.json(map) }
    }
}

fn writer() -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new())
}

fn is_number(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|digits| {
        digits.starts_with(|first: char| first.is_ascii_digit())
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_cells_as_lines() {
        let columns = ["name", "channels", "clicks", "ctr", "spend", "spend_currency", "changes"].map(str::to_owned);
        let mut lines = Lines::new(&columns).unwrap();
        lines.text("Winter, \"best\"\nsale").unwrap();
        lines.list(&["email", "video"]).unwrap();
        lines.value(Value::Count(i128::MAX), Unit::Count).unwrap();
        lines.value(Value::Millionths(28_333), Unit::Ratio).unwrap();
        lines.value(Value::Money(-9_900_000, "EUR".parse().unwrap()), Unit::Money).unwrap();
        lines.json(&BTreeMap::from([("a", [1])])).unwrap();
        lines.end().unwrap();
        lines.text("=HYPERLINK(\"x\")").unwrap();
        lines.list::<&str>(&[]).unwrap();
        lines.value(Value::Null, Unit::Count).unwrap();
        lines.value(Value::Null, Unit::Ratio).unwrap();
        lines.value(Value::Null, Unit::Money).unwrap();
        lines.empty().unwrap();
        lines.end().unwrap();
        let first = lines.take().unwrap();
        assert_eq!(
            std::str::from_utf8(&first).unwrap(),
            "name,channels,clicks,ctr,spend,spend_currency,changes\r\n\
             \"Winter, \"\"best\"\"\nsale\",email;video,170141183460469231731687303715884105727,0.028333,-9.900000,EUR,\
             \"{\"\"a\"\":[1]}\"\r\n\
             \"'=HYPERLINK(\"\"x\"\")\",,,,,,\r\n"
        );
        lines.text("-1+1").unwrap();
        lines.text("-3").unwrap();
        lines.end().unwrap();
        assert_eq!(lines.take().unwrap(), "'-1+1,-3\r\n");
    }
}
