//! The board: the state of the workspace that the ranks show, and the warnings about them.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::types::Json;
use uuid::Uuid;

use super::LeaderboardQuery;
use super::numbers::{LeaderboardNumbers, Ranking};
use super::pieces::Pieces;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::report::coverage::Coverage;
use crate::report::warnings;
use crate::sources::{self, DateRange, SourceRow, Sources};
use crate::warning::Warning;

/// The state of a workspace that its ranks show.
#[derive(Debug)]
pub(super) struct LeaderboardSnapshot {
    pub(super) epoch: i32,
    pub(super) position: i64,
    pub(super) as_of: Option<DateTime<Utc>>,
    pub(super) dates: Option<(NaiveDate, NaiveDate)>,
    pub(super) range: (DateTime<Utc>, DateTime<Utc>),
    /// The instant from which numbers are kept, if the range begins before it.
    kept_from: Option<DateTime<Utc>>,
    /// The sources of the workspace.
    pub(super) sources: Sources,
    /// The pieces of its sums.
    pub(super) pieces: Pieces,
}

impl LeaderboardSnapshot {
    pub(super) async fn find(snapshot: &mut Snapshot, query: &LeaderboardQuery) -> Result<Self, ReadError> {
        let (workspace, days) = (snapshot.workspace, query.window.days());
        let row = sqlx::query!(
            r#"SELECT epoch AS "epoch!", position AS "position!", as_of AS "as_of!", date_from AS "date_from!",
                      date_to AS "date_to!", starts_at AS "starts_at!", ends_at AS "ends_at!", kept_from,
                      feeding AS "feeding: Json<Vec<SourceRow>>", cut_starts AS "cuts!"
               FROM read.leaderboard WHERE workspace = $1 AND days = $2 AND measure = ''"#,
            workspace,
            days,
        )
        .fetch_optional(snapshot.db())
        .await?;
        let Some(row) = row else {
            let (epoch, never) = (snapshot.epoch, DateTime::default());
            let range = (never, never);
            let (kept_from, sources, pieces) = (None, Sources::new(), Pieces::default());
            return Ok(Self { epoch, position: 0, as_of: None, dates: None, range, kept_from, sources, pieces });
        };
        let row_as_of = row.as_of;
        let feeding = row.feeding.map(|feeding| feeding.0).unwrap_or_default();
        let sources =
            feeding.into_iter().map(|row| row.into_source(row_as_of, row_as_of).map(|source| (source.id, source)));
        let sources: Sources = sources.collect::<Result<_, _>>()?;
        let days = DateRange { span: (row.starts_at, row.ends_at), dates: (row.date_from, row.date_to) };
        Ok(Self {
            epoch: row.epoch,
            position: row.position,
            as_of: Some(row.as_of),
            dates: Some((row.date_from, row.date_to)),
            range: (row.starts_at, row.ends_at),
            kept_from: row.kept_from,
            pieces: Pieces {
                periods: sources::cut(&sources, &days, |_| true, Coverage::is_by_cell(&[query.measure])),
                source_of: sources
                    .values()
                    .flat_map(|source| source.series_history.all.iter().map(|series| (*series, source.id)))
                    .collect(),
                cuts: row.cuts,
                span: days.span,
            },
            sources,
        })
    }

    /// The warnings about the ranks.
    pub(super) fn warnings(
        &self,
        query: &LeaderboardQuery,
        numbers: &LeaderboardNumbers,
        ranking: &Ranking,
    ) -> Vec<Warning> {
        if self.as_of.is_none() {
            return vec![Warning {
                code: "not_refreshed",
                detail: "The leaderboard was not refreshed since this workspace was created.".to_owned(),
                sources: Vec::new(),
                measures: Vec::new(),
                spend: None,
            }];
        }
        let mut all: Vec<_> =
            numbers.uncut.iter().filter_map(|(id, measures)| self.uncut(*id, measures.clone())).collect();
        all.extend(numbers.replaced.iter().filter_map(|(id, measures)| self.replaced(*id, measures)));
        all.extend(self.kept_from.map(beyond_retention));
        all.extend(warnings::of_overlaps(&numbers.overlaps(&self.pieces), &self.pieces.periods));
        all.extend(ranking.partial.iter().cloned());
        all.extend((ranking.mixed > 0).then(|| Warning {
            code: "mixed_currency",
            detail: format!(
                "{} campaigns have amounts of different currencies, which are never added: they have no rank.",
                ranking.mixed
            ),
            sources: Vec::new(),
            measures: vec![query.measure.name()],
            spend: None,
        }));
        all.sort_unstable();
        all
    }

    /// The warning about a source of which the window holds numbers that count no longer.
    fn replaced(&self, id: Uuid, measures: &BTreeSet<&'static str>) -> Option<Warning> {
        let name = self.sources.get(&id)?.definition.name.clone();
        Some(Warning {
            code: "series_replaced",
            detail: format!(
                "{name} changed its time zone or currency within the window, for days that it had stated: what it \
                 stated of them before does not count. POST /v1/reports says what is not stated anew."
            ),
            sources: vec![name],
            measures: measures.iter().copied().collect(),
            spend: None,
        })
    }

    /// The warning about a source whose days are not those of the workspace.
    fn uncut(&self, id: Uuid, measures: BTreeSet<&'static str>) -> Option<Warning> {
        let name = self.sources.get(&id)?.definition.name.clone();
        Some(Warning {
            code: "grain_mismatch",
            detail: format!(
                "{name} states days that are not those of the workspace: each counts under its own date, uncut."
            ),
            sources: vec![name],
            measures: measures.into_iter().collect(),
            spend: None,
        })
    }
}

fn beyond_retention(kept_from: DateTime<Utc>) -> Warning {
    let instant = kept_from.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    Warning {
        code: "beyond_retention",
        detail: format!("Numbers before {instant} are no longer kept, or not all of them: what is later counts."),
        sources: Vec::new(),
        measures: Vec::new(),
        spend: None,
    }
}
