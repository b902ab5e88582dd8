//! Loads the log and the tables from the database.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection, Row as _};
use uuid::Uuid;

use super::{CampaignRow, Cell, CorrectionRow, Event, Evidence, LastWord, StatementKey, Tables, What};

const PROJECTION: &str = "campaign_model";

/// Waits until the tables have applied the whole log, or stopped. There are no writers meanwhile.
pub async fn settled(database: &mut PgConnection, workspace: i32, within: Duration) {
    let deadline = Instant::now() + within;
    // A stop sends no notification.
    loop {
        let (head, applied, stopped): (i64, i64, bool) = sqlx::query_as(
            "SELECT h.position, coalesce(c.position, 0), s.position IS NOT NULL
             FROM log.heads h
             LEFT JOIN read.live_epochs l ON l.projection = $1 AND l.workspace = h.workspace
             LEFT JOIN read.checkpoints c ON (c.projection, c.epoch, c.workspace) = (l.projection, l.epoch, l.workspace)
             LEFT JOIN read.stopped_logs s
                    ON (s.projection, s.epoch, s.workspace) = (l.projection, l.epoch, l.workspace)
             WHERE h.workspace = $2",
        )
        .bind(PROJECTION)
        .bind(workspace)
        .fetch_one(&mut *database)
        .await
        .unwrap();
        if applied == head || stopped {
            return;
        }
        assert!(Instant::now() < deadline, "the tables stay at {applied} of {head}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Loads everything from one snapshot.
pub async fn load(database: &mut PgConnection, workspace: i32) -> Evidence {
    let mut snapshot = database.begin().await.unwrap();
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut *snapshot).await.unwrap();
    let head: i64 = sqlx::query_scalar("SELECT position FROM log.heads WHERE workspace = $1")
        .bind(workspace)
        .fetch_one(&mut *snapshot)
        .await
        .unwrap();
    let events = events(&mut snapshot, workspace).await;
    let tables = tables(&mut snapshot, workspace).await;
    snapshot.commit().await.unwrap();
    Evidence { head, events, tables }
}

async fn events(database: &mut PgConnection, workspace: i32) -> Vec<Event> {
    let rows = sqlx::query(
        "SELECT position, aggregate_type, aggregate_id, sequence, coalesce(metadata ->> 'correlation_id', ''),
                payload::text, event_type, event_version
         FROM log.events WHERE workspace = $1 ORDER BY position",
    )
    .bind(workspace)
    .fetch_all(database)
    .await
    .unwrap();
    let event = |row: &sqlx::postgres::PgRow| {
        let (stream_type, stream): (String, String) = (row.get(1), row.get(2));
        Event {
            position: row.get(0),
            what: What::read(&stream_type, &stream, (row.get(6), row.get(7)), row.get(5)),
            stream: format!("{stream_type} {stream}"),
            sequence: row.get(3),
            trace: row.get(4),
        }
    };
    rows.iter().map(event).collect()
}

async fn tables(database: &mut PgConnection, workspace: i32) -> Tables {
    let live: Option<(i32, i64, Option<String>)> = sqlx::query_as(
        "SELECT l.epoch, coalesce(c.position, 0), s.reason FROM read.live_epochs l
         LEFT JOIN read.checkpoints c USING (projection, epoch, workspace)
         LEFT JOIN read.stopped_logs s USING (projection, epoch, workspace)
         WHERE l.projection = $1 AND l.workspace = $2",
    )
    .bind(PROJECTION)
    .bind(workspace)
    .fetch_optional(&mut *database)
    .await
    .unwrap();
    let Some((epoch, applied, stopped)) = live else { return Tables::default() };
    let mut tables = Tables { applied, stopped, ..Tables::default() };

    let campaigns: Vec<(Uuid, String, String, i64, i64)> = sqlx::query_as(
        "SELECT campaign_id, name, state, version, position FROM read.campaigns WHERE (epoch, workspace) = ($1, $2)",
    )
    .bind(epoch)
    .bind(workspace)
    .fetch_all(&mut *database)
    .await
    .unwrap();
    for (campaign, name, state, version, position) in campaigns {
        tables.campaigns.insert(campaign, CampaignRow { name, state, version, position });
    }

    let increments: Vec<(Uuid, Uuid, DateTime<Utc>, String, String)> = sqlx::query_as(
        "SELECT campaign_id, source_id, bucket, measure, value::text FROM read.rollup_15m
         WHERE (epoch, workspace) = ($1, $2)",
    )
    .bind(epoch)
    .bind(workspace)
    .fetch_all(&mut *database)
    .await
    .unwrap();
    for (campaign, source, bucket, measure, value) in increments {
        let cell = Cell { campaign, source, bucket, measure: measure.parse().unwrap() };
        tables.increments.insert(cell, value.parse().unwrap());
    }

    let corrections = sqlx::query(
        "SELECT position, item, campaign_id, source_id, correction_id, original_id, count_change, value_change, count,
                value
         FROM read.corrections WHERE (epoch, workspace) = ($1, $2)",
    )
    .bind(epoch)
    .bind(workspace)
    .fetch_all(&mut *database)
    .await
    .unwrap();
    for row in corrections {
        let correction = CorrectionRow {
            campaign: row.get(2),
            source: row.get(3),
            id: row.get(4),
            of: row.get(5),
            changes: (row.get(6), row.get(7)),
            total: (row.get(8), row.get(9)),
        };
        tables.corrections.insert((row.get(0), row.get(1)), correction);
    }

    let statements = sqlx::query(
        "SELECT campaign_id, source_id, bucket_date, measure, value::text, stated_at, position FROM read.statements
         WHERE (epoch, workspace) = ($1, $2)",
    )
    .bind(epoch)
    .bind(workspace)
    .fetch_all(database)
    .await
    .unwrap();
    for row in statements {
        let measure = row.get::<String, _>(3).parse().unwrap();
        let key = StatementKey { campaign: row.get(0), source: row.get(1), day: row.get(2), measure };
        let value = row.get::<String, _>(4).parse().unwrap();
        tables.statements.insert(key, LastWord { value, stated_at: row.get(5), position: row.get(6) });
    }
    tables
}
