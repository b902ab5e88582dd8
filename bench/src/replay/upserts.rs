//! One upsert for each event, as a careful user writes it: the log read in pages, the event's observations summed
//! first, a prepared statement with arrays, and one transaction for a thousand events.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use chrono::{DateTime, Utc};
use domain::bucket::quarter_hour;
use domain::observation::ObservationsRecorded;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::server::Database;

const TOGETHER: i64 = 1_000;

const PAGE: &str = "SELECT position, recorded_at, payload::text FROM log.events
     WHERE workspace = $1 AND position > $2 AND aggregate_type = 'observations' ORDER BY position LIMIT $3";

const UPSERT: &str =
    "INSERT INTO upserted AS u (epoch, workspace, campaign_id, source_id, bucket, measure, value, changed_at)
     SELECT 1, $1, n.campaign_id, $2, n.bucket, n.measure, n.value, $3
     FROM unnest($4::uuid[], $5::timestamptz[], $6::text[], $7::bigint[]) AS n (campaign_id, bucket, measure, value)
     ON CONFLICT (epoch, workspace, campaign_id, source_id, bucket, measure) DO UPDATE
     SET value = u.value + excluded.value, changed_at = excluded.changed_at";

/// Upserts the first events of a log, at most `limit`: says how many, and how many seconds that took.
pub(super) async fn replay(database: &Database, workspace: i32, limit: i64) -> Result<(i64, f64)> {
    sqlx::query("DROP TABLE IF EXISTS upserted").execute(&database.admin).await?;
    sqlx::query("CREATE TABLE upserted (LIKE read.rollup_15m INCLUDING ALL) WITH (fillfactor = 80)")
        .execute(&database.admin)
        .await?;
    database.settle().await?;
    let began = Instant::now();
    let (mut after, mut done) = (0, 0);
    while done < limit {
        let (last, many) = page(&database.admin, workspace, after, TOGETHER.min(limit - done)).await?;
        if many == 0 {
            break;
        }
        (after, done) = (last, done + many);
    }
    Ok((done, began.elapsed().as_secs_f64()))
}

/// One transaction: says its last position, and how many events it had.
async fn page(pool: &PgPool, workspace: i32, after: i64, limit: i64) -> Result<(i64, i64)> {
    let mut transaction = pool.begin().await?;
    let events: Vec<(i64, DateTime<Utc>, String)> =
        sqlx::query_as(PAGE).bind(workspace).bind(after).bind(limit).fetch_all(&mut *transaction).await?;
    for (_, recorded_at, payload) in &events {
        upsert(&mut transaction, workspace, *recorded_at, &serde_json::from_str(payload)?).await?;
    }
    transaction.commit().await?;
    Ok((events.last().map_or(after, |(position, ..)| *position), i64::try_from(events.len())?))
}

async fn upsert(
    conn: &mut PgConnection,
    workspace: i32,
    recorded_at: DateTime<Utc>,
    batch: &ObservationsRecorded,
) -> Result<()> {
    let mut sums: BTreeMap<(Uuid, DateTime<Utc>, &str), i64> = BTreeMap::new();
    for observation in &batch.observations {
        let campaign = batch.campaigns[observation.campaign].0;
        for (measure, value) in observation.increments() {
            *sums.entry((campaign, quarter_hour(observation.occurred_at), measure.name())).or_default() += value;
        }
    }
    let campaigns: Vec<Uuid> = sums.keys().map(|(campaign, ..)| *campaign).collect();
    let buckets: Vec<DateTime<Utc>> = sums.keys().map(|(_, bucket, _)| *bucket).collect();
    let measures: Vec<&str> = sums.keys().map(|(.., measure)| *measure).collect();
    let values: Vec<i64> = sums.values().copied().collect();
    sqlx::query(UPSERT)
        .bind(workspace)
        .bind(batch.source.0)
        .bind(recorded_at)
        .bind(campaigns)
        .bind(buckets)
        .bind(measures)
        .bind(values)
        .execute(conn)
        .await?;
    Ok(())
}
