//! A 304 is still true, as of later.

use chrono::TimeDelta;
use platform::clock::Clock as _;
use serde_json::json;
use sqlx::PgPool;
use tests::{Fill, TestSystem};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn etag_of_one_campaign_survives_changes_of_another(pool: PgPool) {
    let system = TestSystem::start(&pool, "2026-11-20T10:00:00Z").await;
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    let quiet = acme.campaign("Quiet").await;
    let busy = acme.campaign("Busy").await;
    acme.observe("tracker", &quiet, 1, 3).await;
    // The first number of a measure tells all campaigns of its source that more is expected: it comes before the tags.
    let (of_busy, now) = ([busy.clone()], system.clock.now());
    let fill =
        |observations, between| Fill { source: "tracker", campaigns: &of_busy, observations, per_event: 1, between };
    fill(10, (now - TimeDelta::hours(2), now - TimeDelta::hours(1))).append(&pool, &acme).await;
    acme.caught_up().await;

    let paths = [
        format!("/v1/campaigns/{quiet}"),
        format!("/v1/campaigns/{quiet}/metrics?date_from=2026-11-20&date_to=2026-11-20&granularity=hour&time_zone=UTC"),
    ];
    let mut tags = Vec::new();
    for path in &paths {
        let answer = acme.get(path).await.expect(200);
        tags.push((path, answer.header("etag"), answer.applied()));
    }

    fill(1_000, (now - TimeDelta::hours(1), now)).append(&pool, &acme).await;
    acme.caught_up().await;

    let elsewhere = system.second_process().await;
    for (path, tag, applied) in &tags {
        for reader in [&acme, &acme.on(elsewhere.addresses())] {
            let answer = reader.get_if_none_match(path, tag).await.expect(304);
            assert!(answer.applied() >= applied + 1_000, "Data-Position stood still: {}", answer.applied());
            assert_eq!(&answer.header("etag"), tag);
        }
    }
    elsewhere.stop().await;

    let restarted = system.restart().await;
    let acme = acme.on(restarted.addresses());
    for (path, tag, _) in &tags {
        acme.get_if_none_match(path, tag).await.expect(304);
    }

    // What touches the campaign moves its version.
    acme.observe("tracker", &quiet, 9_999, 1).await;
    acme.caught_up().await;
    let (path, tag, _) = &tags[1];
    acme.get_if_none_match(path, tag).await.expect(200);
    let renamed = json!({ "name": "Not so quiet" });
    acme.patch(&format!("/v1/campaigns/{quiet}"), &renamed).await.expect(200);
    acme.caught_up().await;
    let (path, tag, _) = &tags[0];
    acme.get_if_none_match(path, tag).await.expect(200);
    restarted.stop().await;
}
