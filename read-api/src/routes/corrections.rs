//! What corrections of observations did to one campaign, and to which buckets.

use std::collections::BTreeMap;

use axum::response::Response;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use domain::bucket::Granularity;
use domain::money::Currency;
use domain::observation::ObservationType;
use domain::zone::Zone;
use http_edge::path::ApiPath;
use http_edge::query::ApiQuery;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::campaign::CampaignPath;
use crate::consistency::ConsistentSnapshot;
use crate::cursor::PageRequest;
use crate::error::ReadError;
use crate::parked::ResourceScope;
use crate::pipeline::{
    Column, QueryDefaults, ReadContext, Rendered, ResolvedQuery, Resource, ResponseParts, Table, Validity,
    VersionProbe, params,
};
use crate::problems::CampaignListProblems;
use crate::report::lookups;
use crate::report::plan::Plan;
use crate::report::query::{DataState, Paging, ReportQuery};
use crate::report::request::{ReportRequest, RequestDefaults};
use crate::report::rollup::{EpochLimits, RetentionBound};
use crate::report::value::{NumberOrMoney, Value};
use crate::response::{Envelope, Warning};
use crate::snapshot::Snapshot;
use crate::sources::Sources;
use crate::version::{Scope, Version};

params! {
    /// The parameters of a campaign's corrections.
    pub(crate) struct CorrectionsParams of CorrectionsQuery pinning date_from, date_to {
        /// The first local day of what was corrected. 30 days up to `date_to` when left out.
        #[param(example = "2026-11-01")]
        date_from: Option<String>,
        /// The last local day, included. Today when left out.
        #[param(example = "2026-11-30")]
        date_to: Option<String>,
        /// The IANA zone of the days. The workspace's when left out.
        time_zone: Option<String>,
    }
}

/// What was asked, in its canonical form.
#[derive(Debug, Serialize)]
struct CorrectionsQuery {
    campaign_id: Uuid,
    date_from: NaiveDate,
    date_to: NaiveDate,
    time_zone: Zone,
}

/// A correction of one observation, and what it did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Correction)]
pub(crate) struct CorrectionBody {
    /// The correction's own id, as its source sent it.
    #[schema(example = "refund-77")]
    correction_id: String,
    /// The id of the observation that it corrects.
    #[schema(example = "order-1001")]
    original_id: String,
    /// The source of both, by name.
    source: String,
    /// The type of both.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "conversion")]
    kind: ObservationType,
    /// The first instant of the 15 minutes whose numbers it changed.
    bucket: DateTime<Utc>,
    /// When the original happened.
    occurred_at: DateTime<Utc>,
    /// When the correction happened.
    corrected_at: DateTime<Utc>,
    /// When it was taken into the log.
    recorded_at: DateTime<Utc>,
    /// Where in the log.
    position: i64,
    /// What it added to the measures that it changed.
    #[schema(value_type = BTreeMap<String, NumberOrMoney>, example = json!({"revenue": {"amount": "-9.900000", "currency": "EUR"}}))]
    changes: BTreeMap<&'static str, Value>,
    /// What the original comes to with it. Null where that was never said.
    #[schema(value_type = BTreeMap<String, NumberOrMoney>,
             example = json!({"conversions": 1, "revenue": {"amount": "50.000000", "currency": "EUR"}}))]
    totals: BTreeMap<&'static str, Value>,
}

/// Corrections of one campaign's numbers
///
/// What was retracted or restated of what its sources observed. Sorted by the bucket that they changed, then as they were recorded.
#[utoipa::path(
    get,
    path = "/v1/campaigns/{id}/corrections",
    operation_id = "list_corrections",
    tag = "numbers",
    params(CampaignPath, CorrectionsParams),
    responses(
        (status = 200, description = "A page of corrections.", content(
            (Envelope<'static, Vec<CorrectionBody>> = "application/json"),
            (String = "text/csv"),
        )),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        CampaignListProblems,
    )
)]
pub(crate) async fn list(
    caller: ReadContext,
    ApiPath(CampaignPath { id }): ApiPath<CampaignPath>,
    ApiQuery(params): ApiQuery<CorrectionsParams>,
) -> Result<Response, ReadError> {
    caller.list(Corrections { id, params }).await
}

fn beyond_retention(kept: RetentionBound) -> Warning {
    let before = kept.before.to_rfc3339_opts(SecondsFormat::Secs, true);
    Warning {
        code: "beyond_retention",
        detail: format!(
            "Corrections of what happened before {before} are no longer kept: what they changed still counts."
        ),
        sources: Vec::new(),
        measures: Vec::new(),
    }
}

/// What corrections did to one campaign.
struct Corrections {
    id: Uuid,
    params: CorrectionsParams,
}

/// The days that are asked about, and what is kept of them.
struct Surveyed {
    plan: Plan,
    /// If the days reach back beyond it.
    beyond: Option<RetentionBound>,
}

impl Corrections {
    /// The days are those of a report that is one bucket.
    fn report(&self, around: QueryDefaults) -> Result<(ReportQuery, Paging), ReadError> {
        let params = &self.params;
        let request = ReportRequest {
            date_from: params.date_from.clone(),
            date_to: params.date_to.clone(),
            time_zone: params.time_zone.clone(),
            limit: params.limit,
            cursor: params.cursor.clone(),
            ..ReportRequest::default()
        };
        let QueryDefaults { time_zone, now } = around;
        let unsaid = RequestDefaults { time_zone, granularity: Granularity::All, now };
        request.canonical(unsaid, DataState::All).map_err(ReadError::Query)
    }
}

impl Resource for Corrections {
    const MODEL: &'static str = "corrections";
    type Params = CorrectionsParams;
    type Query = CorrectionsQuery;
    type Prepared = Surveyed;

    fn params(&self) -> &CorrectionsParams {
        &self.params
    }

    fn scope(&self) -> ResourceScope {
        ResourceScope::numbers([self.id])
    }

    fn query(&self, around: QueryDefaults) -> Result<(CorrectionsQuery, Option<Paging>), ReadError> {
        let (ReportQuery { date_from, date_to, time_zone, .. }, paging) = self.report(around)?;
        Ok((CorrectionsQuery { campaign_id: self.id, date_from, date_to, time_zone }, Some(paging)))
    }

    async fn probe(
        &self,
        settled: &mut ConsistentSnapshot,
        _: &CorrectionsQuery,
    ) -> Result<Option<VersionProbe<Surveyed>>, ReadError> {
        let snapshot = &mut settled.snapshot;
        let (report, _) = self.report(QueryDefaults { time_zone: snapshot.time_zone, now: snapshot.now })?;
        let plan = Plan::new(&report).map_err(|error| ReadError::Query(vec![error]))?;
        if !lookups::exists(snapshot, self.id).await? {
            return Ok(None);
        }
        let touched = Scope::Campaigns(vec![self.id]).last_change(snapshot, &plan.months()).await?;
        let beyond = EpochLimits::load(snapshot).await?.beyond_corrections(plan.calendar.start());
        let version = Version::new(snapshot.revision, touched.position, beyond.map(|kept| kept.changed_at));
        let (epoch, lasting, ground) = (snapshot.epoch, Validity::Until(None), Surveyed { plan, beyond });
        Ok(Some(VersionProbe { epoch, version, lasting, numbers: None, ground }))
    }

    async fn render(
        &self,
        snapshot: &mut Snapshot,
        sought: &ResolvedQuery<CorrectionsQuery>,
        survey: VersionProbe<Surveyed>,
    ) -> Result<Rendered, ReadError> {
        let page = sought.page(snapshot.epoch)?;
        let (rows, next_cursor) = rows(snapshot, self.id, &survey.ground, page).await?;
        let data = rows.into_iter().map(Row::shown).collect::<Result<Vec<_>, _>>()?;
        let parked = snapshot.parked.warning(&self.scope(), &Sources::new());
        let warnings = survey.ground.beyond.map(beyond_retention).into_iter().chain(parked).collect();
        let time_zone = sought.query.time_zone;
        let contents = ResponseParts { data, next_cursor, time_zone, freshness: None, warnings };
        sought.told::<Self, _>((snapshot.epoch, snapshot.currency), survey.version, contents)
    }
}

impl Table for Corrections {
    fn file_name(&self) -> String {
        format!("campaign-{}-corrections", self.id)
    }

    fn columns(&self, _: &CorrectionsQuery) -> Vec<Column> {
        let of_both = ["correction_id", "original_id", "source", "type", "bucket"];
        let told = ["occurred_at", "corrected_at", "recorded_at", "position", "changes", "totals"];
        of_both.into_iter().chain(told).map(Column::of).collect()
    }
}

/// A correction as its table has it.
struct Row {
    correction_id: String,
    original_id: String,
    source: String,
    currency: String,
    kind: String,
    bucket: DateTime<Utc>,
    occurred_at: DateTime<Utc>,
    corrected_at: DateTime<Utc>,
    recorded_at: DateTime<Utc>,
    position: i64,
    item: i32,
    count_change: i64,
    value_change: Option<i64>,
    count: i64,
    value: Option<i64>,
}

/// Where a row stands among the others: bucket, position, place in the event.
type Key = (String, i64, i32);

impl Row {
    fn key(&self) -> Key {
        // The database keeps microseconds.
        (self.bucket.to_rfc3339_opts(SecondsFormat::Micros, true), self.position, self.item)
    }

    fn shown(self) -> Result<CorrectionBody, ReadError> {
        let kind: ObservationType = self.kind.parse().map_err(ReadError::corrupt)?;
        let currency: Currency = self.currency.parse().map_err(ReadError::corrupt)?;
        let mut changes = BTreeMap::new();
        let mut totals = BTreeMap::new();
        if let Some(measure) = kind.count_measure() {
            totals.insert(measure.name(), Value::of(measure, self.count.into(), currency));
            if self.count_change != 0 {
                changes.insert(measure.name(), Value::of(measure, self.count_change.into(), currency));
            }
        }
        if let Some(measure) = kind.value_measure() {
            let value = |micros: i64| Value::of(measure, micros.into(), currency);
            totals.insert(measure.name(), self.value.map_or(Value::Null, value));
            changes.extend(self.value_change.map(|micros| (measure.name(), value(micros))));
        }
        Ok(CorrectionBody {
            correction_id: self.correction_id,
            original_id: self.original_id,
            source: self.source,
            kind,
            bucket: self.bucket,
            occurred_at: self.occurred_at,
            corrected_at: self.corrected_at,
            recorded_at: self.recorded_at,
            position: self.position,
            changes,
            totals,
        })
    }
}

/// The page's rows, and the cursor behind its last one.
async fn rows(
    snapshot: &mut Snapshot,
    campaign: Uuid,
    surveyed: &Surveyed,
    page: PageRequest<'_>,
) -> Result<(Vec<Row>, Option<String>), ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let Surveyed { plan, beyond } = surveyed;
    let (start, to) = (plan.calendar.start(), plan.calendar.end());
    // What is no longer kept may still be there for a while.
    let from = beyond.map_or(start, |kept| kept.before.max(start));
    let (after_bucket, after_position, after_item) = match page.after::<Key>()? {
        None => (from, 0, 0),
        Some((bucket, position, item)) => {
            let bucket: DateTime<Utc> = bucket.parse().map_err(|_| ReadError::CursorMalformed)?;
            if !(from..to).contains(&bucket) {
                return Err(ReadError::CursorMalformed);
            }
            (bucket, position, item)
        }
    };
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT c.correction_id, c.original_id, s.name AS source, s.currency, c.type AS kind, c.bucket, c.occurred_at,
                  c.corrected_at, c.recorded_at, c.position, c.item, c.count_change, c.value_change, c.count, c.value
           FROM read.corrections c
           JOIN read.sources s ON s.epoch = c.epoch AND s.workspace = c.workspace AND s.source_id = c.source_id
           WHERE c.epoch = $1 AND c.workspace = $2 AND c.campaign_id = $3 AND c.bucket < $4
             AND (c.bucket, c.position, c.item) > ($5, $6, $7)
           ORDER BY c.bucket, c.position, c.item LIMIT $8"#,
        epoch,
        workspace,
        campaign,
        to,
        after_bucket,
        after_position,
        after_item,
        page.fetch_limit(),
    )
    .fetch_all(snapshot.db())
    .await?;
    Ok(page.into_page(rows, Row::key))
}
