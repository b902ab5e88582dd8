//! One campaign and many.

use domain::campaign::CampaignEvent;
use domain::channel::Channel;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::World;
use crate::support::given::{at, campaign, changed, clicks, created, pushing};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn campaign_shows_its_current_state(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shoes", &["paid_search", "email"])]).await;
    let reply = world.get(&format!("/v1/campaigns/{}", campaign(1))).await.ok();
    insta::assert_json_snapshot!(reply.body, @r#"
    {
      "data": {
        "attributes": {
          "region": "DACH"
        },
        "budget": {
          "amount": "5000.000000",
          "currency": "EUR",
          "per": "total"
        },
        "campaign_id": "00000000-0000-0000-0000-00000000ca01",
        "changed_at": "2026-11-22T12:00:00Z",
        "channels": [
          "paid_search",
          "email"
        ],
        "created_at": "2026-11-22T12:00:00Z",
        "created_by_source": null,
        "currency": "EUR",
        "ends_on": null,
        "etag": "\"1.1795348800000000\"",
        "external_ids": [],
        "name": "Shoes",
        "starts_on": "2026-12-01",
        "status": "draft",
        "time_zone": "Europe/Berlin",
        "version": 1
      },
      "meta": {
        "currency": "EUR",
        "epoch": 1,
        "last_changed_at": "2026-11-22T12:00:00Z",
        "model": "campaigns",
        "query": {
          "campaign_id": "00000000-0000-0000-0000-00000000ca01"
        },
        "time_zone": "Europe/Berlin",
        "version": "2@1795348800000000.0",
        "warnings": []
      }
    }
    "#);
    assert_eq!(reply.header("data-freshness"), "lag=0.000");

    world.given([changed(1, CampaignEvent::CampaignLaunched { at: at("2026-11-22T12:00:00Z") })]).await;
    let status =
        async || world.get(&format!("/v1/campaigns/{}", campaign(1))).await.ok().body["data"]["status"].clone();
    assert_eq!(status().await, json!("scheduled"));
    world.set_clock("2026-11-30T23:00:00Z");
    assert_eq!(status().await, json!("active"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn lists_apply_filters(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let now = at("2026-11-22T12:00:00Z");
    let email: Channel = "email".parse().unwrap();
    world
        .given([
            created(1, "Summer Shoes", &["paid_search", "email"]),
            created(2, "Winter shoes 100%", &["paid_search"]),
            created(3, "Hats_and_caps", &["display"]),
            changed(2, CampaignEvent::CampaignLaunched { at: now }),
            changed(3, CampaignEvent::CampaignPaused { at: now }),
            changed(3, CampaignEvent::CampaignChannelsSet { channels: vec![email], at: now }),
            pushing(1, "tracker", "paid_search"),
            pushing(2, "mailer", "email"),
            clicks(1, 1, "2026-11-20T10:00:00Z", 1),
            clicks(2, 3, "2026-11-20T10:00:00Z", 1),
        ])
        .await;
    let names = async |query: &str| {
        let reply = world.get(&format!("/v1/campaigns?{query}")).await.ok();
        let names = reply.column("name");
        names
            .iter()
            .map(|name| name.as_str().unwrap().split([' ', '_']).next().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names("").await, "Hats Summer Winter");
    assert_eq!(names("status=draft").await, "Summer");
    assert_eq!(names("status=scheduled,paused").await, "Hats Winter");
    assert_eq!(names("status=active").await, "");
    assert_eq!(names("channel=email").await, "Hats Summer");
    assert_eq!(names("channel=paid_search,email&status=draft").await, "Summer");
    assert_eq!(names("source=mailer").await, "Hats");
    assert_eq!(names("source=mailer,tracker").await, "Hats Summer");
    assert_eq!(names("q=SHOES").await, "Summer Winter");
    assert_eq!(names("q=100%25").await, "Winter");
    assert_eq!(names("q=_").await, "Hats");
    assert_eq!(names("q=nothing").await, "");
    world.set_clock("2026-12-01T00:00:00Z");
    assert_eq!(names("status=active").await, "Winter");
    assert_eq!(world.get("/v1/campaigns?source=nobody").await.ok().warnings(), ["unknown_source"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn names_of_sources_may_hold_commas(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            created(2, "Hats", &["email"]),
            pushing(1, "Shoes, EU | Smart", "paid_search"),
            pushing(2, "EU | Smart", "email"),
            clicks(1, 1, "2026-11-20T10:00:00Z", 1),
            clicks(2, 2, "2026-11-20T10:00:00Z", 1),
        ])
        .await;
    let names = async |query: &str| world.get(&format!("/v1/campaigns?{query}")).await.ok().column("name");
    assert_eq!(names("source=Shoes%2C%20EU%20%7C%20Smart").await, [json!("Shoes")]);
    assert_eq!(names("source=Shoes%2C+EU+%7C+Smart,EU+%7C+Smart").await, [json!("Hats"), json!("Shoes")]);
    assert_eq!(names("channel=email%2Cpaid_search").await.len(), 2);

    let first = world.get("/v1/campaigns?source=Shoes%2C+EU+%7C+Smart,EU+%7C+Smart&limit=1").await.ok();
    let next = first.header("link");
    assert!(next.contains("source=Shoes%2C+EU+%7C+Smart,EU+%7C+Smart&"), "{next}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn list_shows_only_requested_fields(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shoes", &["paid_search"])]).await;
    let reply = world.get("/v1/campaigns?fields=budget,name,status,name&limit=1").await.ok();
    insta::assert_json_snapshot!(reply.body, @r#"
    {
      "data": [
        {
          "budget": {
            "amount": "5000.000000",
            "currency": "EUR",
            "per": "total"
          },
          "name": "Shoes",
          "status": "draft"
        }
      ],
      "meta": {
        "currency": "EUR",
        "epoch": 1,
        "last_changed_at": "2026-11-22T12:00:00Z",
        "model": "campaigns",
        "query": {
          "fields": [
            "name",
            "status",
            "budget"
          ],
          "limit": 1,
          "sort": "name"
        },
        "time_zone": "Europe/Berlin",
        "version": "2@1795348800000000.0",
        "warnings": []
      },
      "page": {
        "next_cursor": null
      }
    }
    "#);
}
