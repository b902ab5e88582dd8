//! The statement of one page of campaigns. It is the only SQL of this crate whose form follows the request.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{CampaignsQuery, Sort, SortBy};
use crate::campaign::CampaignRow;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::paging::PageRequest;
use crate::report::lookups::states_of;

const COLUMNS: &str = "c.campaign_id, c.version, c.name, c.state, c.channels, c.currency, c.time_zone, c.starts_on, \
                       c.ends_on, c.starts_at, c.budget_micros, c.budget_per, c.external_ids, c.attributes, \
                       c.created_by_source, c.created_at, c.changed_at";

/// The sort key of a row: the value of the sorted column, and the id.
type Key = (String, Uuid);

/// The page's rows, and the cursor behind its last one.
pub(super) async fn page(
    snapshot: &mut Snapshot,
    query: &CampaignsQuery,
    sources: &[Uuid],
    page: PageRequest<'_>,
) -> Result<(Vec<CampaignRow>, Option<String>), ReadError> {
    let mut sql = QueryBuilder::new(format!("SELECT {COLUMNS} FROM read.campaigns c WHERE c.epoch = "));
    sql.push_bind(snapshot.epoch).push(" AND c.workspace = ").push_bind(snapshot.workspace);
    filter(&mut sql, query, sources, snapshot.now);
    if let Some((value, id)) = page.after::<Key>()? {
        after_cursor(&mut sql, query.sort, &value, id)?;
    }
    let direction = if query.sort.descending { "DESC" } else { "ASC" };
    sql.push(format!(" ORDER BY c.{0} {direction}, c.campaign_id {direction} LIMIT ", query.sort.by.name()));
    sql.push_bind(page.fetch_limit());
    snapshot.plan_for_values().await?;
    let rows: Vec<CampaignRow> = sql.build_query_as().fetch_all(snapshot.db()).await?;
    Ok(page.into_page(rows, |row| key(row, query.sort.by)))
}

/// Adds the conditions of the query. `sources`: those that it names.
fn filter(sql: &mut QueryBuilder<'_, Postgres>, query: &CampaignsQuery, sources: &[Uuid], now: DateTime<Utc>) {
    if !query.status.is_empty() {
        let (states, started, not_started) = states_of(&query.status);
        sql.push(" AND (c.state = ANY(").push_bind(states);
        sql.push(") OR c.state = 'launched' AND CASE WHEN c.starts_at <= ").push_bind(now);
        sql.push(" THEN ").push_bind(started).push(" ELSE ").push_bind(not_started).push(" END)");
    }
    if !query.channel.is_empty() {
        let channels: Vec<_> = query.channel.iter().map(|channel| channel.name().to_owned()).collect();
        sql.push(" AND c.channels && ").push_bind(channels);
    }
    if !query.source.is_empty() {
        sql.push(
            " AND EXISTS (SELECT FROM read.campaign_sources f
                          WHERE f.epoch = c.epoch AND f.workspace = c.workspace AND f.campaign_id = c.campaign_id
                            AND f.source_id = ANY(",
        );
        sql.push_bind(sources.to_vec()).push("))");
    }
    if let Some(text) = &query.q {
        sql.push(" AND strpos(lower(c.name), lower(").push_bind(text.clone()).push(")) > 0");
    }
}

/// Adds the condition that rows come after the cursor.
fn after_cursor(sql: &mut QueryBuilder<'_, Postgres>, sort: Sort, value: &str, id: Uuid) -> Result<(), ReadError> {
    let beyond = if sort.descending { "<" } else { ">" };
    sql.push(format!(" AND (c.{}, c.campaign_id) {beyond} (", sort.by.name()));
    match sort.by {
        SortBy::Name => sql.push_bind(value.to_owned()),
        SortBy::CreatedAt | SortBy::ChangedAt => {
            let instant: DateTime<Utc> = value.parse().map_err(|_| ReadError::CursorMalformed)?;
            check_years(instant.date_naive())?;
            sql.push_bind(instant)
        }
        SortBy::StartsOn => {
            let date: NaiveDate = value.parse().map_err(|_| ReadError::CursorMalformed)?;
            check_years(date)?;
            sql.push_bind(date)
        }
    };
    sql.push(", ").push_bind(id).push(")");
    Ok(())
}

fn check_years(date: NaiveDate) -> Result<(), ReadError> {
    if domain::bucket::is_in_range(date) { Ok(()) } else { Err(ReadError::CursorMalformed) }
}

fn key(row: &CampaignRow, by: SortBy) -> Key {
    // The database keeps microseconds.
    let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let value = match by {
        SortBy::Name => row.name.clone(),
        SortBy::CreatedAt => instant(row.created_at),
        SortBy::ChangedAt => instant(row.changed_at),
        SortBy::StartsOn => row.starts_on.to_string(),
    };
    (value, row.campaign_id)
}
