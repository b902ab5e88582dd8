//! Rejected lines, CloudEvents, items of backfills and statements.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::{click, create, list, listed, retry, send, shop, total};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn lines_are_kept_as_they_were_sent(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    let good = click("l-1", "autumn", "2026-11-20T10:00:00Z").to_string();
    let long = format!("{{\"id\": \"{}\"}}", "x".repeat(70_000));
    let body = format!("{good}\n{{\"id\": \"l-2\",\n{good}\n\n{long}\n");
    let request = "/v1/observations?source=shop";
    let answer = acme.post_lines(request, body.into_bytes()).await;
    let sums = |line: &Value| json!([line["rejected"], line["kept"]]);
    assert_eq!(answer.iter().map(sums).collect::<Vec<_>>(), [json!([4, 4]), json!([4, 4])], "{answer:?}");
    // A line that is there twice is kept once, and one that is too long without its text.
    let kept = list(&acme, "").await;
    assert_eq!(listed(&kept), [("-", "too_long"), ("-", "malformed"), ("l-1", "unknown_campaign")]);
    let texts: Vec<&Value> = kept["data"].as_array().unwrap().iter().map(|one| &one["content"]).collect();
    assert_eq!(texts, [&Value::Null, &json!("{\"id\": \"l-2\","), &json!(good)]);

    let not_utf8 = [b"\xff\xfe".as_slice(), good.as_bytes()].concat();
    system.clock.advance(TimeDelta::seconds(1));
    acme.post_lines(request, not_utf8).await;
    create(&acme, "autumn").await;
    assert_eq!(retry(&acme, "").await, [1, 0, 3]);
    assert_eq!(total(&acme, "clicks").await, 1);
    let kept = list(&acme, "").await;
    assert_eq!(listed(&kept), [("-", "malformed"), ("-", "too_long"), ("-", "malformed")]);
    assert!(kept["data"][0]["content"].as_str().unwrap().starts_with("\u{fffd}\u{fffd}{"), "{kept}");
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn an_event_keeps_the_names_of_its_attributes(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    let event = json!({
        "specversion": "1.0", "id": "e-1", "source": "shop", "type": "com.example.click",
        "time": "2026-11-20T10:00:00Z", "subject": "autumn"
    });
    let answer = acme.post_raw("/v1/observations", &event.to_string(), "application/cloudevents+json").await;
    let answer = answer.expect(200).body;
    assert_eq!((&answer["kept"], &answer["results"][0]["field"]), (&json!(1), &json!("subject")));
    assert_eq!(retry(&acme, "").await, [0, 0, 1]);
    let kept = list(&acme, "").await;
    let shown = ["kind", "field", "item_id"].map(|name| kept["data"][0][name].clone());
    assert_eq!(json!(shown), json!(["cloud_event", "subject", "e-1"]));
    create(&acme, "autumn").await;
    assert_eq!(retry(&acme, "").await, [1, 0, 0]);
    // It is the observation that any other form sends.
    assert_eq!(send(&acme, &[click("e-1", "autumn", "2026-11-20T10:00:00Z")]).await["duplicates"], 1);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn history_that_was_rejected_counts_once(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    let items = ["o-1", "o-2"].map(|id| click(id, "of old", "2024-05-01T10:00:00Z"));
    let body = json!({ "source": "shop", "observations": items });
    let request = "/v1/observations?backfill=old&chunk=7";
    assert_eq!(acme.post(request, &body).await.expect(200).body["kept"], 2);
    assert_eq!(retry(&acme, "").await, [0, 0, 2]);
    let kept = list(&acme, "").await;
    let shown = ["kind", "backfill"].map(|name| kept["data"][0][name].clone());
    assert_eq!(json!(shown), json!(["backfill", "old"]));
    create(&acme, "of old").await;
    assert_eq!(retry(&acme, "").await, [2, 0, 0]);
    assert_eq!(retry(&acme, "").await, [0, 0, 0]);
    // The chunk was recorded without them, and still is.
    acme.post(request, &body).await.expect(200);
    assert_eq!(retry(&acme, "").await, [0, 0, 0]);
    assert_eq!(total(&acme, "clicks").await, 2);
    system.verify().await;
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_statement_holds_as_of_when_it_was_received(pool: PgPool) {
    let (system, acme) = shop(&pool).await;
    acme.pull_source("ads").await;
    let state = |campaign: &str, day: &str, clicks: u64| {
        json!({ "source": "ads", "grain": "day", "time_zone": "UTC", "statements": [
            { "external_campaign_id": campaign, "bucket": day, "measures": { "clicks": clicks } }
        ]})
    };
    for (day, clicks) in [("2026-11-18", 3), ("2026-11-19", 4)] {
        let answer = acme.post("/v1/statements", &state("autumn", day, clicks)).await.expect(200).body;
        assert_eq!((&answer["rejected"], &answer["kept"]), (&json!(1), &json!(1)));
    }
    create(&acme, "autumn").await;
    system.clock.advance(TimeDelta::hours(2));
    let newer = acme.post("/v1/statements", &state("autumn", "2026-11-18", 30)).await.expect(200).body;
    assert_eq!(newer["accepted"], 1);
    // The newer one of the 18th holds. The one of the 19th is taken.
    assert_eq!(retry(&acme, "?source=ads").await, [1, 1, 0]);
    assert_eq!(total(&acme, "clicks").await, 34);
    // What was stated between the two of the 19th loses, as its instant is earlier.
    let mut between = state("autumn", "2026-11-19", 9);
    between["statements"][0]["stated_at"] = json!("2026-11-20T14:59:00Z");
    assert_eq!(acme.post("/v1/statements", &between).await.expect(200).body["duplicates"], 1);
    between["statements"][0]["stated_at"] = json!("2026-11-20T15:01:00Z");
    assert_eq!(acme.post("/v1/statements", &between).await.expect(200).body["accepted"], 1);
    assert_eq!(total(&acme, "clicks").await, 39);
    system.verify().await;
    system.stop().await;
}
