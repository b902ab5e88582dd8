//! How much is kept of what was rejected, how long, and for whom.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use commands::rejections::{RejectionRoom, RejectionStore};
use highwater::system::{SystemConfig, maintenance};
use platform::sealing::SealingKey;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{TestSystem, client};

use super::{NOW, click, create, list, listed, problem, retry, send, shop, total};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn an_item_is_as_old_as_when_it_was_received(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    // The window of the source is a week.
    let (old, older) = (click("c-1", "autumn", "2026-11-14T10:00:00Z"), click("c-2", "autumn", "2026-11-12T10:00:00Z"));
    assert_eq!(send(&acme, &[old.clone(), older]).await["kept"], 2);
    create(&acme, "autumn").await;
    system.clock.advance(TimeDelta::days(29));
    assert_eq!(send(&acme, std::slice::from_ref(&old)).await["results"][0]["reason"], "too_old");
    let kept = list(&acme, "").await;
    assert_eq!(listed(&kept), [("c-1", "too_old"), ("c-2", "too_old"), ("c-1", "unknown_campaign")]);
    // What its sender repeated in vain is judged as of its own receipt.
    assert_eq!(retry(&acme, "?reason=unknown_campaign").await, [1, 0, 0]);
    assert_eq!(retry(&acme, "").await, [0, 0, 2]);
    assert_eq!(total(&acme, "clicks").await, 1);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn what_is_to_come_is_taken_when_it_has_come(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    create(&acme, "autumn").await;
    let early = click("c-1", "autumn", "2026-11-20T15:30:00Z");
    assert_eq!(send(&acme, &[early]).await["results"][0]["reason"], "in_future");
    assert_eq!(retry(&acme, "").await, [0, 0, 1]);
    system.clock.advance(TimeDelta::minutes(30));
    assert_eq!(retry(&acme, "").await, [1, 0, 0]);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn items_are_kept_for_thirty_days(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    send(&acme, &[click("c-1", "autumn", "2026-11-20T10:00:00Z")]).await;
    let maintain = async || {
        let today = system.clock.shared().now().date_naive();
        maintenance::maintain_days(&pool, today).await.unwrap()
    };
    let keys = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM log.rejection_keys").fetch_one(&pool).await.unwrap()
    };
    system.clock.advance(TimeDelta::days(30));
    maintain().await;
    assert_eq!((listed(&list(&acme, "").await).len(), keys().await), (1, 1));
    system.clock.advance(TimeDelta::seconds(1));
    assert_eq!(list(&acme, "").await["data"], json!([]));
    assert_eq!(retry(&acme, "").await, [0, 0, 0]);
    system.clock.advance(TimeDelta::days(1));
    assert!(maintain().await.contains(&"rejections_20261120".to_owned()));
    assert_eq!(keys().await, 0);
    // And the next ones have a day of their own.
    assert_eq!(send(&acme, &[click("c-2", "autumn", "2026-12-21T10:00:00Z")]).await["kept"], 1);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn without_the_key_of_its_day_nothing_is_read(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    let mut item = click("c-1", "autumn", "2026-11-20T10:00:00Z");
    item["recipient"] = json!("ann@example.com");
    assert_eq!(send(&acme, &[item.clone(), click("ann@example.com", "autumn", "nonsense")]).await["kept"], 2);
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT held::text FROM log.rejections held").fetch_all(&pool).await.unwrap();
    let in_clear = ["ann@example.com".to_owned(), hex::encode("ann@example.com")];
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| in_clear.iter().all(|text| !row.contains(text))), "{rows:?}");
    assert_eq!(listed(&list(&acme, "").await), [("ann@example.com", "bad_time"), ("c-1", "bad_message")]);

    sqlx::query("DELETE FROM log.rejection_keys").execute(&pool).await.unwrap();
    let kept = list(&acme, "").await;
    for one in kept["data"].as_array().unwrap() {
        let gone = ["kind", "item_id", "field", "detail", "content"].map(|name| one[name].clone());
        assert_eq!(json!(gone), json!([null, null, null, null, null]), "{one}");
    }
    assert_eq!(retry(&acme, "").await, [0, 0, 2]);
    // The next one of the day makes a key anew.
    system.clock.advance(TimeDelta::seconds(1));
    send(&acme, &[item]).await;
    assert_eq!(list(&acme, "").await["data"][0]["item_id"], "c-1");
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn with_a_key_file_the_database_alone_tells_nothing(pool: PgPool) {
    let key = Arc::new(SealingKey::generate().unwrap());
    let system = TestSystem::start_as(&pool, NOW, |config| SystemConfig {
        rejections: RejectionStore::new(RejectionRoom::default(), Some(key)),
        ..config
    })
    .await;
    let acme = system.workspace("acme").await;
    acme.push_source("shop").await;
    let item = click("c-1", "autumn", "2026-11-20T10:00:00Z");
    assert_eq!(send(&acme, std::slice::from_ref(&item)).await["kept"], 1);
    assert_eq!(listed(&list(&acme, "").await), [("c-1", "unknown_campaign")]);
    // A process without the file sees that there is something, and keeps nothing of the same day.
    let second = system.second_process().await;
    let there = acme.on(second.addresses());
    assert_eq!(listed(&list(&there, "").await), [("-", "unknown_campaign")]);
    let answer = send(&there, std::slice::from_ref(&item)).await;
    assert_eq!((&answer["rejected"], &answer["kept"]), (&json!(1), &json!(0)));
    create(&acme, "autumn").await;
    assert_eq!(retry(&there, "").await, [0, 0, 1]);
    assert_eq!(retry(&acme, "").await, [1, 0, 0]);
    second.stop().await;
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_day_has_room_for_so_many(pool: PgPool) {
    let room = RejectionRoom { items: 2, ..RejectionRoom::default() };
    let system = TestSystem::start_as(&pool, NOW, |config| SystemConfig {
        rejections: RejectionStore::new(room, None),
        ..config
    })
    .await;
    let acme = system.workspace("acme").await;
    acme.push_source("shop").await;
    let items = ["c-1", "c-2", "c-3"].map(|id| click(id, "autumn", "2026-11-20T10:00:00Z"));
    let answer = send(&acme, &items).await;
    assert_eq!((&answer["rejected"], &answer["kept"]), (&json!(3), &json!(2)));
    let metrics = client(Duration::from_secs(10)).get(format!("{}/metrics", system.command_url()));
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    for (kept, items) in [("true", 2), ("false", 1)] {
        let labels = format!("workspace=\"{}\",source=\"shop\",reason=\"unknown_campaign\"", acme.workspace());
        let line = format!("highwater_rejected_items_total{{{labels},kept=\"{kept}\"}} {items}\n");
        assert!(metrics.contains(&line), "{line}");
    }
    // What is kept needs no more room, and tomorrow has its own.
    assert_eq!(send(&acme, &items[..2]).await["kept"], 2);
    assert_eq!(list(&acme, "").await["not_kept"], 1);
    system.clock.advance(TimeDelta::days(1));
    assert_eq!(send(&acme, &items).await["kept"], 2);
    let kept = list(&acme, "").await;
    assert_eq!((kept["data"].as_array().unwrap().len(), &kept["not_kept"]), (4, &json!(2)));
    // What is kept of two days counts once.
    create(&acme, "autumn").await;
    assert_eq!(retry(&acme, "").await, [2, 2, 0]);
    assert_eq!(total(&acme, "clicks").await, 2);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn an_answer_that_is_given_again_keeps_nothing_again(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    let body = json!({ "source": "shop", "observations": [click("c-1", "autumn", "2026-11-20T10:00:00Z")] });
    let once = [("idempotency-key", "batch-1")];
    assert_eq!(acme.post_with("/v1/observations", &body, &once).await.expect(200).body["kept"], 1);
    create(&acme, "autumn").await;
    assert_eq!(retry(&acme, "").await, [1, 0, 0]);
    let again = acme.post_with("/v1/observations", &body, &once).await.expect(200);
    assert_eq!((again.header("idempotency-replayed").as_str(), &again.body["rejected"]), ("true", &json!(1)));
    assert_eq!(list(&acme, "").await["data"], json!([]));
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejections_are_of_one_workspace_and_of_those_who_command(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    let other = system.workspace("other").await;
    send(&acme, &[click("c-1", "autumn", "2026-11-20T10:00:00Z")]).await;
    let id = list(&acme, "").await["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(list(&other, "").await["data"], json!([]));
    assert_eq!(retry(&other, "").await, [0, 0, 0]);
    let deleted = other.command_without_body(Method::DELETE, "/v1/rejections?since=2026-01-01T00:00:00Z").await;
    assert_eq!(deleted.expect(200).body["deleted"], 0);
    for (method, path) in
        [(Method::DELETE, format!("/v1/rejections/{id}")), (Method::POST, format!("/v1/rejections/{id}/retry"))]
    {
        assert_eq!(problem(&other.command_without_body(method, &path).await), (404, "not-found"));
    }
    let reader = acme.with_scopes(&["read"]).await;
    for (method, path) in [
        (Method::GET, "/v1/rejections".to_owned()),
        (Method::DELETE, "/v1/rejections?source=shop".to_owned()),
        (Method::DELETE, format!("/v1/rejections/{id}")),
        (Method::POST, "/v1/rejections/retry".to_owned()),
        (Method::POST, format!("/v1/rejections/{id}/retry")),
    ] {
        let refused = reader.command_without_body(method, &path).await;
        assert_eq!(problem(&refused), (403, "forbidden"), "{path}");
    }
    assert_eq!(list(&acme, "").await["data"][0]["id"], Value::from(id));
    system.stop().await;
}
