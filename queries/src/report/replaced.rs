//! What a source stated of dates that another of its series holds now. It does not count, and answers say so until the
//! series that holds the dates states them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::measure::Measure;
use uuid::Uuid;

use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::sources::{DateRange, Source};
use crate::warning::Warning;

/// Every series of some sources, and the dates that they hold.
#[derive(Debug, Default)]
struct SeriesColumns {
    all_sources: Vec<Uuid>,
    all: Vec<Uuid>,
    sources: Vec<Uuid>,
    held: Vec<Uuid>,
    from: Vec<Option<DateTime<Utc>>>,
    until: Vec<Option<DateTime<Utc>>>,
    from_date: Vec<Option<NaiveDate>>,
    until_date: Vec<Option<NaiveDate>>,
}

impl SeriesColumns {
    fn of(sources: &[&Source]) -> Self {
        let mut columns = Self::default();
        for source in sources {
            for series in &source.series_history.all {
                columns.all_sources.push(source.id);
                columns.all.push(*series);
            }
            for dates in &source.series_history.held {
                columns.sources.push(source.id);
                columns.held.push(dates.series.id.0);
                columns.from.push(dates.from.map(|day| day.at));
                columns.until.push(dates.until.map(|day| day.at));
                columns.from_date.push(dates.from.map(|day| day.date));
                columns.until_date.push(dates.until.map(|day| day.date));
            }
        }
        columns
    }
}

/// A measure of which a source stated something between two dates that counts no longer.
struct Silent {
    source_id: Uuid,
    measure: String,
    first: NaiveDate,
    last: NaiveDate,
}

/// The warnings about numbers of these sources that count no longer, and are not stated anew: one for each source.
pub(crate) async fn warnings<'a>(
    snapshot: &mut Snapshot,
    sources: impl Iterator<Item = &'a Source>,
    range: &DateRange,
    measures: &BTreeSet<Measure>,
    campaigns: Option<&BTreeSet<Uuid>>,
) -> Result<Vec<Warning>, ReadError> {
    let several: BTreeMap<Uuid, &Source> =
        sources.filter(|source| !source.series_history.all.is_empty()).map(|source| (source.id, source)).collect();
    if several.is_empty() {
        return Ok(Vec::new());
    }
    let series = SeriesColumns::of(&several.values().copied().collect::<Vec<_>>());
    let rows = silent(snapshot, &series, range, measures, campaigns).await?;
    let mut by_source: BTreeMap<Uuid, (NaiveDate, NaiveDate, BTreeSet<Measure>)> = BTreeMap::new();
    for row in rows {
        let measure: Measure = row.measure.parse().map_err(ReadError::corrupt)?;
        let (first, last, measures) =
            by_source.entry(row.source_id).or_insert_with(|| (row.first, row.last, BTreeSet::new()));
        (*first, *last) = (row.first.min(*first), row.last.max(*last));
        measures.insert(measure);
    }
    let warning = |(id, (first, last, measures)): (Uuid, (NaiveDate, NaiveDate, BTreeSet<Measure>))| {
        let name = several.get(&id)?.definition.name.clone();
        let dates = if first == last { first.to_string() } else { format!("{first} to {last}") };
        Some(Warning {
            code: "series_replaced",
            detail: format!(
                "{name} changed its time zone or currency: what it stated before of {dates} does not count, and not \
                 all of it is stated anew."
            ),
            sources: vec![name],
            measures: measures.iter().map(|measure| measure.name()).collect(),
            spend: None,
        })
    };
    Ok(by_source.into_iter().filter_map(warning).collect())
}

/// What was stated of dates that another series holds now, and is not stated in that one, by source and measure.
#[expect(clippy::too_many_lines, reason = "most lines are the text of one statement")]
async fn silent(
    snapshot: &mut Snapshot,
    series: &SeriesColumns,
    range: &DateRange,
    measures: &BTreeSet<Measure>,
    campaigns: Option<&BTreeSet<Uuid>>,
) -> Result<Vec<Silent>, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let names: Vec<_> = measures.iter().map(|measure| measure.name().to_owned()).collect();
    let campaigns: Option<Vec<Uuid>> = campaigns.map(|ids| ids.iter().copied().collect());
    let ((start, end), (first, last)) = (range.span, range.dates);
    // What is summed, and hours that are stated, are compared by days of UTC, days that are stated by their dates.
    let rows = sqlx::query_as!(
        Silent,
        r#"WITH every AS MATERIALIZED (
               SELECT * FROM unnest($3::uuid[], $4::uuid[]) AS e (source_id, series_id)
           ), held AS MATERIALIZED (
               SELECT * FROM unnest($5::uuid[], $6::uuid[], $7::timestamptz[], $8::timestamptz[], $9::date[],
                                    $10::date[])
                   AS h (source_id, series_id, starts, ends, first, next)
           ), silent AS MATERIALIZED (
               SELECT e.source_id, i.campaign_id, i.measure, false AS is_day,
                      date_trunc('day', i.bucket, 'UTC') AS starts, min(i.bucket) AS at
               FROM every e JOIN read.rollup_hourly i ON i.source_id = e.series_id
               WHERE i.epoch = $1 AND i.workspace = $2 AND i.bucket >= $11 AND i.bucket < $12 AND i.measure = ANY($15)
                 AND ($16::uuid[] IS NULL OR i.campaign_id = ANY($16))
                 AND NOT EXISTS (SELECT FROM held h WHERE h.series_id = e.series_id
                                   AND coalesce(h.starts <= i.bucket, true) AND coalesce(i.bucket < h.ends, true))
               GROUP BY 1, 2, 3, 5
               UNION
               SELECT e.source_id, s.campaign_id, s.measure, false, date_trunc('day', s.bucket_start, 'UTC'),
                      min(s.bucket_start)
               FROM every e JOIN read.statements s ON s.source_id = e.series_id
               WHERE s.epoch = $1 AND s.workspace = $2 AND s.bucket_start >= $11 AND s.bucket_start < $12
                 AND s.grain <> 'day' AND s.measure = ANY($15) AND s.value IS NOT NULL
                 AND ($16::uuid[] IS NULL OR s.campaign_id = ANY($16))
                 AND NOT EXISTS (SELECT FROM held h WHERE h.series_id = e.series_id
                                   AND coalesce(h.starts <= s.bucket_start, true)
                                   AND coalesce(s.bucket_start < h.ends, true))
               GROUP BY 1, 2, 3, 5
               UNION
               SELECT e.source_id, s.campaign_id, s.measure, true, s.bucket_date::timestamp AT TIME ZONE 'UTC',
                      s.bucket_start
               FROM every e JOIN read.statements s ON s.source_id = e.series_id
               WHERE s.epoch = $1 AND s.workspace = $2 AND s.bucket_date >= $13 AND s.bucket_date <= $14
                 AND s.bucket_start >= $11::timestamptz - interval '2 days'
                 AND s.bucket_start < $12::timestamptz + interval '2 days'
                 AND s.grain = 'day' AND s.measure = ANY($15) AND s.value IS NOT NULL
                 AND ($16::uuid[] IS NULL OR s.campaign_id = ANY($16))
                 AND NOT EXISTS (SELECT FROM held h WHERE h.series_id = e.series_id
                                   AND coalesce(h.first <= s.bucket_date, true)
                                   AND coalesce(s.bucket_date < h.next, true))
           )
           SELECT n.source_id AS "source_id!", n.measure AS "measure!",
                  min((n.starts AT TIME ZONE 'UTC')::date) AS "first!",
                  max((n.starts AT TIME ZONE 'UTC')::date) AS "last!"
           FROM silent n
           WHERE NOT EXISTS (
               SELECT FROM held h JOIN read.rollup_hourly i ON i.source_id = h.series_id
               WHERE h.source_id = n.source_id AND i.epoch = $1 AND i.workspace = $2
                 AND i.campaign_id = n.campaign_id AND i.measure = n.measure
                 AND i.bucket >= n.starts AND i.bucket < n.starts + interval '24 hours'
                 AND coalesce(h.starts <= i.bucket, true) AND coalesce(i.bucket < h.ends, true)
           ) AND NOT EXISTS (
               SELECT FROM held h JOIN read.statements s ON s.source_id = h.series_id
               WHERE h.source_id = n.source_id AND s.epoch = $1 AND s.workspace = $2
                 AND s.campaign_id = n.campaign_id AND s.measure = n.measure AND s.value IS NOT NULL
                 AND CASE WHEN s.grain = 'day'
                     THEN coalesce(h.first <= s.bucket_date, true) AND coalesce(s.bucket_date < h.next, true)
                          AND CASE WHEN n.is_day THEN s.bucket_date = (n.starts AT TIME ZONE 'UTC')::date
                                   ELSE s.bucket_start <= n.at AND n.at < s.bucket_end END
                     ELSE coalesce(h.starts <= s.bucket_start, true) AND coalesce(s.bucket_start < h.ends, true)
                          AND s.bucket_start >= n.starts AND s.bucket_start < n.starts + interval '24 hours' END
           )
           GROUP BY 1, 2"#,
        epoch,
        workspace,
        &series.all_sources,
        &series.all,
        &series.sources,
        &series.held,
        &series.from as _,
        &series.until as _,
        &series.from_date as _,
        &series.until_date as _,
        start,
        end,
        first,
        last,
        &names,
        campaigns.as_deref(),
    )
    .fetch_all(snapshot.db())
    .await?;
    Ok(rows)
}
