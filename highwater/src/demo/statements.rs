//! The statements of a pull source: totals by hour or day that grow while the bucket is open and settle after it has
//! closed.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, TimeZone, Utc};
use domain::bucket::{Bucket, Grain};
use domain::measure::{Measure, Unit};

use super::scenario::{DemoSource, TIME_ZONE};
use super::volume::{WHOLE, hourly};

/// How long a platform keeps finding activity of a past hour.
const SETTLES_AFTER_S: i64 = 3 * 3_600;
/// The share that it has found at the end of the hour, in thousandths.
const FOUND_AT_FIRST: u64 = 930;

/// A total about to be stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementDraft {
    /// The campaign's external id.
    pub campaign: &'static str,
    /// The bucket.
    pub bucket: Bucket,
    /// The totals, in each measure's unit.
    pub measures: Vec<(Measure, u64)>,
}

/// The statements of a source at `now`, for every bucket from `since` on.
pub fn as_of(source: &DemoSource, since: DateTime<Utc>, now: DateTime<Utc>, rate: u32) -> Vec<StatementDraft> {
    match source.grain {
        Grain::Day => by_day(source, since, now, rate),
        Grain::Hour | Grain::QuarterHour => by_hour(source, since, now, rate),
    }
}

fn by_hour(source: &DemoSource, since: DateTime<Utc>, now: DateTime<Utc>, rate: u32) -> Vec<StatementDraft> {
    let mut drafts = Vec::new();
    for hour in hours(since, now) {
        for campaign in source.campaigns() {
            let measures = source.states.iter().map(|state| {
                let words = [source.name, campaign.external_id, state.measure.name()];
                let whole = hourly(state.hourly * campaign.size * u64::from(rate), &words, hour);
                (state.measure, rounded(state.measure, known(whole, hour, now)))
            });
            let measures = measures.collect();
            drafts.push(StatementDraft { campaign: campaign.external_id, bucket: Bucket::Starts(hour), measures });
        }
    }
    drafts
}

fn by_day(source: &DemoSource, since: DateTime<Utc>, now: DateTime<Utc>, rate: u32) -> Vec<StatementDraft> {
    let mut drafts = Vec::new();
    let mut date = local_date(since);
    while date <= local_date(now) {
        for campaign in source.campaigns() {
            let mut measures = Vec::new();
            for state in source.states {
                let words = [source.name, campaign.external_id, state.measure.name()];
                let average = state.hourly * campaign.size * u64::from(rate);
                let of_day = hours_of(date).filter(|hour| *hour <= now);
                let sum = of_day.map(|hour| known(hourly(average, &words, hour), hour, now)).sum();
                measures.push((state.measure, rounded(state.measure, sum)));
            }
            drafts.push(StatementDraft { campaign: campaign.external_id, bucket: Bucket::Day(date), measures });
        }
        let Some(next) = date.succ_opt() else { break };
        date = next;
    }
    drafts
}

/// The part of an hour's total that is known at `now`.
fn known(whole: u64, hour: DateTime<Utc>, now: DateTime<Utc>) -> u64 {
    let elapsed = u64::try_from((now - hour).num_seconds().clamp(0, 3_600)).unwrap_or_default();
    let settled = (now - hour).num_seconds().saturating_sub(3_600).clamp(0, SETTLES_AFTER_S);
    let settled = u64::try_from(settled * 1_000 / SETTLES_AFTER_S).unwrap_or_default();
    let found = FOUND_AT_FIRST + (WHOLE - FOUND_AT_FIRST) * settled / WHOLE;
    whole * elapsed / 3_600 * found / WHOLE
}

/// Rounds money to cents.
fn rounded(measure: Measure, value: u64) -> u64 {
    match measure.unit() {
        Unit::Money => value / 10_000 * 10_000,
        Unit::Count | Unit::Credit | Unit::Ratio => value,
    }
}

/// The instants at which hours start, from that of `since` to that of `now`.
pub fn hours(since: DateTime<Utc>, now: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    let first = since.timestamp().div_euclid(3_600);
    let last = now.timestamp().div_euclid(3_600);
    (first..=last).filter_map(|hour| DateTime::from_timestamp(hour * 3_600, 0))
}

/// The hours that start on a local date; Berlin's offset is a whole number of hours.
fn hours_of(date: NaiveDate) -> impl Iterator<Item = DateTime<Utc>> {
    let noon = date.and_hms_opt(12, 0, 0).and_then(|noon| TIME_ZONE.from_local_datetime(&noon).earliest());
    let noon = noon.map(|noon| noon.with_timezone(&Utc));
    noon.into_iter()
        .flat_map(|noon| hours(noon - TimeDelta::hours(14), noon + TimeDelta::hours(14)))
        .filter(move |hour| local_date(*hour) == date)
}

/// The local date of an instant.
pub fn local_date(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&TIME_ZONE).date_naive()
}

/// The end of the last bucket of the source's grain that is over at `quarter_end`.
pub fn complete_through(grain: Grain, quarter_end: DateTime<Utc>) -> DateTime<Utc> {
    match grain {
        Grain::QuarterHour => quarter_end,
        Grain::Hour => hours(quarter_end, quarter_end).next().unwrap_or(quarter_end),
        Grain::Day => hours_of(local_date(quarter_end)).next().unwrap_or(quarter_end),
    }
}

/// The first day of a pull source's history.
pub fn history_starts(now: DateTime<Utc>, days: i64) -> DateTime<Utc> {
    let first = local_date(now).num_days_from_ce() - i32::try_from(days).unwrap_or(i32::MAX);
    NaiveDate::from_num_days_from_ce_opt(first).and_then(|date| hours_of(date).next()).unwrap_or(now)
}
