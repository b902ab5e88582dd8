//! Asking again.

use chrono::Duration;
use event_store::{AppendError, AppendRequest, ExpectedVersion, find_receipt};
use futures_util::future::join_all;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{
    Writer, check_log, day, enqueued, hold_head, item, items, now, one_lane, receipt, request, waiting_writer,
    workspace,
};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn repeated_request_gets_the_stored_answer(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let repeated = || AppendRequest {
        expected: ExpectedVersion::Exact(0),
        receipt: Some(receipt("key", 1, "the answer")),
        ..request(ws, "a")
    };
    let first = writer.append(repeated()).await.unwrap();
    assert_eq!((first.replayed, first.response.as_deref()), (false, None));
    writer.append(request(ws, "a")).await.unwrap();
    let again = writer.append(repeated()).await.unwrap();
    assert_eq!((again.replayed, again.response.as_deref()), (true, Some("the answer")));
    assert_eq!((again.version, again.position), (first.version, first.position));

    let stored = find_receipt(&writer.pool, ws, "key", day()).await.unwrap().unwrap();
    assert_eq!((stored.digest, stored.response.as_str()), (vec![1; 32], "the answer"));
    assert_eq!((stored.version, stored.position), (Some(1), 1));
    assert_eq!(check_log(&writer.pool, ws).await, 2);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_other_content_under_the_same_key(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let with = |digest| AppendRequest { receipt: Some(receipt("key", digest, "")), ..request(ws, "a") };
    writer.append(with(1)).await.unwrap();
    assert!(matches!(writer.append(with(2)).await, Err(AppendError::ReceiptMismatch)));
    let other = workspace(&connect, "other").await;
    writer.append(AppendRequest { receipt: Some(receipt("key", 2, "")), ..request(other, "a") }).await.unwrap();
    assert_eq!(check_log(&writer.pool, ws).await, 1);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn only_accepted_requests_leave_receipts(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let nothing = |version| AppendRequest {
        expected: ExpectedVersion::Exact(version),
        events: Vec::new(),
        receipt: Some(receipt("key", 1, "refused, says the domain")),
        ..request(ws, "a")
    };
    assert!(matches!(writer.append(nothing(5)).await, Err(AppendError::Version { actual: 0 })));
    assert_eq!(find_receipt(&writer.pool, ws, "key", day()).await.unwrap(), None);
    let first = writer.append(nothing(0)).await.unwrap();
    assert_eq!((first.replayed, first.version, first.position), (false, 0, 0));
    writer.append(request(ws, "a")).await.unwrap();
    let again = writer.append(nothing(0)).await.unwrap();
    assert_eq!((again.replayed, again.version, again.position), (true, 0, 0));
    assert_eq!(again.response.as_deref(), Some("refused, says the domain"));
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn receipts_last_two_days(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let after = |days| AppendRequest {
        receipt: Some(receipt("key", 1, "")),
        recorded_at: now() + Duration::days(days),
        ..request(ws, "a")
    };
    assert!(!writer.append(after(0)).await.unwrap().replayed);
    for days in [-1, 1, 2] {
        assert!(writer.append(after(days)).await.unwrap().replayed, "{days} days later");
        let today = day() + Duration::days(days);
        assert!(find_receipt(&writer.pool, ws, "key", today).await.unwrap().is_some(), "{days} days later");
    }
    let later = day() + Duration::days(3);
    assert_eq!(find_receipt(&writer.pool, ws, "key", later).await.unwrap(), None);
    assert!(!writer.append(after(3)).await.unwrap().replayed);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn concurrent_twins_write_once(_: PgPoolOptions, connect: PgConnectOptions) {
    let one = Writer::start(&connect, one_lane()).await;
    let two = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let twin = || AppendRequest {
        events: vec![items(vec![item(1, 1), item(2, 1)])],
        receipt: Some(receipt("key", 1, "the answer")),
        ..request(ws, "a")
    };
    let holding = hold_head(&one.admin, ws).await;
    let first = enqueued(&one.appender, request(ws, "first"));
    waiting_writer(&one.admin).await;
    let twins: Vec<_> = [&one, &two, &one, &two, &one].map(|writer| enqueued(&writer.appender, twin())).into();
    holding.rollback().await.unwrap();
    first.await.unwrap();
    let answers: Vec<_> = join_all(twins).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    for answer in &answers {
        assert_eq!((answer.version, answer.position), (1, 2));
        assert!(answer.duplicates.is_empty());
    }
    assert_eq!(check_log(&one.pool, ws).await, 2);
    one.stop().await;
    two.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn receipt_keeps_item_outcomes(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    writer
        .append(AppendRequest { events: vec![items(vec![item(1, 1), item(2, 1)])], ..request(ws, "a") })
        .await
        .unwrap();
    let mixed = || AppendRequest {
        events: vec![items(vec![item(3, 1), item(2, 2), item(1, 1)])],
        receipt: Some(receipt("key", 1, "")),
        ..request(ws, "a")
    };
    let first = writer.append(mixed()).await.unwrap();
    assert_eq!((first.duplicates.as_slice(), first.conflicts.as_slice()), ([2].as_slice(), [1].as_slice()));
    let again = writer.append(mixed()).await.unwrap();
    assert!(again.replayed);
    assert_eq!((again.duplicates, again.conflicts), (first.duplicates, first.conflicts));
    let stored = find_receipt(&writer.pool, ws, "key", day()).await.unwrap().unwrap();
    assert_eq!((stored.duplicates, stored.conflicts), (vec![2], vec![1]));
    writer.stop().await;
}
