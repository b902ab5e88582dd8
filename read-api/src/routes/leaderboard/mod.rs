//! The workspace's campaigns, ranked by one measure over its last days.

mod board; // of which state of the workspace it is true

use std::collections::BTreeSet;

use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::Granularity;
use domain::measure::{Measure, Unit};
use domain::money::Currency;
use domain::source::SourceRole;
use http_edge::query::ApiQuery;
use serde::Serialize;
use serde_json::value::to_raw_value;
use utoipa::ToSchema;
use uuid::Uuid;

use board::LeaderboardSnapshot;

use crate::consistency::ConsistentSnapshot;
use crate::cursor::PageRequest;
use crate::error::ReadError;
use crate::parked::ResourceScope;
use crate::pipeline::{
    self, QueryDefaults, ReadContext, Rendered, ResolvedQuery, Resource, Table, Validity, VersionProbe, params,
};
use crate::problems::ListProblems;
use crate::report::query::{MeasureColumn, Paging};
use crate::report::request::FieldErrors;
use crate::report::value::{NumberOrMoney, Value};
use crate::response::{Meta, Page};
use crate::snapshot::Snapshot;
use crate::sources::{self, Freshness};
use crate::version::Version;

params! {
    /// The parameters of the leaderboard.
    pub(crate) struct LeaderboardParams of LeaderboardQuery {
        /// What campaigns are ranked by, largest first: a measure of `GET /v1/measures`, additive or derived.
        #[param(required = true, value_type = String, example = "conversions")]
        measure: Option<String>,
        /// `7d` (when left out) or `30d`: the workspace's last local days, today included.
        #[param(example = "7d")]
        window: Option<String>,
    }
}

/// The days that campaigns are ranked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Window {
    #[serde(rename = "7d")]
    Week,
    #[serde(rename = "30d")]
    Month,
}

/// What was asked, in its canonical form.
#[derive(Debug, Serialize)]
struct LeaderboardQuery {
    measure: MeasureColumn,
    window: Window,
}

/// The canonical query as answers repeat it.
#[derive(Serialize)]
struct Echo<'a> {
    #[serde(flatten)]
    query: &'a LeaderboardQuery,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_from: Option<NaiveDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_to: Option<NaiveDate>,
    limit: usize,
}

/// A leaderboard's body.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeaderboardAnswer<'a> {
    data: Vec<RankedCampaign>,
    page: Page,
    meta: LeaderboardMeta<'a>,
}

/// What the data is, and what it is true of.
#[derive(Debug, Serialize, ToSchema)]
struct LeaderboardMeta<'a> {
    #[serde(flatten)]
    meta: Meta<'a>,
    /// When the leaderboard was refreshed: what it is true of. Null when it never was for this workspace.
    as_of: Option<DateTime<Utc>>,
    /// Up to where the log was applied then.
    position: i64,
}

/// A campaign and its place.
#[derive(Debug, Serialize, ToSchema)]
struct RankedCampaign {
    /// From 1; campaigns of the same value share one. Amounts of different currencies are ranked apart.
    rank: i64,
    campaign_id: Uuid,
    /// Its name.
    campaign: String,
    /// As reports write it: a number, or `{amount, currency}`.
    #[schema(value_type = NumberOrMoney, example = json!({"amount": "1234.560000", "currency": "EUR"}))]
    value: Value,
}

/// Campaigns, ranked
///
/// By one measure, over the workspace's last 7 or 30 days.
///
/// Only primary sources count, and derived measures come from sums over the sources that state both sides, as in reports.
/// The leaderboard is refreshed now and then: `meta.as_of` and `meta.position` say what it is true of, and `Data-Position`,
/// `Data-Freshness` and `meta.freshness` speak of that state. A refresh is not waited for. Campaigns without a value are not in it.
#[utoipa::path(
    get,
    path = "/v1/leaderboard",
    operation_id = "get_leaderboard",
    tag = "numbers",
    params(LeaderboardParams),
    responses(
        (status = 200, description = "A page of campaigns, best first.", content(
            (LeaderboardAnswer<'static> = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        ListProblems,
    )
)]
pub(crate) async fn list(
    caller: ReadContext,
    ApiQuery(params): ApiQuery<LeaderboardParams>,
) -> Result<Response, ReadError> {
    caller.list(Leaderboard { params }).await
}

/// The workspace's campaigns by rank.
struct Leaderboard {
    params: LeaderboardParams,
}

/// What its ranks are true of.
struct Surveyed {
    board: LeaderboardSnapshot,
    measures: BTreeSet<Measure>,
    freshness: Option<Freshness>,
}

impl Resource for Leaderboard {
    const MODEL: &'static str = "leaderboard";
    // A refresh is not waited for.
    const WAITS: bool = false;
    type Params = LeaderboardParams;
    type Query = LeaderboardQuery;
    type Prepared = Surveyed;

    fn params(&self) -> &LeaderboardParams {
        &self.params
    }

    fn scope(&self) -> ResourceScope {
        ResourceScope::numbers([])
    }

    fn query(&self, _: QueryDefaults) -> Result<(LeaderboardQuery, Option<Paging>), ReadError> {
        let (query, paging) = canonical(&self.params)?;
        Ok((query, Some(paging)))
    }

    async fn probe(
        &self,
        settled: &mut ConsistentSnapshot,
        query: &LeaderboardQuery,
    ) -> Result<Option<VersionProbe<Surveyed>>, ReadError> {
        let about = self.scope();
        let board = LeaderboardSnapshot::find(&mut settled.snapshot, query.window).await?;
        settled.snapshot.show_older(board.epoch, board.position).await?;
        settled.check(&about)?;
        let measures: BTreeSet<_> = query.measure.parts().into_iter().collect();
        let feeding: Vec<_> = board.sources.values().collect();
        let (revision, parked) = (settled.snapshot.revision, &settled.snapshot.parked);
        let is_primary =
            |id| board.sources.get(&id).is_none_or(|source| source.role_among(&measures) == SourceRole::Primary);
        // What was parked when it was refreshed may be applied since: it still lacks that.
        let unsettled = parked.affects_finality(&about, is_primary) || revision.position > board.position;
        let told = (Granularity::All, settled.snapshot.time_zone);
        let freshness = board.as_of.map(|as_of| {
            let parked = (|id| parked.events_of(id, &about), unsettled);
            sources::freshness(&feeding, &measures, parked, (board.range, told), as_of, as_of)
        });
        let complete_through = sources::complete_through(&feeding, &measures, told);
        let numbers = freshness.as_ref().map(|freshness| (freshness.state, complete_through));
        let version = Version::new(revision, board.position.max(parked.last()), board.as_of);
        let (epoch, lasting) = (board.epoch, Validity::Unknown);
        let ground = Surveyed { board, measures, freshness };
        Ok(Some(VersionProbe { epoch, version, lasting, numbers, ground }))
    }

    async fn render(
        &self,
        snapshot: &mut Snapshot,
        sought: &ResolvedQuery<LeaderboardQuery>,
        survey: VersionProbe<Surveyed>,
    ) -> Result<Rendered, ReadError> {
        let Surveyed { board, measures, freshness } = survey.ground;
        let query = &sought.query;
        let page = sought.page(board.epoch)?;
        let (rows, next_cursor) = rows(snapshot, query, page).await?;
        let data = rows.into_iter().map(|row| row.shown(query.measure)).collect::<Result<Vec<_>, _>>()?;
        let mut warnings = board.warnings(snapshot, query, &measures).await?;
        warnings.extend(snapshot.parked.warning(&self.scope(), &board.sources));
        let (date_from, date_to) = board.dates.unzip();
        let echo = to_raw_value(&Echo { query, date_from, date_to, limit: page.limit }).map_err(ReadError::corrupt)?;
        let of = (board.epoch, snapshot.currency);
        let meta = pipeline::meta(Self::MODEL, of, survey.version, snapshot.time_zone, &echo);
        let meta = Meta { freshness, warnings, ..meta };
        let page = Page { next_cursor: next_cursor.clone() };
        let meta = LeaderboardMeta { meta, as_of: board.as_of, position: board.position };
        Rendered::new(&LeaderboardAnswer { data, page, meta }, next_cursor)
    }
}

impl Table for Leaderboard {
    fn file_name(&self) -> String {
        "leaderboard".to_owned()
    }

    fn columns(&self, query: &LeaderboardQuery) -> Vec<pipeline::Column> {
        let of_campaign = ["rank", "campaign_id", "campaign"].map(pipeline::Column::of);
        of_campaign.into_iter().chain(pipeline::Column::number("value", query.measure.unit())).collect()
    }
}

fn canonical(params: &LeaderboardParams) -> Result<(LeaderboardQuery, Paging), ReadError> {
    let mut fields = FieldErrors::default();
    let measure = params.measure.as_deref().and_then(MeasureColumn::find);
    if measure.is_none() {
        fields.push("measure", "must be a measure; GET /v1/measures lists them");
    }
    let window = match params.window.as_deref() {
        None | Some("7d") => Window::Week,
        Some("30d") => Window::Month,
        Some(_) => {
            fields.push("window", "is neither 7d nor 30d");
            Window::Week
        }
    };
    let paging = fields.paging(params.limit, params.cursor.as_deref());
    let read = measure.map(|measure| (LeaderboardQuery { measure, window }, paging));
    // Without a measure there is a wrong field.
    fields.finish(read).map_err(ReadError::Query)?.ok_or_else(|| ReadError::field("measure", "is missing"))
}

impl Window {
    fn days(self) -> i32 {
        match self {
            Self::Week => 7,
            Self::Month => 30,
        }
    }
}

/// A ranked campaign as the view has it.
struct Row {
    campaign_id: Uuid,
    name: String,
    currency: String,
    rank: i64,
    value: String,
}

/// Where a row stands among the others: currency, rank, campaign.
type Key = (String, i64, Uuid);

impl Row {
    fn key(&self) -> Key {
        (self.currency.clone(), self.rank, self.campaign_id)
    }

    fn shown(self, column: MeasureColumn) -> Result<RankedCampaign, ReadError> {
        let number: i128 = self.value.parse().map_err(ReadError::corrupt)?;
        let value = match column.unit() {
            Unit::Count => Value::Count(number),
            Unit::Credit | Unit::Ratio => Value::Millionths(number),
            Unit::Money => Value::Money(number, self.currency.parse::<Currency>().map_err(ReadError::corrupt)?),
        };
        Ok(RankedCampaign { rank: self.rank, campaign_id: self.campaign_id, campaign: self.name, value })
    }
}

/// The page's rows, and the cursor behind its last one.
async fn rows(
    snapshot: &mut Snapshot,
    query: &LeaderboardQuery,
    page: PageRequest<'_>,
) -> Result<(Vec<Row>, Option<String>), ReadError> {
    let (workspace, days) = (snapshot.workspace, query.window.days());
    let (currency, rank, campaign): Key = page.after()?.unwrap_or_default();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT campaign_id AS "campaign_id!", name AS "name!", currency AS "currency!", rank AS "rank!",
                  value::text AS "value!"
           FROM read.leaderboard
           WHERE workspace = $1 AND days = $2 AND measure = $3 AND value IS NOT NULL
             AND (currency, rank, campaign_id) > ($4, $5, $6)
           ORDER BY currency, rank, campaign_id LIMIT $7"#,
        workspace,
        days,
        query.measure.name(),
        currency,
        rank,
        campaign,
        page.fetch_limit(),
    )
    .fetch_all(snapshot.db())
    .await?;
    Ok(page.into_page(rows, Row::key))
}
