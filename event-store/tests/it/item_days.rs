//! Items whose ids are kept under two days: an item is new if it is new under both.

use std::collections::HashMap;
use std::sync::Arc;

use event_store::{AppendError, AppendRequest, AppenderConfig, ExpectedVersion, Item};
use futures_util::future::join_all;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Writer, check_log, day, enqueued, hold_head, item, items, log_of, one_lane, request, workspace};

/// The days under which the ids are kept, by id.
async fn kept(pool: &PgPool) -> Vec<(u128, String)> {
    let rows: Vec<(uuid::Uuid, String)> =
        sqlx::query_as("SELECT id, day::text FROM log.item_ids ORDER BY id, day").fetch_all(pool).await.unwrap();
    rows.into_iter().map(|(id, day)| (id.as_u128(), day)).collect()
}

/// An item under yesterday alone, as it was before a change of periods.
fn before(id: u128, fingerprint: i64) -> Item {
    let mut item = item(id, fingerprint);
    item.key.as_mut().unwrap().day = day().pred_opt().unwrap();
    item
}

/// An item under yesterday and today, as it is around the change.
fn around(id: u128, fingerprint: i64) -> Item {
    let mut item = item(id, fingerprint);
    item.key.as_mut().unwrap().also_under = day().pred_opt();
    item
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn item_is_taken_under_either_of_its_days(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let with = |given: Vec<Item>| AppendRequest { events: vec![items(given)], ..request(ws, "a") };
    writer.append(with(vec![before(1, 1), before(2, 1)])).await.unwrap();
    writer.append(with(vec![item(3, 1)])).await.unwrap();
    let mixed = writer.append(with(vec![around(1, 1), around(2, 9), around(3, 1), around(4, 1)])).await.unwrap();
    assert_eq!((mixed.duplicates, mixed.conflicts), (vec![0, 2], vec![1]));
    // What is new is kept under both days. Of the others nothing was added.
    let (yesterday, today) = ("2026-11-21".to_owned(), "2026-11-22".to_owned());
    let expected = [(1, &yesterday), (2, &yesterday), (3, &today), (4, &yesterday), (4, &today)];
    assert_eq!(kept(&writer.pool).await, expected.map(|(id, day)| (id, day.clone())));
    let again = writer.append(with(vec![around(4, 1), item(4, 2), before(5, 1)])).await;
    assert!(matches!(again, Err(AppendError::Invalid(_))), "one id under one day twice: {again:?}");
    let after = writer.append(with(vec![item(4, 2), item(5, 1)])).await.unwrap();
    assert_eq!((after.duplicates, after.conflicts), (vec![], vec![0]));
    check_log(&writer.pool, ws).await;
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejected_request_frees_both_days(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    writer.append(AppendRequest { events: vec![items(vec![before(1, 1)])], ..request(ws, "a") }).await.unwrap();
    let events = vec![items(vec![around(1, 1), around(2, 1)])];
    let refused = AppendRequest { events: events.clone(), expected: ExpectedVersion::Exact(7), ..request(ws, "a") };
    let refused = writer.append(refused).await;
    assert!(matches!(refused, Err(AppendError::Version { actual: 1 })), "{refused:?}");
    assert_eq!(kept(&writer.pool).await, [(1, "2026-11-21".to_owned())]);
    assert_eq!(writer.append(AppendRequest { events, ..request(ws, "a") }).await.unwrap().duplicates, [0]);
    writer.stop().await;
}

/// Two processes, one of which is not yet where the other is: the twin that waits for the other one's commit finds it.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn twin_waits_for_the_one_that_began_before(_: PgPoolOptions, connect: PgConnectOptions) {
    let [early, late] = [Writer::start(&connect, one_lane()).await, Writer::start(&connect, one_lane()).await];
    let ws = workspace(&connect, "acme").await;
    let with = |given: Item| AppendRequest { events: vec![items(vec![given])], ..request(ws, "a") };
    let holding = hold_head(&early.admin, ws).await;
    let first = enqueued(&early.appender, with(before(1, 1)));
    crate::support::waiting_writer(&early.admin).await;
    let second = enqueued(&late.appender, with(around(1, 1)));
    // The second waits for the first, which waits for the head.
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%log.append%'",
        )
        .fetch_one(&early.admin)
        .await
        .unwrap();
        if waiting == 2 {
            break;
        }
    }
    holding.rollback().await.unwrap();
    assert_eq!(first.await.unwrap().duplicates, Vec::<usize>::new());
    assert_eq!(second.await.unwrap().duplicates, [0]);
    assert_eq!(kept(&early.pool).await, [(1, "2026-11-21".to_owned())]);
    check_log(&early.pool, ws).await;
    early.stop().await;
    late.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn racing_twins_are_written_once(_: PgPoolOptions, connect: PgConnectOptions) {
    const TASKS: u128 = 12;
    let config = AppenderConfig { batch_requests: 3, ..AppenderConfig::default() };
    let writers = [Arc::new(Writer::start(&connect, config).await), Arc::new(Writer::start(&connect, config).await)];
    let ws = workspace(&connect, "acme").await;
    let tasks = (0..TASKS).map(|task| {
        let writer = Arc::clone(&writers[(task % 2) as usize]);
        tokio::spawn(async move {
            for round in 0..20_u128 {
                // Every id is sent by most tasks: by some before the change, by the others around it.
                let twin = |id: u128| if task % 3 == 0 { before(id, 1) } else { around(id, 1) };
                let given = (0..5).map(|n| twin(round * 3 + (task + n) % 5)).collect();
                let request = AppendRequest { events: vec![items(given)], ..request(ws, &format!("s{}", task % 4)) };
                let appended = writer.append(request).await.unwrap();
                assert!(appended.conflicts.is_empty());
            }
        })
    });
    for done in join_all(tasks).await {
        done.unwrap();
    }
    check_log(&writers[0].pool, ws).await;
    let mut events_of: HashMap<u128, Vec<i64>> = HashMap::new();
    for event in log_of(&writers[0].pool, ws).await {
        let payload: serde_json::Value = serde_json::from_str(event.payload()).unwrap();
        for item in payload["ü"].as_array().unwrap() {
            events_of.entry(item[0].as_u64().unwrap().into()).or_default().push(event.position);
        }
    }
    assert!(events_of.values().all(|positions| positions.len() == 1), "{events_of:?}");
    // Every id that is kept leads to the event with its item.
    let found: Vec<(uuid::Uuid, Option<i64>)> =
        sqlx::query_as("SELECT id, position FROM log.item_ids LEFT JOIN log.item_batches USING (batch)")
            .fetch_all(&writers[0].pool)
            .await
            .unwrap();
    assert!(found.len() >= events_of.len());
    for (id, position) in found {
        assert_eq!(position.as_ref(), events_of[&id.as_u128()].first(), "{id}");
    }
    for writer in writers {
        Arc::into_inner(writer).unwrap().stop().await;
    }
}
