//! The elapsed part of a range: the buckets that are closed for all sources that are expected.
//!
//! It ends where a bucket of the finest grain ends that all of them state: a day, where one states days. So it moves
//! from bucket to bucket, not with each instant, and no stated total is cut.

use chrono::{DateTime, Utc};
use domain::bucket::{Calendar, FiscalCalendar, Grain, Granularity, local_date};
use domain::source::SourceKind;

use super::query::ReportQuery;
use crate::sources::Source;

/// Up to where time has elapsed for all sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Elapsed {
    /// The end of the last closed bucket, in the time of the query.
    pub through: DateTime<Utc>,
    /// The end of the one after it.
    pub next: DateTime<Utc>,
}

impl Elapsed {
    /// How much has elapsed for these sources. Where some of them count toward totals, only those decide. `None` if the
    /// calendar has no such day.
    pub(super) fn of(expected: &[&Source], query: &ReportQuery, now: DateTime<Utc>) -> Option<Self> {
        let measures = query.additive();
        let counted: Vec<_> =
            expected.iter().copied().filter(|source| !source.counted_among(&measures).is_empty()).collect();
        let deciding = if counted.is_empty() { expected } else { &counted };
        let told = |source: &&Source| source.zone_alignment(query.granularity, query.time_zone).to_query_time(now);
        let told = deciding.iter().map(told).min().unwrap_or(now).min(now);
        let grain = deciding.iter().map(|source| stated_grain(source)).max().unwrap_or(Grain::QuarterHour);
        let granularity = match grain {
            Grain::QuarterHour => Granularity::QuarterHour,
            Grain::Hour => Granularity::Hour,
            Grain::Day => Granularity::Day,
        };
        let today = local_date(told, query.time_zone);
        let calendar = Calendar::cut(today, today, granularity, query.time_zone, FiscalCalendar::ISO).ok()?;
        let open = calendar.find(told).and_then(|index| calendar.cells().get(index))?;
        Some(Self { through: open.start, next: open.end })
    }
}

/// The coarsest grain that a source states. A source of totals that has stated none may state days.
fn stated_grain(source: &Source) -> Grain {
    let stated = source.stated_grains.iter().map(|stated| stated.grain).max().or(source.freshness.syncs.grain);
    stated.unwrap_or(match source.definition.kind {
        SourceKind::Push => Grain::QuarterHour,
        SourceKind::Pull => Grain::Day,
    })
}
