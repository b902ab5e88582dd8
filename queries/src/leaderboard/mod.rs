//! The leaderboard: the workspace's campaigns, ranked by one measure over its last days.

mod board; // the state of the workspace that the ranks show
mod numbers; // sums by campaign, and their ranks
mod pieces; // sums between changes of sources

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::Granularity;
use domain::measure::Measure;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use self::board::LeaderboardSnapshot;
use self::numbers::{LeaderboardNumbers, RankKey};
use crate::consistency::ConsistentSnapshot;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::fields::FieldErrors;
use crate::paging::{PageRequest, Paging};
use crate::parked::ResourceScope;
use crate::probe::{Probe, Validity};
use crate::report::query::MeasureColumn;
use crate::report::value::{NumberOrMoney, Value};
use crate::result::{ResultMeta, TypedResult};
use crate::sources::{self, Freshness, FreshnessRange, Source};
use crate::version::Version;

/// The model that the leaderboard is read from, as answers name it.
pub const MODEL: &str = "leaderboard";

/// The requested leaderboard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LeaderboardRequest {
    pub measure: Option<String>,
    /// `7d` or `30d`.
    pub window: Option<String>,
    pub limit: Option<i64>,
    pub cursor: Option<String>,
}

/// The days that campaigns are ranked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Window {
    #[serde(rename = "7d")]
    Week,
    #[serde(rename = "30d")]
    Month,
}

/// The canonical query of the leaderboard.
#[derive(Debug, Serialize)]
pub struct LeaderboardQuery {
    pub measure: MeasureColumn,
    pub window: Window,
}

/// A campaign and its rank.
#[derive(Debug, Serialize, ToSchema)]
pub struct RankedCampaign {
    /// The rank, from 1. Campaigns with equal values share a rank. Each currency has its own ranks.
    pub rank: i64,
    pub campaign_id: Uuid,
    /// Its name.
    pub campaign: String,
    /// The value, in the format of reports: a number, or `{amount, currency}`.
    #[schema(value_type = NumberOrMoney, example = json!({"amount": "1234.560000", "currency": "EUR"}))]
    pub value: Value,
}

/// A page of ranked campaigns, and the state that their ranks show.
#[derive(Debug)]
pub struct Leaderboard {
    pub campaigns: Vec<RankedCampaign>,
    /// When it was refreshed. `None`: never for this workspace.
    pub as_of: Option<DateTime<Utc>>,
    /// The position up to which the log was applied then.
    pub position: i64,
    /// The local days that it covers.
    pub dates: Option<(NaiveDate, NaiveDate)>,
}

impl Leaderboard {
    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let each = self.campaigns.iter().map(|campaign| size_of::<RankedCampaign>() + campaign.campaign.len());
        size_of::<Self>() + each.sum::<usize>()
    }
}

/// What a probe has loaded of the leaderboard.
#[derive(Debug)]
pub struct LeaderboardInputs {
    board: LeaderboardSnapshot,
    measures: BTreeSet<Measure>,
    freshness: Option<Freshness>,
}

impl LeaderboardRequest {
    pub(crate) fn canonical(&self) -> Result<(LeaderboardQuery, Paging), ReadError> {
        let mut fields = FieldErrors::default();
        let measure = self.measure.as_deref().and_then(MeasureColumn::find);
        if measure.is_none() {
            fields.push("measure", "must be a measure; GET /v1/measures lists them");
        }
        let window = match self.window.as_deref() {
            None | Some("7d") => Window::Week,
            Some("30d") => Window::Month,
            Some(_) => {
                fields.push("window", "is neither 7d nor 30d");
                Window::Week
            }
        };
        let paging = fields.paging(self.limit, self.cursor.as_deref());
        let read = measure.map(|measure| (LeaderboardQuery { measure, window }, paging));
        // Without a measure there is a wrong field.
        fields.finish(read).map_err(ReadError::Query)?.ok_or_else(|| ReadError::field("measure", "is missing"))
    }
}

/// Loads the board, and sets the snapshot to the older state of the workspace that the board shows.
pub(crate) async fn probe(
    consistent: &mut ConsistentSnapshot,
    query: &LeaderboardQuery,
) -> Result<Probe<LeaderboardInputs>, ReadError> {
    let about = ResourceScope::numbers([]);
    let board = LeaderboardSnapshot::find(&mut consistent.snapshot, query).await?;
    consistent.snapshot.show_older(board.epoch, board.position).await?;
    consistent.check(&about)?;
    let measures: BTreeSet<_> = query.measure.parts().into_iter().collect();
    let states = |source: &&Source| measures.iter().any(|measure| source.states(*measure));
    let expected: Vec<_> = board
        .pieces
        .periods
        .values()
        .filter(|source| source.is_awaited() || source.has_data && states(source))
        .collect();
    let (revision, parked) = (consistent.snapshot.revision, &consistent.snapshot.parked);
    let is_primary = |id| {
        let mut periods = sources::periods_of(&board.pieces.periods, id).peekable();
        periods.peek().is_none() || periods.any(|source| !source.counted_among(&measures).is_empty())
    };
    // Events that were parked at its refresh may be applied since, but the board still lacks them.
    let is_unsettled = parked.affects_finality(&about, is_primary) || revision.position > board.position;
    let query_grain = (Granularity::All, consistent.snapshot.defaults.time_zone);
    let freshness = board.as_of.map(|as_of| {
        let parked = (|id| parked.events_of(id, &about), is_unsettled);
        let edges = [board.range.0, board.range.1];
        let range = FreshnessRange { span: board.range, grain: query_grain, edges: &edges };
        sources::freshness(&expected, &measures, parked, &range, as_of, as_of)
    });
    let complete_through = sources::complete_through(&expected, &measures, query_grain, board.range.1);
    let numbers = freshness.as_ref().map(|freshness| (freshness.state, complete_through));
    let version = consistent.snapshot.version_of(revision, board.position.max(parked.last()), board.as_of).await?;
    let epoch = board.epoch;
    let prepared = LeaderboardInputs { board, measures, freshness };
    Ok(Probe { epoch, version, validity: Validity::AlwaysProbe, numbers, prepared })
}

pub(crate) async fn load(
    snapshot: &mut Snapshot,
    query: &LeaderboardQuery,
    page: PageRequest<'_>,
    version: Version,
    inputs: LeaderboardInputs,
) -> Result<TypedResult<Leaderboard>, ReadError> {
    let LeaderboardInputs { board, measures, freshness } = inputs;
    let coverage = numbers::coverage(query, &board.pieces.periods);
    let numbers = LeaderboardNumbers::load(snapshot, query, (&measures, &board.pieces), &coverage).await?;
    let mut ranking = numbers.ranking(query, &board.pieces.periods, &coverage)?;
    let mut warnings = board.warnings(query, &numbers, &ranking);
    let after: RankKey = page.after()?.unwrap_or_default();
    let begin = ranking.campaigns.partition_point(|(key, _)| *key <= after);
    let (campaigns, next_cursor) = page.into_page(ranking.campaigns.split_off(begin), |(key, _)| key.clone());
    let campaigns = campaigns.into_iter().map(|(_, campaign)| campaign).collect();
    warnings.extend(snapshot.parked.warning(&ResourceScope::numbers([]), sources::name_of(&board.sources)));
    let meta =
        ResultMeta { epoch: board.epoch, freshness, ..ResultMeta::of_snapshot(snapshot, MODEL, version, warnings) };
    let LeaderboardSnapshot { as_of, position, dates, .. } = board;
    Ok(TypedResult::page(meta, next_cursor, Leaderboard { campaigns, as_of, position, dates }))
}

impl Window {
    fn days(self) -> i32 {
        match self {
            Self::Week => 7,
            Self::Month => 30,
        }
    }
}
