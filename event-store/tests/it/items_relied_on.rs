//! Items that are found again, and requests that rest on them.

use chrono::Duration;
use event_store::{AppendError, AppendRequest, Item, ItemPrecondition, ItemQuery, OnDuplicate, find_items, read_event};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use uuid::Uuid;

use crate::support::{Writer, check_log, day, item, items, log_of, one_lane, request, workspace};

fn wanted(id: u128) -> ItemQuery {
    ItemQuery { id: Uuid::from_u128(id), first_day: day() - Duration::days(5), last_day: day() + Duration::days(5) }
}

fn seen(id: u128, fingerprint: i64) -> ItemPrecondition {
    ItemPrecondition { day: day(), id: Uuid::from_u128(id), fingerprint }
}

fn needed(id: u128, fingerprint: i64) -> Item {
    Item { when_taken: OnDuplicate::FailRequest, ..item(id, fingerprint) }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn finds_the_event_that_holds_an_item(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let with = |events| AppendRequest { events, ..request(ws, "a") };
    let mut yesterday = item(2, 7);
    yesterday.key.as_mut().unwrap().day = day() - Duration::days(1);
    writer.append(request(ws, "a")).await.unwrap();
    writer.append(with(vec![items(vec![item(1, 1)]), items(vec![item(2, 1), yesterday])])).await.unwrap();
    // The taken item stays where it was; the event that loses all of its items is not there at all.
    writer.append(with(vec![items(vec![item(1, 1)]), items(vec![item(2, 5), item(3, 1)])])).await.unwrap();

    let mut found = find_items(&writer.pool, ws, &[wanted(1), wanted(2), wanted(3), wanted(4)]).await.unwrap();
    found.sort_by_key(|item| (item.id, item.day));
    let at: Vec<_> = found.iter().map(|item| (item.id.as_u128(), item.fingerprint, item.position)).collect();
    assert_eq!(at, [(1, 1, 2), (2, 7, 3), (2, 1, 3), (3, 1, 4)]);
    for item in found {
        let event = read_event(&writer.pool, ws, item.position).await.unwrap().unwrap();
        let content = format!("[{},{}]", item.id.as_u128(), item.fingerprint);
        assert!(event.payload().contains(&content), "{} in {}", content, event.payload());
    }
    let only_today = ItemQuery { first_day: day(), last_day: day(), ..wanted(2) };
    assert_eq!(find_items(&writer.pool, ws, &[only_today]).await.unwrap().len(), 1);
    let other = workspace(&connect, "other").await;
    assert_eq!(find_items(&writer.pool, other, &[wanted(1)]).await.unwrap(), []);
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_a_request_whose_item_preconditions_fail(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let with = |items_of: Vec<Item>, seen: Vec<ItemPrecondition>| AppendRequest {
        events: vec![items(items_of)],
        item_preconditions: seen,
        ..request(ws, "a")
    };
    let nobody_has_it = writer.append(with(vec![item(10, 1)], vec![seen(1, 1)])).await;
    assert!(matches!(nobody_has_it, Err(AppendError::Item)), "{nobody_has_it:?}");

    writer.append(with(vec![item(1, 1)], vec![])).await.unwrap();
    let other_content = writer.append(with(vec![item(10, 1)], vec![seen(1, 2)])).await;
    assert!(matches!(other_content, Err(AppendError::Item)), "{other_content:?}");
    // Refused requests left their ids free.
    let rests_on_both = with(vec![item(10, 1), item(11, 1)], vec![seen(1, 1), seen(11, 1)]);
    assert_eq!(writer.append(rests_on_both).await.unwrap().version, 2);

    let no_longer_new = writer.append(with(vec![item(12, 1), needed(11, 1)], vec![])).await;
    assert!(matches!(no_longer_new, Err(AppendError::Item)), "{no_longer_new:?}");
    assert!(writer.append(with(vec![item(12, 1), needed(13, 1)], vec![])).await.unwrap().duplicates.is_empty());
    assert_eq!(log_of(&writer.pool, ws).await.len(), 3);
    check_log(&writer.pool, ws).await;
    writer.stop().await;
}
