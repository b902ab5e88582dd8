//! The spend of many campaigns by local day, in one statement: each campaign's days are those of its own zone.
//!
//! The rules are those of reports: primary sources count, day statements stand under their own date, and currencies
//! stay apart.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::{Calendar, FiscalCalendar, Granularity, local_date};
use domain::measure::Measure;
use domain::source::SourceRole;
use domain::zone::Zone;
use uuid::Uuid;

use super::campaign::PacedCampaign;
use super::spend::Spend;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::report::ReportContext;
use crate::report::rollup::EpochLimits;
use crate::sources::{self, DateRange, Source};

/// The days of a zone up to today.
#[derive(Debug)]
pub(super) struct ZoneDays {
    dates: Vec<NaiveDate>,
    /// The first instant of each, and of tomorrow.
    starts: Vec<DateTime<Utc>>,
}

impl ZoneDays {
    pub(super) fn new(zone: Zone, date_from: NaiveDate, now: DateTime<Utc>) -> Result<Self, ReadError> {
        let today = local_date(now, zone);
        let days = Calendar::cut(date_from.min(today), today, Granularity::Day, zone, FiscalCalendar::ISO)
            .map_err(ReadError::corrupt)?;
        let starts = days.cells().iter().map(|day| day.start).chain([days.end()]).collect();
        Ok(Self { dates: days.cells().iter().map(|day| day.first_date).collect(), starts })
    }
}

/// The spend of a campaign on a day, as a source states it. The day is a number from 1 on, or a date.
struct SpendRow {
    campaign_id: Uuid,
    source_id: Uuid,
    day: Option<i32>,
    date: Option<NaiveDate>,
    value: Option<String>,
}

/// The statement for one table of sums.
macro_rules! spend {
    ($rollup:literal, $($argument:expr),+ $(,)?) => {
        sqlx::query_as!(
            SpendRow,
            r#"WITH campaigns AS MATERIALIZED (
                   SELECT * FROM unnest($3::uuid[], $4::integer[]) AS c (campaign_id, zone)
               ), zones AS MATERIALIZED (
                   SELECT zone, array_agg(start ORDER BY start) AS starts
                   FROM unnest($5::integer[], $6::timestamptz[]) AS z (zone, start) GROUP BY zone
               )
               SELECT i.campaign_id AS "campaign_id!", i.source_id AS "source_id!",
                      width_bucket(i.bucket, z.starts) AS day, NULL::date AS date, sum(i.value)::text AS value
               FROM "# + $rollup + r#" i JOIN campaigns c USING (campaign_id) JOIN zones z USING (zone)
               WHERE i.epoch = $1 AND i.workspace = $2 AND i.measure = 'spend' AND i.source_id = ANY($7)
                 AND i.bucket >= $8 AND i.bucket < $13
               GROUP BY 1, 2, 3
               UNION ALL
               SELECT s.campaign_id, s.source_id,
                      CASE WHEN s.grain <> 'day' THEN width_bucket(s.bucket_start, z.starts) END,
                      CASE WHEN s.grain = 'day' THEN s.bucket_date END, sum(s.value)::text
               FROM read.statements s JOIN campaigns c USING (campaign_id) JOIN zones z USING (zone)
               WHERE s.epoch = $1 AND s.workspace = $2 AND s.measure = 'spend' AND s.source_id = ANY($7)
                 AND s.bucket_start >= $9 AND s.bucket_start < $10 AND s.bucket_end > $11
                 AND (s.grain = 'day' OR s.bucket_start >= $12 AND s.bucket_start < $13)
               GROUP BY 1, 2, 3, 4"#,
            $($argument),+
        )
    };
}

/// What each of these campaigns spent. `days`: those of every zone, by its name.
pub(super) async fn load(
    snapshot: &mut Snapshot,
    context: &ReportContext,
    campaigns: &[PacedCampaign],
    days: &BTreeMap<String, ZoneDays>,
) -> Result<HashMap<Uuid, Spend>, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let number_of: HashMap<&str, i32> = days.keys().map(String::as_str).zip(0..).collect();
    let (ids, zones): (Vec<Uuid>, Vec<i32>) = campaigns
        .iter()
        .map(|campaign| (campaign.id, number_of.get(campaign.zone.name()).copied().unwrap_or_default()))
        .unzip();
    let (zone_numbers, starts): (Vec<i32>, Vec<DateTime<Utc>>) =
        days.values().zip(0..).flat_map(|(days, zone)| days.starts.iter().map(move |start| (zone, *start))).unzip();
    let first = starts.iter().min().copied().unwrap_or_default();
    let end = starts.iter().max().copied().unwrap_or_default();
    let all_dates = || days.values().flat_map(|days| &days.dates).copied();
    let dates = (all_dates().min().unwrap_or_default(), all_dates().max().unwrap_or_default());
    let range = DateRange { span: (first, end), dates };
    let is_primary = |source: &Source| source.definition.role_of(Measure::Spend) == SourceRole::Primary;
    let mut stretches: BTreeMap<_, BTreeMap<Uuid, Source>> = BTreeMap::new();
    for source in sources::cut(&context.all_sources, &range, is_primary, false).into_values() {
        if let Some(stretch) = source.period.within(&range) {
            stretches.entry(stretch).or_default().insert(source.series, source);
        }
    }
    // What is no longer kept may still be there for a while.
    let limits = EpochLimits::load(snapshot).await?;
    snapshot.plan_for_values().await?;
    let zone_of: HashMap<Uuid, &str> = campaigns.iter().map(|campaign| (campaign.id, campaign.zone.name())).collect();
    let mut by_campaign: HashMap<Uuid, Vec<(NaiveDate, _, i128)>> = HashMap::new();
    for ((begins, ends), sources) in stretches {
        let ids_of_series: Vec<Uuid> = sources.keys().copied().collect();
        let (from, until) = (begins.map_or(first, |day| day.at.max(first)), ends.map_or(end, |day| day.at.min(end)));
        let mut edges = starts.iter().copied().chain([begins, ends].into_iter().flatten().map(|day| day.at));
        let is_hourly = edges.all(|edge| edge.timestamp().rem_euclid(3_600) == 0);
        // A day of another zone may begin before the day of its date here, and end after it.
        let two_days = chrono::TimeDelta::days(2);
        let (stated_from, stated_until) = (from - two_days, until + two_days);
        let rollup = if is_hourly { "rollup_hourly" } else { "rollup_15m" };
        let kept = limits.beyond(rollup, from).map_or(from, |bound| bound.before);
        let stated_after = limits.beyond("statements", from).map_or_else(DateTime::default, |bound| bound.before);
        macro_rules! of {
            ($rollup:literal) => {
                spend!(
                    $rollup,
                    epoch,
                    workspace,
                    &ids,
                    &zones,
                    &zone_numbers,
                    &starts,
                    &ids_of_series,
                    kept,
                    stated_from,
                    stated_until,
                    stated_after,
                    from,
                    until
                )
                .fetch_all(snapshot.db())
                .await?
            };
        }
        let rows = if is_hourly { of!("read.rollup_hourly") } else { of!("read.rollup_15m") };
        for SpendRow { campaign_id, source_id, day, date, value } in rows {
            let dates = zone_of.get(&campaign_id).and_then(|zone| days.get(*zone)).map_or(&[][..], |days| &days.dates);
            let of_number =
                day.and_then(|day| usize::try_from(day - 1).ok()).and_then(|place| dates.get(place)).copied();
            let is_stated = |date: &NaiveDate| {
                begins.is_none_or(|day| day.date <= *date) && ends.is_none_or(|day| *date < day.date)
            };
            let in_range =
                |date: &NaiveDate| dates.first().is_some_and(|first| first <= date) && dates.last() >= Some(date);
            let (Some(date), Some(value), Some(source)) =
                (of_number.or(date.filter(is_stated)).filter(in_range), value, sources.get(&source_id))
            else {
                continue;
            };
            let micros = value.parse().map_err(ReadError::corrupt)?;
            by_campaign.entry(campaign_id).or_default().push((date, source.definition.currency, micros));
        }
    }
    Ok(by_campaign.into_iter().map(|(campaign, amounts)| (campaign, Spend::new(amounts))).collect())
}
