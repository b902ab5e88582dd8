//! Items that may be written once.

use event_store::{AppendError, AppendRequest, ExpectedVersion, Item, OnDuplicate};
use futures_util::future::join_all;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{
    Writer, admin, check_log, day, enqueued, hold_head, item, items, log_of, one_lane, receipt, request,
    waiting_writer, workspace,
};

async fn kept_ids(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM log.item_ids").fetch_one(pool).await.unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn leaves_out_duplicate_items(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let with = |events| AppendRequest { events, ..request(ws, "a") };
    let first = writer.append(with(vec![items(vec![item(1, 1), item(2, 1)])])).await.unwrap();
    assert_eq!((first.version, first.duplicates.len(), first.conflicts.len()), (1, 0, 0));

    let free = Item { key: None, when_taken: OnDuplicate::Skip, content: "\"ß\"".to_owned() };
    let mixed = with(vec![
        items(vec![item(2, 1), item(3, 1), item(1, 9), free]),
        items(vec![item(4, 1)]),
        items(vec![item(5, 1), item(6, 1)]),
    ]);
    let mixed = writer.append(mixed).await.unwrap();
    assert_eq!((mixed.version, mixed.position), (4, 4));
    assert_eq!((mixed.duplicates, mixed.conflicts), (vec![0], vec![2]));

    let nothing_new = writer.append(with(vec![items(vec![item(5, 1), item(4, 2)])])).await.unwrap();
    assert_eq!((nothing_new.version, nothing_new.position), (4, 4));
    assert_eq!((nothing_new.duplicates, nothing_new.conflicts), (vec![0], vec![1]));

    let second_event = with(vec![items(vec![item(7, 1)]), items(vec![item(1, 1), item(8, 1), item(2, 1)])]);
    assert_eq!(writer.append(second_event).await.unwrap().duplicates, [1, 3]);

    let payloads: Vec<_> = log_of(&writer.pool, ws).await.into_iter().map(|event| event.payload().to_owned()).collect();
    assert_eq!(
        payloads,
        [
            r#"{"ü":[[1,1],[2,1]],"end":true}"#,
            r#"{"ü":[[3,1],"ß"],"end":true}"#,
            r#"{"ü":[[4,1]],"end":true}"#,
            r#"{"ü":[[5,1],[6,1]],"end":true}"#,
            r#"{"ü":[[7,1]],"end":true}"#,
            r#"{"ü":[[8,1]],"end":true}"#,
        ]
    );
    check_log(&writer.pool, ws).await;
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejected_request_frees_its_item_ids(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    writer.append(AppendRequest { events: vec![items(vec![item(1, 1)])], ..request(ws, "a") }).await.unwrap();
    let events = vec![items(vec![item(1, 1), item(2, 1), item(3, 1)])];
    let expected = ExpectedVersion::Exact(0);
    let refused = writer.append(AppendRequest { events: events.clone(), expected, ..request(ws, "a") }).await;
    assert!(matches!(refused, Err(AppendError::Version { actual: 1 })), "{refused:?}");
    let nowhere = writer.append(AppendRequest { events: events.clone(), ..request(999, "a") }).await;
    assert!(matches!(nowhere, Err(AppendError::Invalid(_))), "{nowhere:?}");
    assert_eq!(kept_ids(&writer.pool).await, 1);
    let accepted = writer.append(AppendRequest { events, ..request(ws, "a") }).await.unwrap();
    assert_eq!((accepted.version, accepted.duplicates), (2, vec![0]));
    assert_eq!(kept_ids(&writer.pool).await, 3);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn item_ids_are_scoped_to_workspace_and_day(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    for name in ["one", "two"] {
        let ws = workspace(&connect, name).await;
        let mut yesterday = item(1, 1);
        yesterday.key.as_mut().unwrap().day = day().pred_opt().unwrap();
        let events = vec![items(vec![item(1, 1), yesterday])];
        assert!(writer.append(AppendRequest { events, ..request(ws, "a") }).await.unwrap().duplicates.is_empty());
    }
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn first_request_of_a_batch_gets_the_item(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let holding = hold_head(&writer.admin, ws).await;
    let ahead = enqueued(&writer.appender, request(ws, "ahead"));
    waiting_writer(&writer.admin).await;
    let refused_first = AppendRequest {
        events: vec![items(vec![item(1, 1)])],
        expected: ExpectedVersion::Exact(7),
        ..request(ws, "a")
    };
    let refused = enqueued(&writer.appender, refused_first);
    let sharing: Vec<_> = (0..3)
        .map(|n| AppendRequest { events: vec![items(vec![item(1, 1), item(10 + n, 1)])], ..request(ws, "a") })
        .map(|request| enqueued(&writer.appender, request))
        .collect();
    holding.rollback().await.unwrap();
    ahead.await.unwrap();
    assert!(matches!(refused.await, Err(AppendError::Version { actual: 0 })));
    let duplicates: Vec<_> = join_all(sharing).await.into_iter().map(|answer| answer.unwrap().duplicates).collect();
    assert_eq!(duplicates, [vec![], vec![0], vec![0]]);
    check_log(&writer.pool, ws).await;
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn recreates_a_dropped_day_partition(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let with = |id| AppendRequest { events: vec![items(vec![item(id, 1)])], ..request(ws, "a") };
    writer.append(with(1)).await.unwrap();
    let mut admin = admin(&connect).await;
    sqlx::query("DROP TABLE log.item_ids_20261122").execute(&mut admin).await.unwrap();
    assert_eq!(writer.append(with(1)).await.unwrap().version, 2);
    check_log(&writer.pool, ws).await;
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn new_day_partition_waits_for_no_append(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let with = |n| AppendRequest {
        events: vec![items(vec![item(n, 1)])],
        receipt: Some(receipt(&n.to_string(), 1, "")),
        ..request(ws, "a")
    };
    let holding = hold_head(&writer.admin, ws).await;
    let writing = enqueued(&writer.appender, with(1));
    waiting_writer(&writer.admin).await;
    let other = Writer::start(&connect, one_lane()).await;
    let elsewhere = workspace(&connect, "elsewhere").await;
    let mut tomorrow = item(2, 1);
    tomorrow.key.as_mut().unwrap().day = day().succ_opt().unwrap();
    let events = vec![items(vec![tomorrow])];
    other.append(AppendRequest { events, ..request(elsewhere, "a") }).await.unwrap();
    holding.rollback().await.unwrap();
    writing.await.unwrap();
    other.stop().await;
    writer.stop().await;
}
