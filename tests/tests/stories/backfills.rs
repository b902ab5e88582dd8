//! History of any age is loaded in numbered chunks, and each counts once: sent twice, days later, or by an importer that
//! was killed in the middle.

use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, TestSystem, digest_of_epoch, highwater};

/// A system in the afternoon of 2026-11-20, with a shop whose window begins a week before.
async fn shop(pool: &PgPool) -> (TestSystem, Caller, String) {
    let system = TestSystem::start(pool, "2026-11-20T15:00:00Z").await;
    let acme = system.workspace("acme").await;
    acme.push_source("shop").await;
    let campaign = acme.campaign("Winter").await;
    (system, acme, campaign)
}

fn sale(campaign: &str, id: &str, at: &str, value: &str) -> Value {
    json!({ "id": id, "type": "conversion", "campaign_id": campaign, "occurred_at": at, "value": value })
}

fn body(items: &[Value]) -> Value {
    json!({ "source": "shop", "observations": items })
}

/// Accepted, duplicates, conflicts, rejected.
fn counts(answer: &Value) -> [u64; 4] {
    ["accepted", "duplicates", "conflicts", "rejected"].map(|name| answer[name].as_u64().unwrap())
}

/// The years of a campaign with their conversions and revenue, and whether they are flagged.
async fn years(caller: &Caller, campaign: &str) -> Vec<Value> {
    let path = format!(
        "/v1/campaigns/{campaign}/metrics?date_from=2021-01-01&date_to=2026-11-20&time_zone=UTC&granularity=year\
         &measures=conversions,revenue"
    );
    let answer = caller.get(&path).await.expect(200).body;
    let row =
        |row: &Value| json!([row["bucket"], row["conversions"], row["revenue"]["amount"], row["restated_after_final"]]);
    answer["data"].as_array().unwrap().iter().map(row).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn history_of_any_age_counts_once(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let first = body(&[
        sale(&campaign, "o-1", "2021-03-01T10:00:00Z", "10.00"),
        sale(&campaign, "o-2", "2024-02-29T23:59:59Z", "20.00"),
        sale(&campaign, "o-2", "2024-02-29T23:59:59Z", "20.00"),
        sale(&campaign, "o-3", "2026-11-13T15:00:00Z", "30.00"),
        sale("00000000-0000-7000-8000-000000000001", "o-4", "2024-01-01T00:00:00Z", "40.00"),
    ]);
    let answer = acme.post("/v1/observations?backfill=old-shop", &first).await.expect(200);
    assert_eq!(counts(&answer.body), [2, 1, 0, 2]);
    let reasons: Vec<&Value> = answer.body["results"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
    assert_eq!(reasons, ["already_recorded", "in_window", "unknown_campaign"]);
    let second = body(&[sale(&campaign, "o-5", "2023-06-01T10:00:00Z", "5.00")]);
    let answer = acme.post("/v1/observations?backfill=old-shop&chunk=2", &second).await.expect(200).body;
    assert_eq!(counts(&answer), [1, 0, 0, 0]);
    let head = acme.head().await;

    // Weeks later, when no receipt and no id is kept, everything is sent again.
    system.clock.advance(TimeDelta::days(120));
    for (chunk, sent, result) in [(1, &first, [2, 1, 0, 2]), (2, &second, [1, 0, 0, 0])] {
        let path = format!("/v1/observations?backfill=old-shop&chunk={chunk}");
        let answer = acme.post(&path, sent).await.expect(200);
        assert_eq!((counts(&answer.body), answer.header("idempotency-replayed").as_str()), (result, "true"));
    }
    assert_eq!(acme.head().await, head);
    let conflict = acme.post("/v1/observations?backfill=old-shop&chunk=2", &first).await.expect(409);
    assert!(conflict.problem().ends_with("/backfill-chunk-taken"), "{}", conflict.body);
    assert_eq!(conflict.body["errors"][0]["field"], "chunk");

    acme.caught_up().await;
    let told = years(&acme, &campaign).await;
    let expected = [
        json!(["2021-01-01", 1, "10.000000", null]),
        json!(["2023-01-01", 1, "5.000000", null]),
        json!(["2024-01-01", 1, "20.000000", null]),
    ];
    assert_eq!(told, expected);
    let live = system.live_epoch(&acme).await;
    system.replay().await;
    let rebuilt = system.live_epoch(&acme).await;
    assert_ne!(live, rebuilt);
    assert_eq!(digest_of_epoch(&pool, live).await, digest_of_epoch(&pool, rebuilt).await);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn the_first_chunk_fixes_the_edge(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let item = |id: &str, at: &str| body(&[sale(&campaign, id, at, "1.00")]);
    let send = async |query: &str, body: &Value| acme.post(&format!("/v1/observations?{query}"), body).await;
    let late = send("backfill=b&before=2026-11-13T15:00:01Z", &item("o-1", "2025-01-01T00:00:00Z")).await.expect(422);
    assert!(late.problem().ends_with("/backfill-edge-too-late"), "{}", late.body);
    let edge = "before=2025-12-01T00:00:00Z";
    send(&format!("backfill=b&{edge}"), &item("o-1", "2025-11-30T23:59:59Z")).await.expect(200);
    let answer = send("backfill=b&chunk=2", &item("o-2", "2025-12-01T00:00:00Z")).await.expect(200).body;
    let result = &answer["results"][0];
    assert_eq!((&result["reason"], &result["field"]), (&json!("in_window"), &json!("occurred_at")));
    assert!(result["detail"].as_str().unwrap().contains("2025-12-01T00:00:00Z"), "{result}");
    let other = send("backfill=b&chunk=3&before=2025-11-01T00:00:00Z", &item("o-3", "2025-01-01T00:00:00Z")).await;
    assert_eq!(other.expect(409).body["before"], "2025-12-01T00:00:00Z");
    for wrong in ["chunk=1", "before=2025-12-01T00:00:00Z", "backfill=a%20b", "backfill=b&chunk=0"] {
        let refused = send(wrong, &item("o-4", "2025-01-01T00:00:00Z")).await.expect(400);
        assert!(refused.problem().ends_with("/invalid-query"), "{wrong}: {}", refused.body);
    }
    let old = acme.post("/v1/observations", &item("o-5", "2025-01-01T00:00:00Z")).await.expect(200).body;
    assert_eq!(old["results"][0]["reason"], "too_old");
    system.stop().await;
}

/// A source that completed past its history before that was loaded: what was final by the edge is restated, the rest is
/// the history of a time before.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn history_is_restated_only_where_it_was_final_before_the_edge(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let complete = json!({ "status": "completed", "complete_through": "2026-11-20T00:00:00Z" });
    acme.post("/v1/sources/shop/syncs", &complete).await.expect(200);
    let old = body(&[sale(&campaign, "o-1", "2024-05-01T10:00:00Z", "10.00")]);
    acme.post("/v1/observations?backfill=one", &old).await.expect(200);
    acme.caught_up().await;
    assert_eq!(years(&acme, &campaign).await, [json!(["2024-01-01", 1, "10.000000", null])]);
    // A month later, the edge of another one lies behind that run.
    system.clock.advance(TimeDelta::days(30));
    let more = body(&[sale(&campaign, "o-2", "2024-05-01T10:00:00Z", "1.00")]);
    acme.post("/v1/observations?backfill=two", &more).await.expect(200);
    acme.caught_up().await;
    assert_eq!(years(&acme, &campaign).await, [json!(["2024-01-01", 2, "11.000000", true])]);
    system.stop().await;
}

/// Revenue of a contract grows for a year: what it came to before is stated, as no id is kept for so long.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn a_correction_states_an_original_of_long_ago(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let contract = json!({ "id": "c-1", "occurred_at": "2026-01-05T09:00:00Z", "value": "110.00" });
    let mut grown = sale(&campaign, "c-1-november", "2026-11-20T09:00:00Z", "120.00");
    grown["adjusts"] = contract.clone();
    grown["dimensions"] = json!({ "country": "DE" });
    let mut nameless = grown.clone();
    nameless.as_object_mut().unwrap().remove("campaign_id");
    let mut unknown = grown.clone();
    unknown["id"] = json!("c-1-december");
    unknown["adjusts"] = json!("c-1");
    unknown.as_object_mut().unwrap().remove("dimensions");
    let mut young = grown.clone();
    young["id"] = json!("c-2-november");
    young["adjusts"]["occurred_at"] = json!("2026-11-19T00:00:00Z");
    let history = [
        sale(&campaign, "c-1", "2026-01-05T09:00:00Z", "110.00"),
        json!({
            "id": "c-1-february", "type": "conversion", "adjusts": "c-1", "occurred_at": "2026-02-01T09:00:00Z",
            "value": "112.00"
        }),
    ];
    let answer = acme.post("/v1/observations?backfill=contracts", &body(&history)).await.expect(200).body;
    assert_eq!(counts(&answer), [2, 0, 0, 0], "{answer}");
    let answer = acme
        .post("/v1/observations?backfill=contracts&chunk=2", &body(&[grown.clone(), nameless, unknown, young]))
        .await
        .expect(200)
        .body;
    let told: Vec<_> = answer["results"].as_array().unwrap().iter().map(|one| one["reason"].clone()).collect();
    assert_eq!(told, ["bad_campaign", "unknown_observation", "in_window"]);
    let plain = acme.post("/v1/observations", &body(&[grown])).await.expect(200).body;
    assert_eq!(
        (&plain["results"][0]["reason"], &plain["results"][0]["field"]),
        (&json!("unsupported"), &json!("adjusts"))
    );
    acme.caught_up().await;
    assert_eq!(years(&acme, &campaign).await, [json!(["2026-01-01", 1, "122.000000", null])]);
    let path = format!("/v1/campaigns/{campaign}/corrections?date_from=2026-01-05&date_to=2026-01-05&time_zone=UTC");
    let corrections = acme.get(&path).await.expect(200).body["data"].clone();
    assert_eq!(corrections[1]["totals"]["revenue"]["amount"], "120.000000", "{corrections:#}");
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn lines_are_chunks_of_a_backfill(pool: PgPool) {
    let (system, acme, campaign) = shop(&pool).await;
    let line = |number: usize| {
        format!(
            "{{\"id\":\"{number}\",\"type\":\"click\",\"campaign_id\":\"{campaign}\",\"occurred_at\":\"2022-05-01T10:00:00Z\"}}\n"
        )
    };
    let text: String = (0..2_500).map(line).collect();
    let send = async |path: &str, text: &str| {
        let url = format!("{}/v1/observations?source=shop&{path}", system.command_url());
        let request = tests::client(Duration::from_mins(1)).post(url).bearer_auth(acme.key());
        let answer = request.header("content-type", "application/x-ndjson").body(text.to_owned()).send().await.unwrap();
        let text = answer.text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let lines = send("backfill=lines", &text).await;
    let told: Vec<_> = lines.iter().map(|line| (line["accepted"].clone(), line["replayed"].clone())).collect();
    let (new, again) = (json!(false), json!(true));
    let chunks = [1_000, 1_000, 500].map(|accepted| (json!(accepted), new.clone()));
    assert_eq!(told, [&chunks[..], &[(json!(2_500), Value::Null)]].concat());
    // The rest again, from the third chunk on, and then all with one line more.
    let rest: String = (2_000..2_500).map(line).collect();
    let lines = send("backfill=lines&chunk=3", &rest).await;
    assert_eq!((&lines[0]["accepted"], &lines[0]["replayed"]), (&json!(500), &again));
    let lines = send("backfill=lines", &(text + &line(2_500))).await;
    let end = lines.last().unwrap();
    assert_eq!((&end["done"], &end["resume_from"]), (&json!(false), &json!(2_001)));
    assert!(end["problem"]["type"].as_str().unwrap().ends_with("/backfill-chunk-taken"), "{end}");
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn an_importer_that_is_killed_is_run_again(pool: PgPool) {
    const LINES: u32 = 60_000;
    let (system, acme, campaign) = shop(&pool).await;
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("old.csv");
    let mut text = "id,type,campaign_id,occurred_at,dimensions.country\n".to_owned();
    for number in 0..LINES {
        let at = DateTime::<Utc>::from_timestamp(1_672_567_200, 0).unwrap() + TimeDelta::days((number % 365).into());
        writeln!(text, "o-{number},click,{campaign},{},DE", at.to_rfc3339()).unwrap();
    }
    std::fs::write(&file, text).unwrap();
    let url = system.command_url();
    let import = || {
        let file = file.to_str().unwrap();
        let arguments = ["import", "observations", file, "--source", "shop", "--backfill", "old", "--server", &url];
        let mut command = highwater(&arguments);
        command.env("HIGHWATER_API_KEY", acme.key());
        command
    };
    let before = acme.head().await;
    let mut killed = import().spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    // The importer says nothing on the way; the log does.
    while acme.head().await < before + 3 {
        assert!(Instant::now() < deadline, "nothing is recorded");
        tokio::task::yield_now().await;
    }
    killed.start_kill().unwrap();
    assert_eq!(killed.wait().await.unwrap().signal(), Some(9), "the import was through before it was killed");
    assert!(acme.head().await < before + 30);

    let output = import().output().await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains(&format!("{LINES} accepted, 0 duplicates, 0 conflicts, 0 rejected")), "{told}");
    assert_eq!(acme.head().await, before + 30);
    acme.caught_up_within(Duration::from_mins(1)).await;
    let path = format!(
        "/v1/campaigns/{campaign}/metrics?date_from=2023-01-01&date_to=2023-12-31&time_zone=UTC&granularity=all&measures=clicks"
    );
    assert_eq!(acme.get(&path).await.expect(200).body["data"][0]["clicks"], LINES);
    system.stop().await;
}
