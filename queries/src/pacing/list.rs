//! The pacing of all campaigns in one answer: filtered, sorted by pace, a page at a time.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::bucket::{day_end, day_start, local_date};
use domain::campaign::CampaignStatus;
use domain::channel::Channel;
use domain::zone::Zone;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::MODEL;
use super::body::PacingBody;
use super::campaign::PacedCampaign;
use super::daily_spend::{self, ZoneDays};
use super::query::{MAX_DAYS, spend_query};
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::fields::FieldErrors;
use crate::paging::{PageRequest, Paging};
use crate::probe::{Probe, Validity};
use crate::report::filter::Filter;
use crate::report::value::Value;
use crate::report::{ReportContext, SnapshotLookups, prepare, replaced};
use crate::result::{ResultMeta, TypedResult};
use crate::version::Version;
use crate::warning::Warning;

/// The campaigns whose pacing is requested, as they were requested.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PacingListRequest {
    /// Only campaigns with one of these statuses now.
    pub status: Vec<String>,
    /// Only campaigns that run on one of these channels.
    pub channel: Vec<String>,
    pub sort: Option<String>,
    pub limit: Option<i64>,
    pub cursor: Option<String>,
}

/// The canonical query of the pacing of campaigns.
#[derive(Debug, Serialize)]
pub struct PacingListQuery {
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub status: BTreeSet<CampaignStatus>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub channel: BTreeSet<Channel>,
    pub sort: PaceSort,
}

/// The order of the campaigns. Those without an index come last; ties are broken by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceSort {
    pub by: PaceSortBy,
    pub descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaceSortBy {
    Index,
    Name,
}

/// The pacing of one of many campaigns.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CampaignPacing)]
pub struct CampaignPacing {
    /// Its name.
    pub name: String,
    #[serde(flatten)]
    pub pacing: PacingBody,
    /// The codes of the warnings about this campaign: why members are null, and `spend_while_paused`.
    #[schema(value_type = Vec<String>, example = json!(["no_end"]))]
    pub warnings: Vec<&'static str>,
}

/// What a probe has loaded for the pacing of campaigns.
pub struct PacingListInputs {
    spend: ReportContext,
    zones: BTreeMap<String, Zone>,
    date_from: NaiveDate,
}

impl PacingListRequest {
    pub(crate) fn canonical(&self) -> Result<(PacingListQuery, Paging), ReadError> {
        let mut fields = FieldErrors::default();
        let query = PacingListQuery {
            status: fields.set("status", &self.status),
            channel: fields.set("channel", &self.channel),
            sort: fields
                .parse("sort", self.sort.as_deref())
                .unwrap_or(PaceSort { by: PaceSortBy::Index, descending: true }),
        };
        let paging = fields.paging(self.limit, self.cursor.as_deref());
        fields.finish((query, paging)).map_err(ReadError::Query)
    }
}

/// The version follows from all spend of the workspace, and from the midnights of the zones of all campaigns.
pub(crate) async fn probe(snapshot: &mut Snapshot) -> Result<Probe<PacingListInputs>, ReadError> {
    let (epoch, workspace, now) = (snapshot.epoch, snapshot.workspace, snapshot.now);
    let found = sqlx::query!(
        r#"SELECT time_zone, min(starts_on) AS "starts_on!",
                  (SELECT min(scope) FROM read.scope_marks
                   WHERE epoch = $1 AND workspace = $2 AND scope >= 'month:' AND scope < 'month;') AS first_month
           FROM read.campaigns WHERE epoch = $1 AND workspace = $2 GROUP BY time_zone"#,
        epoch,
        workspace,
    )
    .fetch_all(snapshot.db())
    .await?;
    let today = local_date(now, snapshot.defaults.time_zone);
    let earliest = today.checked_sub_days(Days::new(MAX_DAYS)).unwrap_or(today);
    let first_number = found.iter().find_map(|row| first_day(row.first_month.as_deref()?));
    let first_day = found.iter().map(|row| row.starts_on).chain(first_number).min().unwrap_or(today);
    let date_from = first_day.min(today).max(earliest);
    let mut zones = BTreeMap::new();
    for row in found {
        let zone: Zone = row.time_zone.parse().map_err(ReadError::corrupt)?;
        zones.insert(row.time_zone, zone);
    }
    let query = spend_query(Filter::all([]), snapshot.defaults.time_zone, (date_from, today));
    let mut shared = SnapshotLookups::load(snapshot).await?;
    let mut probe = prepare(snapshot, &mut shared, &query).await?.into_probe(snapshot);
    let midnights = |instant: fn(NaiveDate, Zone) -> DateTime<Utc>| {
        zones.values().map(move |zone| instant(local_date(now, *zone), *zone))
    };
    probe.version = probe.version.max(Version::of_clock(midnights(day_start).max()));
    if let Validity::Until(until) = probe.validity {
        probe.validity = Validity::Until(until.into_iter().chain(midnights(day_end)).min());
    }
    Ok(probe.map(|spend| PacingListInputs { spend, zones, date_from }))
}

pub(crate) async fn load(
    snapshot: &mut Snapshot,
    query: &PacingListQuery,
    page: PageRequest<'_>,
    version: Version,
    inputs: PacingListInputs,
) -> Result<TypedResult<Vec<CampaignPacing>>, ReadError> {
    let PacingListInputs { spend: context, zones, date_from } = inputs;
    let now = snapshot.now;
    let days = zones
        .into_iter()
        .map(|(name, zone)| Ok((name, ZoneDays::new(zone, date_from, now)?)))
        .collect::<Result<BTreeMap<_, _>, ReadError>>()?;
    let campaigns = PacedCampaign::select(snapshot, &query.status, &query.channel).await?;
    let mut spend = daily_spend::load(snapshot, &context, &campaigns, &days).await?;
    let mut rows = Vec::with_capacity(campaigns.len());
    for campaign in campaigns {
        let spend = spend.remove(&campaign.id).unwrap_or_default();
        let today = local_date(now, campaign.zone);
        let pacing = campaign.body(&spend, now, today);
        let mut warnings = campaign.warnings(&spend);
        let paused = campaign.spend_while_paused(&spend, today);
        warnings.extend(paused.clone());
        let mut codes: Vec<_> = warnings.iter().map(|warning| warning.code).collect();
        // One campaign's own report says so by itself.
        codes.extend(spend.has_mixed_day.then_some("mixed_currency"));
        codes.sort_unstable();
        let row = CampaignPacing { name: campaign.name, pacing, warnings: codes };
        rows.push((Key::of(&row, query.sort.by), row, paused));
    }
    rows.sort_unstable_by(|(a, ..), (b, ..)| a.compare(b, query.sort));
    if let Some(after) = page.after::<Key>()? {
        let begin = rows.partition_point(|(key, ..)| key.compare(&after, query.sort) != Ordering::Greater);
        rows.drain(..begin);
    }
    let (rows, next_cursor) = page.into_page(rows, |(key, ..)| key.clone());
    let mut warnings: Vec<Warning> = rows.iter().filter_map(|(.., paused)| paused.clone()).collect();
    warnings.extend(
        context
            .parked
            .warning(&context.about(), |id| context.all_sources.get(&id).map(|source| source.definition.name.as_str())),
    );
    let (range, measures) = (context.own.plan.range(), &context.own.plan.measures);
    warnings.extend(replaced::warnings(snapshot, context.sources.values(), &range, measures, None).await?);
    let freshness = Some(context.freshness(now));
    let meta = ResultMeta { freshness, ..ResultMeta::of_snapshot(snapshot, MODEL, version, warnings) };
    Ok(TypedResult::page(meta, next_cursor, rows.into_iter().map(|(_, row, _)| row).collect()))
}

/// The day before a month's first, because a day of another zone may belong to it. `month:2026-11` names a month.
fn first_day(month: &str) -> Option<NaiveDate> {
    let (_, month) = month.split_once(':')?;
    format!("{month}-01").parse::<NaiveDate>().ok()?.pred_opt()
}

/// The sort key of a row: the value that it is sorted by, and its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Key(Option<SortValue>, Uuid);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
enum SortValue {
    /// Millionths.
    Index(i64),
    Name(String),
}

impl Key {
    fn of(row: &CampaignPacing, by: PaceSortBy) -> Self {
        let value = match (by, &row.pacing.index) {
            (PaceSortBy::Name, _) => Some(SortValue::Name(row.name.clone())),
            // A pace beyond that is as fast as any.
            (PaceSortBy::Index, Value::Millionths(index)) => {
                Some(SortValue::Index(i64::try_from(*index).unwrap_or(if *index < 0 { i64::MIN } else { i64::MAX })))
            }
            (PaceSortBy::Index, _) => None,
        };
        Self(value, row.pacing.campaign_id)
    }

    fn compare(&self, other: &Self, sort: PaceSort) -> Ordering {
        let by_value = match (&self.0, &other.0) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(own), Some(others)) if sort.descending => others.cmp(own),
            (Some(own), Some(others)) => own.cmp(others),
        };
        by_value.then(self.1.cmp(&other.1))
    }
}

impl CampaignPacing {
    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.name.len() + size_of_val(self.warnings.as_slice())
    }
}

impl PaceSort {
    const NAMES: [(&'static str, PaceSortBy); 2] = [("index", PaceSortBy::Index), ("name", PaceSortBy::Name)];

    /// Every order, as it is written.
    pub fn all() -> Vec<String> {
        let both = |by| [true, false].map(|descending| Self { by, descending }.to_string());
        Self::NAMES.into_iter().flat_map(|(_, by)| both(by)).collect()
    }
}

impl FromStr for PaceSort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        let by = Self::NAMES.into_iter().find(|(known, _)| *known == name);
        by.map(|(_, by)| Self { by, descending }).ok_or("is none of index and name, with or without a -")
    }
}

impl fmt::Display for PaceSort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.into_iter().find(|(_, by)| *by == self.by).map_or("", |(name, _)| name);
        write!(f, "{}{name}", if self.descending { "-" } else { "" })
    }
}

impl Serialize for PaceSort {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for PacingListInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacingListInputs").field("date_from", &self.date_from).finish_non_exhaustive()
    }
}
