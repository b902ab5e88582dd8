//! Comparison of the parked parts of both sides, like the rows of one more table.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::super::Projection;
use super::super::difference::{Cell, Changed, Difference, RowDifference};
use super::super::parked::ParkedPart;
use super::super::parked::admin::of_log;
use super::super::parked_index::ParkedKey;
use super::{TableCount, VerifyObserver};

/// The table name in reported differences.
const TABLE: &str = "parked";

/// The parked parts of one log in one epoch.
#[derive(Debug)]
pub(super) struct Parts(BTreeMap<ParkedKey, ParkedPart>);

impl Parts {
    pub(super) async fn read(
        conn: &mut PgConnection,
        projection: &Projection,
        epoch: i32,
        workspace: i32,
    ) -> Result<Self, sqlx::Error> {
        let parts = of_log(conn, projection.name, epoch, workspace).await?;
        Ok(Self(parts.into_iter().map(|parked| (parked.part(), parked)).collect()))
    }

    /// In order of position.
    pub(super) fn into_list(self) -> Vec<ParkedPart> {
        let mut parts: Vec<_> = self.0.into_values().collect();
        parts.sort_by_key(|parked| parked.position);
        parts
    }

    /// The parts that are not parked in `other`, or from another position on.
    pub(super) fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a ParkedKey> {
        self.0.iter().filter_map(|(part, parked)| {
            let is_same = other.0.get(part).is_some_and(|other| other.position == parked.position);
            (!is_same).then_some(part)
        })
    }

    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.difference(other).next().is_none()
    }

    /// Compares the parked parts of the live epoch with those of the rebuild.
    pub(super) fn compare(&self, rebuilt: &Self, workspace: i32, watch: VerifyObserver<'_>) -> TableCount {
        let parts: BTreeSet<&ParkedKey> = self.0.keys().chain(rebuilt.0.keys()).collect();
        let mut count = TableCount { table: TABLE, rows: parts.len() as u64, differences: 0 };
        for part in parts {
            let row = match (self.0.get(part), rebuilt.0.get(part)) {
                (Some(live), Some(rebuilt)) if live.position == rebuilt.position => continue,
                (Some(live), Some(rebuilt)) => RowDifference::Changed(vec![Changed {
                    column: "position".to_owned(),
                    live: Some(live.position.to_string()),
                    rebuilt: Some(rebuilt.position.to_string()),
                }]),
                (Some(live), None) => RowDifference::Extra(rest(live)),
                (None, Some(rebuilt)) => RowDifference::Missing(rest(rebuilt)),
                (None, None) => continue,
            };
            count.differences += 1;
            (watch.difference)(&Difference { workspace, table: TABLE, key: key(part), row });
        }
        count
    }
}

fn key(part: &ParkedKey) -> Vec<Cell> {
    vec![
        cell("stream_type", Some(part.stream_type.clone())),
        cell("stream_id", Some(part.stream_id.clone())),
        cell("campaign_id", part.campaign.map(|campaign| campaign.to_string())),
    ]
}

fn rest(parked: &ParkedPart) -> Vec<Cell> {
    vec![cell("position", Some(parked.position.to_string())), cell("reason", Some(parked.reason.clone()))]
}

fn cell(column: &str, value: Option<String>) -> Cell {
    Cell { column: column.to_owned(), value }
}
