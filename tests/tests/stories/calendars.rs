//! A workspace has a calendar of its own, and its reports follow it.

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Answer, Caller, TestSystem};

const NOW: &str = "2026-11-20T10:00:00Z";

/// The calendar of the National Retail Federation.
fn retail() -> Value {
    json!({"week_start": "sunday", "year_start": "february", "retail_weeks": "4-5-4"})
}

/// Reads with the token of a command, so that the answer shows it.
async fn get_after(caller: &Caller, command: &Answer, path: &str) -> Answer {
    let token = command.header("consistency-token");
    caller.get_with(path, &[("consistency-token", &token), ("prefer", "wait=5")]).await.expect(200)
}

/// The buckets of a report, each with a `+` where it is only a part.
fn buckets(report: &Answer) -> Vec<String> {
    let rows = report.body["data"].as_array().unwrap();
    let label = |row: &Value| {
        let partial = if row["partial"] == json!(true) { "+" } else { "" };
        format!("{}{partial}", row["bucket"].as_str().unwrap())
    };
    rows.iter().map(label).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reports_follow_the_calendar_of_the_workspace(pool: PgPool) {
    let system = TestSystem::start(&pool, NOW).await;
    let (acme, other) = (system.workspace("acme").await, system.workspace("other").await);
    acme.push_source("tracker").await;
    let campaign = acme.campaign("Winter").await;
    acme.observe("tracker", &campaign, 1, 3).await;
    acme.caught_up().await;
    other.caught_up().await;
    let numbers = |granularity: &str| {
        format!(
            "/v1/campaigns/{campaign}/metrics?date_from=2026-10-01&date_to=2026-12-31&time_zone=UTC&measures=clicks\
             &fill=zero&granularity={granularity}"
        )
    };

    let shown = acme.get("/v1/workspace").await.expect(200);
    let iso = json!({"week_start": "monday", "year_start": "january", "retail_weeks": null});
    assert_eq!(shown.body["data"]["calendar"], iso);
    assert_eq!(shown.body["data"]["time_zone"], "UTC");
    assert_eq!(shown.body["data"]["currency"], "EUR");
    assert_eq!(shown.body["data"]["command_api"], json!(system.command_url()));
    acme.get_if_none_match("/v1/workspace", &shown.header("etag")).await.expect(304);
    let before = acme.get(&numbers("quarter")).await.expect(200);
    assert_eq!(buckets(&before), ["2026-10-01"]);
    assert_eq!(buckets(&acme.get(&numbers("month")).await.expect(200)), ["2026-10-01", "2026-11-01", "2026-12-01"]);
    let by_day = acme.get(&numbers("day")).await.expect(200);

    let set = acme.put("/v1/workspace/calendar", &retail()).await.expect(200);
    let now_shown = get_after(&acme, &set, "/v1/workspace").await;
    assert_eq!(now_shown.body["data"]["calendar"], retail());
    acme.get_if_none_match("/v1/workspace", &shown.header("etag")).await.expect(200);
    let after = acme.get_if_none_match(&numbers("quarter"), &before.header("etag")).await.expect(200);
    assert_eq!(buckets(&after), ["2026-10-01+", "2026-11-01+"]);
    assert_eq!(after.body["meta"]["query"]["retail_weeks"], "4-5-4");
    let months = acme.get(&numbers("month")).await.expect(200);
    assert_eq!(buckets(&months), ["2026-10-01+", "2026-10-04", "2026-11-01", "2026-11-29+"]);
    // A query says otherwise, and days belong to no calendar.
    let gregorian = acme.get(&format!("{}&retail_weeks=none&year_start=january", numbers("quarter"))).await.expect(200);
    assert_eq!(gregorian.header("etag").split(':').next_back(), before.header("etag").split(':').next_back());
    assert_eq!(buckets(&gregorian), ["2026-10-01"]);
    acme.get_if_none_match(&numbers("day"), &by_day.header("etag")).await.expect(304);
    let untouched = other.get("/v1/workspace").await.expect(200);
    assert_eq!(untouched.body["data"]["calendar"], iso);

    // The same again appends nothing.
    let head = acme.head().await;
    acme.put("/v1/workspace/calendar", &retail()).await.expect(200);
    assert_eq!(acme.head().await, head);
    system.verify().await;
    system.replay().await;
    let replayed = acme.get("/v1/workspace").await.expect(200);
    assert_eq!(replayed.body["data"]["calendar"], retail());
    // The position of the calendar is rebuilt, too.
    assert_eq!(replayed.body["meta"]["version"], now_shown.body["meta"]["version"]);
    assert_eq!(buckets(&acme.get(&numbers("quarter")).await.expect(200)), ["2026-10-01+", "2026-11-01+"]);
    let back = acme.put("/v1/workspace/calendar", &iso).await.expect(200);
    assert_eq!(get_after(&acme, &back, "/v1/workspace").await.body["data"]["calendar"], iso);
    assert_eq!(buckets(&acme.get(&numbers("quarter")).await.expect(200)), ["2026-10-01"]);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn wrong_calendars_are_refused_by_member(pool: PgPool) {
    let system = TestSystem::start(&pool, NOW).await;
    let acme = system.workspace("acme").await;
    for (member, value, remedy) in [
        ("week_start", "sun", "must be one of monday, tuesday"),
        ("year_start", "2", "must be one of january, february"),
        ("retail_weeks", "4-4-4", "is none of 4-4-5, 4-5-4 and 5-4-4"),
    ] {
        let mut calendar = retail();
        calendar[member] = json!(value);
        let refused = acme.put("/v1/workspace/calendar", &calendar).await.expect(422);
        assert!(refused.problem().ends_with("/invalid-body"), "{}", refused.body);
        let error = &refused.body["errors"][0];
        assert_eq!(error["field"], member);
        assert!(error["detail"].as_str().unwrap().starts_with(remedy), "{error}");
    }
    acme.with_scopes(&["read"]).await.put("/v1/workspace/calendar", &retail()).await.expect(403);
    system.stop().await;
}
