//! What is stated of one campaign and bucket: the total, or the rows of one breakdown. A claim holds all of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use domain::breakdown::{Breakdown, MAX_BREAKDOWN_ROWS};
use domain::item::{ItemError, ItemErrorCode};

use super::merge::{IndexedStatement, LatestValues, MergeResult, merge};

/// The rows by their values; a total is the one row without any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StatedRows(BTreeMap<Vec<String>, StatedRow>);

/// What is stated of one row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct StatedRow {
    latest: LatestValues,
    /// The precedence of the breakdown under which all of it was recorded.
    precedence: Option<u16>,
}

/// A row as a claim holds it.
type StoredRow = (Vec<String>, LatestValues, Option<u16>);

/// The changes of the rows by a batch.
#[derive(Debug, Default)]
pub(super) struct MergedRows {
    pub(super) rows: StatedRows,
    pub(super) results: Vec<MergeResult>,
}

impl StatedRows {
    /// Reads the state of a claim.
    pub(super) fn read(breakdown: &Breakdown, state: &str) -> Result<Self, serde_json::Error> {
        if breakdown.is_total() {
            let row = StatedRow { latest: serde_json::from_str(state)?, precedence: None };
            return Ok(Self([(Vec::new(), row)].into()));
        }
        let rows: Vec<StoredRow> = serde_json::from_str(state)?;
        let row = |(values, latest, precedence)| (values, StatedRow { latest, precedence });
        Ok(Self(rows.into_iter().map(row).collect()))
    }

    /// The state of a claim.
    pub(super) fn state(&self, breakdown: &Breakdown) -> Result<String, serde_json::Error> {
        if breakdown.is_total() {
            let none = LatestValues::new();
            return serde_json::to_string(self.0.values().next().map_or(&none, |row| &row.latest));
        }
        let stored = self.0.iter().map(|(values, row)| (values, &row.latest, row.precedence));
        serde_json::to_string(&stored.collect::<Vec<_>>())
    }

    /// The values of each row, and what is stated of it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[String], &LatestValues)> {
        self.0.iter().map(|(values, row)| (values.as_slice(), &row.latest))
    }

    /// The rows after statements of a breakdown, by their values.
    pub(super) fn merge(
        &self,
        precedence: Option<u16>,
        statements: &BTreeMap<Vec<String>, Vec<IndexedStatement>>,
    ) -> MergedRows {
        let mut merged = MergedRows { rows: self.clone(), results: Vec::new() };
        for (values, statements) in statements {
            let before =
                self.0.get(values).cloned().unwrap_or_else(|| StatedRow { precedence, ..StatedRow::default() });
            let result = merge(&before.latest, before.precedence != precedence, statements);
            let is_named = |measure| statements.iter().any(|statement| statement.measures.contains_key(measure));
            let is_whole = result.latest.iter().all(|(measure, (value, _))| value.is_none() || is_named(measure));
            let precedence = if is_whole { precedence } else { before.precedence };
            merged.rows.0.insert(values.clone(), StatedRow { latest: result.latest.clone(), precedence });
            merged.results.push(result);
        }
        merged
    }
}

/// The rows of a campaign's bucket that have a number, while a batch adds to them.
#[derive(Debug)]
pub(super) struct RoomForRows(BTreeSet<Vec<String>>);

impl RoomForRows {
    /// The room beside these rows.
    pub(super) fn beside(rows: impl Iterator<Item = Vec<String>>) -> Self {
        Self(rows.collect())
    }

    /// Takes a row in, if it is there or has room.
    pub(super) fn take(&mut self, values: &[String]) -> Result<(), ItemError> {
        if self.0.contains(values) {
            return Ok(());
        }
        if self.0.len() >= MAX_BREAKDOWN_ROWS {
            let detail = format!(
                "is beyond the {MAX_BREAKDOWN_ROWS} rows that a breakdown has of one campaign and bucket; state fewer, \
                 or a total beside them"
            );
            return Err(ItemError::at(ItemErrorCode::TooManyValues, "dimensions", detail));
        }
        self.0.insert(values.to_vec());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::measure::Measure::{Clicks, Spend};
    use domain::observation::Dimension;

    use super::*;

    fn by_device() -> Breakdown {
        Breakdown::new([Dimension::Device]).unwrap()
    }

    fn statement(index: usize, clicks: Option<i64>) -> IndexedStatement {
        IndexedStatement { index, stated_at: DateTime::UNIX_EPOCH, measures: [(Clicks, clicks)].into() }
    }

    fn of(value: &str, statement: IndexedStatement) -> BTreeMap<Vec<String>, Vec<IndexedStatement>> {
        [(vec![value.to_owned()], vec![statement])].into()
    }

    fn changes(merged: &MergedRows) -> usize {
        merged.results.iter().map(|result| result.changes.len()).sum()
    }

    #[test]
    fn rows_are_read_as_they_are_written() {
        let merged = StatedRows::default().merge(Some(0), &of("tv", statement(0, Some(5)))).rows;
        let state = merged.state(&by_device()).unwrap();
        assert_eq!(state, r#"[[["tv"],{"clicks":[5,0]},0]]"#);
        assert_eq!(StatedRows::read(&by_device(), &state).unwrap(), merged);
    }

    #[test]
    fn a_total_is_written_without_values() {
        let total = StatedRows::default().merge(None, &[(Vec::new(), vec![statement(0, Some(5))])].into()).rows;
        let state = total.state(&Breakdown::default()).unwrap();
        assert_eq!(state, r#"{"clicks":[5,0]}"#);
        assert_eq!(StatedRows::read(&Breakdown::default(), &state).unwrap(), total);
    }

    #[test]
    fn each_row_keeps_its_own_newest_values() {
        let first = StatedRows::default().merge(Some(0), &of("tv", statement(0, Some(5)))).rows;
        let other = first.merge(Some(0), &of("mobile", statement(0, Some(5))));
        assert_eq!(changes(&other), 1);
        assert_eq!(changes(&other.rows.merge(Some(0), &of("tv", statement(0, Some(5))))), 0);
        assert_eq!(other.rows.iter().count(), 2);
    }

    #[test]
    fn another_precedence_records_a_row_once_more() {
        let first = StatedRows::default().merge(None, &of("tv", statement(0, Some(5)))).rows;
        let anew = first.merge(Some(0), &of("tv", statement(0, Some(5))));
        assert_eq!(changes(&anew), 1);
        assert_eq!(changes(&anew.rows.merge(Some(0), &of("tv", statement(0, Some(5))))), 0);
        let spend = IndexedStatement { measures: [(Spend, Some(7))].into(), ..statement(0, None) };
        let in_part = first.merge(Some(0), &of("tv", spend)).rows;
        assert_eq!(
            changes(&in_part.merge(Some(0), &of("tv", statement(0, Some(5))))),
            1,
            "clicks were not stated anew"
        );
    }

    #[test]
    fn there_is_room_for_so_many_rows() {
        let values = |n: usize| vec![n.to_string()];
        let mut room = RoomForRows::beside((1..MAX_BREAKDOWN_ROWS).map(values));
        assert_eq!(room.take(&values(0)), Ok(()));
        assert_eq!(
            room.take(&values(MAX_BREAKDOWN_ROWS)).map_err(|error| error.reason),
            Err(ItemErrorCode::TooManyValues)
        );
        assert_eq!(room.take(&values(7)), Ok(()), "it is there");
    }
}
