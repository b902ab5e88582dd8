//! A 304 is still true, as of later.

use chrono::TimeDelta;
use platform::clock::Clock as _;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, Fill, TestSystem};

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

/// What a dashboard polls: a report of closed days in a zone, of all, of one campaign, or of one source.
async fn closed_days(acme: &Caller, zone: &str, filters: &Value, group_by: &[&str]) -> String {
    let report = json!({
        "measures": ["clicks", "spend"], "date_from": "2026-11-01", "date_to": "2026-11-19", "granularity": "day",
        "time_zone": zone, "filters": filters, "group_by": group_by
    });
    acme.post_read("/v1/reports", &report).await.expect(200).header("content-location")
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn report_of_final_days_keeps_its_etag_while_today_is_counted(pool: PgPool) {
    polls_of_closed_days(pool, 3_600, "final", TimeDelta::hours(4)).await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn report_of_provisional_days_keeps_its_etag_while_today_is_counted(pool: PgPool) {
    // Of what is not final, a late source would be told.
    polls_of_closed_days(pool, 28 * 86_400, "provisional", TimeDelta::minutes(20)).await;
}

/// A workspace with a tracker of clicks, and an account that states days of Tokyo.
struct Shop {
    acme: Caller,
    campaigns: [String; 2],
}

impl Shop {
    /// The account may restate its days for a horizon.
    async fn open(acme: Caller, horizon_s: u32) -> Self {
        acme.push_source("tracker").await;
        let account = json!({
            "name": "ads", "channel": "paid_search", "kind": "pull", "role": "primary", "time_zone": "Asia/Tokyo",
            "currency": "EUR", "expected_delay_s": 900, "restatement_horizon_s": horizon_s
        });
        acme.post("/v1/sources", &account).await.expect(201);
        let campaigns = [acme.campaign("Winter").await, acme.campaign("Spring").await];
        let shop = Self { acme, campaigns };
        for (n, day) in ["2026-11-14", "2026-11-18"].into_iter().enumerate() {
            shop.state(day, 10).await;
            shop.observe(u32::try_from(n).unwrap(), &format!("{day}T12:00:00Z")).await;
        }
        shop.observe(2, "2026-11-20T20:00:00Z").await;
        shop.sync("ads", "2026-11-20T20:50:00Z").await;
        shop.sync("tracker", "2026-11-20T20:00:00Z").await;
        shop.acme.caught_up().await;
        shop
    }

    async fn state(&self, day: &str, micros: u32) {
        let stated = self.campaigns.iter().map(
            |campaign| json!({ "campaign_id": campaign, "bucket": day, "measures": { "spend": format!("{micros}") } }),
        );
        let batch = json!({
            "source": "ads", "grain": "day", "time_zone": "Asia/Tokyo", "statements": stated.collect::<Vec<_>>()
        });
        self.acme.post("/v1/statements", &batch).await.expect(200);
    }

    async fn observe(&self, id: u32, at: &str) {
        let items = self.campaigns.iter().enumerate().map(|(n, campaign)| {
            json!({ "id": format!("{id}-{n}"), "campaign_id": campaign, "type": "click", "occurred_at": at })
        });
        let batch = json!({ "source": "tracker", "observations": items.collect::<Vec<_>>() });
        assert_eq!(self.acme.post("/v1/observations", &batch).await.expect(200).body["accepted"], 2);
    }

    async fn sync(&self, source: &str, through: &str) {
        let run = json!({ "status": "completed", "complete_through": through });
        self.acme.post(&format!("/v1/sources/{source}/syncs"), &run).await.expect(200);
    }
}

/// 24 polls while today is counted, with time passing after half of them. The account may restate its days for a horizon.
async fn polls_of_closed_days(pool: PgPool, horizon_s: u32, finality: &str, passing: TimeDelta) {
    let system = TestSystem::start(&pool, "2026-11-20T21:00:00Z").await;
    let shop = Shop::open(system.workspace("acme").await, horizon_s).await;
    let Shop { acme, campaigns } = &shop;
    let paths = [
        closed_days(acme, "Europe/Berlin", &json!({}), &[]).await,
        closed_days(acme, "America/New_York", &json!({ "campaign_id": [campaigns[0]] }), &[]).await,
        closed_days(acme, "Asia/Kolkata", &json!({}), &["source"]).await,
    ];
    let elsewhere = system.second_process().await;
    let readers = [acme.clone(), acme.on(elsewhere.addresses())];
    let mut tags = Vec::new();
    for path in &paths {
        let answer = acme.get(path).await.expect(200);
        assert_eq!(answer.body["meta"]["freshness"]["state"], finality, "{}", answer.body);
        tags.push((path, answer.header("etag"), answer.body));
    }
    let began = system.clock.now();
    for poll in 0..23 {
        shop.observe(100 + poll, "2026-11-20T20:30:00Z").await;
        // Complete beyond the range already: nothing that the answers show changes.
        let now = if poll >= 12 { began + passing } else { began };
        if poll == 12 {
            system.clock.advance(passing);
            shop.sync("tracker", &(now - TimeDelta::minutes(15)).to_rfc3339()).await;
            shop.state("2026-11-20", poll).await;
        }
        shop.sync("ads", &(now - TimeDelta::minutes(10)).to_rfc3339()).await;
        acme.caught_up().await;
        for (path, tag, _) in &tags {
            for reader in &readers {
                reader.get_if_none_match(path, tag).await.expect(304);
            }
        }
    }
    // A tag that holds means the same body, also in a process that has not computed it before.
    let third = system.second_process().await;
    for (path, tag, body) in &tags {
        let answer = acme.on(third.addresses()).get(path).await.expect(200);
        assert_eq!((&answer.header("etag"), &answer.body), (tag, body));
    }

    // A late click of a closed day moves what shows it, and nothing else.
    shop.observe(900, "2026-11-18T12:00:00Z").await;
    acme.caught_up().await;
    for (path, tag, _) in &tags {
        acme.get_if_none_match(path, tag).await.expect(200);
    }
    // So does a restated day, and completeness that is taken back.
    let tag = async |path: &str| acme.get(path).await.expect(200).header("etag");
    let before = tag(&paths[0]).await;
    shop.state("2026-11-19", 40).await;
    acme.caught_up().await;
    let restated = tag(&paths[0]).await;
    let reopened = json!({ "status": "reopened", "complete_through": "2026-11-10T15:00:00Z" });
    acme.post("/v1/sources/ads/syncs", &reopened).await.expect(200);
    acme.caught_up().await;
    let answer = acme.get(&paths[0]).await.expect(200);
    assert_eq!(answer.body["meta"]["freshness"]["state"], "provisional");
    assert!(before != restated && restated != answer.header("etag"));
    for process in [third, elsewhere, system] {
        process.stop().await;
    }
}
