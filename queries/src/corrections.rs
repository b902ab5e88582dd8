//! The corrections of one campaign's numbers: what was retracted or restated, and which buckets changed.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use domain::bucket::Granularity;
use domain::money::Currency;
use domain::observation::ObservationType;
use domain::zone::Zone;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::database::defaults::QueryDefaults;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::last_change::{NumberMarks, Scope};
use crate::paging::{PageRequest, Paging};
use crate::parked::ResourceScope;
use crate::probe::{Probe, Validity};
use crate::report::lookups;
use crate::report::plan::Plan;
use crate::report::query::{DataState, ReportQuery};
use crate::report::request::{ReportRequest, RequestDefaults};
use crate::report::rollup::{EpochLimits, RetentionBound};
use crate::report::value::{NumberOrMoney, Value};
use crate::result::{ResultMeta, TypedResult};
use crate::version::Version;
use crate::warning::Warning;

/// The model that corrections are read from, as answers name it.
pub const MODEL: &str = "corrections";

/// The requested corrections. The workspace decides on open days.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CorrectionsRequest {
    /// The campaign.
    pub id: Uuid,
    pub date_from: Option<String>,
    pub date_to: Option<String>,
    pub time_zone: Option<String>,
    pub limit: Option<i64>,
    pub cursor: Option<String>,
}

/// The canonical query of corrections.
#[derive(Debug, Serialize)]
pub struct CorrectionsQuery {
    pub campaign_id: Uuid,
    pub date_from: NaiveDate,
    pub date_to: NaiveDate,
    pub time_zone: Zone,
}

/// A correction of one observation, and its effect.
#[derive(Debug, Serialize, ToSchema)]
pub struct Correction {
    /// The correction's own id, as its source sent it.
    #[schema(example = "refund-77")]
    pub correction_id: String,
    /// The id of the observation that it corrects.
    #[schema(example = "order-1001")]
    pub original_id: String,
    /// The source's name.
    pub source: String,
    /// The observation type.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "conversion")]
    pub kind: ObservationType,
    /// The start of the 15-minute bucket that it changed.
    pub bucket: DateTime<Utc>,
    /// When the original observation occurred.
    pub occurred_at: DateTime<Utc>,
    /// When the correction occurred.
    pub corrected_at: DateTime<Utc>,
    /// When it was recorded in the log.
    pub recorded_at: DateTime<Utc>,
    /// Its position in the log.
    pub position: i64,
    /// The change of each measure that it changed.
    #[schema(value_type = BTreeMap<String, NumberOrMoney>,
             example = json!({"revenue": {"amount": "-9.900000", "currency": "EUR"}}))]
    pub changes: BTreeMap<&'static str, Value>,
    /// The net amounts of the original after it. Null where the original has none.
    #[schema(value_type = BTreeMap<String, NumberOrMoney>,
             example = json!({"conversions": 1, "revenue": {"amount": "50.000000", "currency": "EUR"}}))]
    pub totals: BTreeMap<&'static str, Value>,
}

fn beyond_retention(bound: RetentionBound) -> Warning {
    let before = bound.before.to_rfc3339_opts(SecondsFormat::Secs, true);
    Warning {
        code: "beyond_retention",
        detail: format!(
            "Corrections of what happened before {before} are no longer kept: what they changed still counts."
        ),
        sources: Vec::new(),
        measures: Vec::new(),
        spend: None,
    }
}

/// The requested days, and what is kept of them.
#[derive(Debug)]
pub struct CorrectionsRange {
    plan: Plan,
    /// The retention of corrections, if the days begin before it.
    beyond: Option<RetentionBound>,
}

impl CorrectionsRequest {
    /// The canonical query. Its days are those of a report with one bucket.
    pub(crate) fn canonical(&self, defaults: QueryDefaults) -> Result<(CorrectionsQuery, Paging), ReadError> {
        let request = ReportRequest {
            date_from: self.date_from.clone(),
            date_to: self.date_to.clone(),
            time_zone: self.time_zone.clone(),
            limit: self.limit,
            cursor: self.cursor.clone(),
            ..ReportRequest::default()
        };
        let (query, paging) = report(&request, defaults)?;
        let ReportQuery { dates, time_zone, .. } = query;
        let (date_from, date_to) = (dates.from, dates.to);
        Ok((CorrectionsQuery { campaign_id: self.id, date_from, date_to, time_zone }, paging))
    }
}

fn report(request: &ReportRequest, defaults: QueryDefaults) -> Result<(ReportQuery, Paging), ReadError> {
    let QueryDefaults { time_zone, calendar, now } = defaults;
    let defaults = RequestDefaults { time_zone, calendar, granularity: Granularity::All, now };
    request.canonical(defaults, DataState::All).map_err(ReadError::Query)
}

impl Correction {
    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        /// A member of a map of values.
        const MEMBER: usize = 64;
        let texts = self.correction_id.len() + self.original_id.len() + self.source.len();
        size_of::<Self>() + texts + (self.changes.len() + self.totals.len()) * MEMBER
    }
}

pub(crate) async fn probe(
    snapshot: &mut Snapshot,
    query: &CorrectionsQuery,
) -> Result<Option<Probe<CorrectionsRange>>, ReadError> {
    let request = ReportRequest {
        date_from: Some(query.date_from.to_string()),
        date_to: Some(query.date_to.to_string()),
        ..ReportRequest::default()
    };
    let (report, _) = report(&request, QueryDefaults { time_zone: query.time_zone, ..snapshot.query_defaults() })?;
    let plan = Plan::new(&report).map_err(|error| ReadError::Query(vec![error]))?;
    if !lookups::exists(snapshot, query.campaign_id).await? {
        return Ok(None);
    }
    let last_change =
        Scope::Campaigns(vec![query.campaign_id]).last_change(snapshot, &NumberMarks::of_months(plan.months())).await?;
    let beyond = EpochLimits::load(snapshot).await?.beyond_corrections(plan.calendar.start());
    let version = snapshot.version(last_change.position, beyond.map(|bound| bound.changed_at)).await?;
    let (epoch, validity, prepared) = (snapshot.epoch, Validity::Until(None), CorrectionsRange { plan, beyond });
    Ok(Some(Probe { epoch, version, validity, numbers: None, prepared }))
}

pub(crate) async fn load(
    snapshot: &mut Snapshot,
    query: &CorrectionsQuery,
    page: PageRequest<'_>,
    version: Version,
    range: CorrectionsRange,
) -> Result<TypedResult<Vec<Correction>>, ReadError> {
    let (rows, next_cursor) = rows(snapshot, query.campaign_id, &range, page).await?;
    let corrections = rows.into_iter().map(Row::into_correction).collect::<Result<_, _>>()?;
    let parked = snapshot.parked.warning(&ResourceScope::numbers([query.campaign_id]), |_| None);
    let warnings = range.beyond.map(beyond_retention).into_iter().chain(parked).collect();
    let meta = ResultMeta { time_zone: query.time_zone, ..ResultMeta::of_snapshot(snapshot, MODEL, version, warnings) };
    Ok(TypedResult::page(meta, next_cursor, corrections))
}

/// A correction as the table has it.
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

/// The sort key of a row: bucket, position, index in the event.
type Key = (String, i64, i32);

impl Row {
    fn key(&self) -> Key {
        // The database keeps microseconds.
        (self.bucket.to_rfc3339_opts(SecondsFormat::Micros, true), self.position, self.item)
    }

    fn into_correction(self) -> Result<Correction, ReadError> {
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
        Ok(Correction {
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
    range: &CorrectionsRange,
    page: PageRequest<'_>,
) -> Result<(Vec<Row>, Option<String>), ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let CorrectionsRange { plan, beyond } = range;
    let (start, to) = (plan.calendar.start(), plan.calendar.end());
    // Rows that retention gave up may not be dropped yet.
    let from = beyond.map_or(start, |bound| bound.before.max(start));
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
        r#"SELECT c.correction_id, c.original_id, s.name AS source,
                  coalesce(c.currency, s.currency) AS "currency!", c.type AS kind, c.bucket, c.occurred_at,
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
