//! A page asks for last month each morning, and compares the running week with the one before.

use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Answer, Caller, TestSystem};

async fn state_days(caller: &Caller, campaign: &str, days: &[(&str, u64)]) {
    let statement =
        |(day, clicks): &(&str, u64)| json!({"campaign_id": campaign, "bucket": day, "measures": {"clicks": clicks}});
    let statements: Vec<Value> = days.iter().map(statement).collect();
    let body = json!({"source": "google_ads", "grain": "day", "time_zone": "UTC", "statements": statements});
    caller.post("/v1/statements", &body).await.expect(200);
    caller.caught_up().await;
}

/// The clicks of the first row, and those that they are compared with.
fn clicks(answer: &Answer) -> (Value, Value) {
    let row = &answer.body["data"][0];
    (row["clicks"].clone(), row["compared"]["measures"]["clicks"]["value"].clone())
}

fn unequal(answer: &Answer) -> Option<&str> {
    let warnings = answer.body["meta"]["warnings"].as_array().unwrap();
    warnings.iter().find(|warning| warning["code"] == "unequal_ranges").and_then(|warning| warning["detail"].as_str())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn last_month_is_compared_with_the_month_before(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-03-31T23:59:59Z").await;
    let acme = system.workspace("acme").await;
    acme.pull_source("google_ads").await;
    let campaign = acme.campaign("Spring").await;
    let days = [("2026-01-29", 1_000), ("2026-02-01", 10), ("2026-02-28", 1), ("2026-03-01", 200), ("2026-03-31", 5)];
    state_days(&acme, &campaign, &days).await;
    let path = format!(
        "/v1/campaigns/{campaign}/metrics?range=last_month&granularity=month&measures=clicks&compare_to=previous_period"
    );

    let february = acme.get(&path).await.expect(200);
    assert_eq!(clicks(&february), (json!(11), json!(1_000)));
    assert_eq!(unequal(&february), Some("The range has 28 days, the one that it is compared with 31 days."));
    acme.get_if_none_match(&path, &february.header("etag")).await.expect(304);
    // The same address after midnight: the first of April.
    system.clock.set("2026-04-01T00:00:00Z".parse().unwrap());
    let march = acme.get_if_none_match(&path, &february.header("etag")).await.expect(200);
    assert_eq!(march.body["meta"]["dates"], json!({"date_from": "2026-03-01", "date_to": "2026-03-31"}));
    assert_eq!(march.body["meta"]["query"]["range"], "last_month");
    assert_eq!(clicks(&march), (json!(205), json!(11)));
    assert_eq!(march.body["data"][0]["compared"]["bucket"], "2026-02-01");
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn running_week_is_compared_with_as_much_of_the_one_before(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-30T18:00:00Z").await;
    let acme = system.workspace("acme").await;
    acme.pull_source("google_ads").await;
    let campaign = acme.campaign("Winter").await;
    let before: Vec<String> = (23..30).map(|day| format!("2026-11-{day}")).collect();
    let days: Vec<_> = before.iter().map(|day| (day.as_str(), 10)).chain([("2026-11-30", 9)]).collect();
    state_days(&acme, &campaign, &days).await;
    let week = format!(
        "/v1/campaigns/{campaign}/metrics?date_from=2026-11-30&date_to=2026-12-06&granularity=week&measures=clicks\
         &compare_to=previous_period"
    );
    let elapsed = format!("{week}&compare_elapsed=true");
    assert_eq!(clicks(&acme.get(&week).await.expect(200)), (json!(9), json!(70)));
    // The source states days, and Monday is not over.
    let monday = acme.get(&elapsed).await.expect(200);
    assert_eq!(monday.body["data"], json!([]));
    acme.get_if_none_match(&elapsed, &monday.header("etag")).await.expect(304);
    system.clock.set("2026-12-01T00:00:00Z".parse().unwrap());
    let tuesday = acme.get_if_none_match(&elapsed, &monday.header("etag")).await.expect(200);
    assert_eq!(clicks(&tuesday), (json!(9), json!(10)));
    assert_eq!(tuesday.body["data"][0]["partial"], json!(true));
    assert_eq!(tuesday.body["meta"]["compared"]["elapsed_through"], "2026-12-01T00:00:00Z");
    assert_eq!(unequal(&tuesday), None);
    system.stop().await;
}
