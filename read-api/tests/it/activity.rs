//! Who did what to a campaign, read back.

use domain::campaign::{Budget, CampaignEvent};
use domain::money::Money;
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{Given, at, campaign, changed, clicks, created, pushing, sale_corrected};
use crate::support::{Reply, World};

const NOON: &str = "2026-11-22T12:00:00Z";

fn path(query: &str) -> String {
    format!("/v1/campaigns/{}/activity?{query}", campaign(1))
}

fn budget(euros: Option<i64>) -> Given {
    let budget =
        euros.map(|euros| Money { micros: euros * 1_000_000, currency: "EUR".parse().unwrap() }).map(Budget::total);
    changed(1, CampaignEvent::CampaignBudgetSet { budget, at: at(NOON) })
}

fn renamed(name: &str) -> Given {
    changed(1, CampaignEvent::CampaignRenamed { name: name.to_owned(), at: at(NOON) })
}

async fn shop(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shoes", &["crm"]), created(2, "Hats", &["crm"]), pushing(1, "shop", "crm")]).await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn activity_lists_changes_with_actor_and_values(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    world.given([clicks(1, 1, "2026-11-20T10:00:00Z", 5), budget(None)]).await;
    let position = world.append(world.workspace, [budget(Some(7_000))]).await;
    let key: String = sqlx::query_scalar("SELECT key_id::text FROM auth.keys").fetch_one(&world.admin).await.unwrap();
    let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    sqlx::query("UPDATE log.events SET metadata = $1::json WHERE workspace = $2 AND position = $3")
        .bind(
            json!({"actor": format!("key:{key}"), "correlation_id": trace, "causation_id": "b7ad6b7169203331",
                   "traceparent": format!("00-{trace}-{span}-01"), "reason": "More stock\nthan planned",
                   "note_url": "https://tracker.example/T-17"})
            .to_string(),
        )
        .bind(world.workspace)
        .bind(position)
        .execute(&world.admin)
        .await
        .unwrap();
    world.project().await;
    let mut reply = world.get(&path("limit=3")).await.ok();
    let actor = &mut reply.body["data"][0]["actor"];
    assert_eq!(actor["id"].take(), json!(key));
    insta::assert_json_snapshot!(reply.body, {".page.next_cursor" => "…"}, @r#"
    {
      "data": [
        {
          "actor": {
            "id": null,
            "kind": "key",
            "name": "one"
          },
          "causation_id": "b7ad6b7169203331",
          "changes": {
            "budget": {
              "from": null,
              "to": {
                "amount": "7000.000000",
                "currency": "EUR",
                "per": "total"
              }
            }
          },
          "correlation_id": "4bf92f3577b34da6a3ce929d0e0e4736",
          "kind": "budget_changed",
          "note_url": "https://tracker.example/T-17",
          "position": 7,
          "reason": "More stock\nthan planned",
          "recorded_at": "2026-11-22T12:00:00Z",
          "request_id": "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
        },
        {
          "actor": null,
          "causation_id": null,
          "changes": {
            "budget": {
              "from": {
                "amount": "5000.000000",
                "currency": "EUR",
                "per": "total"
              },
              "to": null
            }
          },
          "correlation_id": null,
          "kind": "budget_changed",
          "position": 6,
          "recorded_at": "2026-11-22T12:00:00Z",
          "request_id": null
        },
        {
          "actor": null,
          "causation_id": null,
          "correlation_id": null,
          "kind": "first_data_received",
          "position": 5,
          "recorded_at": "2026-11-22T12:00:00Z",
          "request_id": null,
          "source": "shop"
        }
      ],
      "meta": {
        "currency": "EUR",
        "epoch": 1,
        "last_changed_at": "2026-11-22T12:00:00Z",
        "model": "activity",
        "query": {
          "campaign_id": "00000000-0000-0000-0000-00000000ca01",
          "limit": 3
        },
        "time_zone": "Europe/Berlin",
        "version": "7@1795348800000000.0",
        "warnings": []
      },
      "page": {
        "next_cursor": "…"
      }
    }
    "#);
    assert_eq!(reply.header("data-freshness"), "lag=0.000");
    assert_eq!(reply.header("data-position"), "epoch=1, applied=7, head=7");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn corrections_of_one_request_are_one_entry(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    let corrects = ("refund-1", "order-1", "2026-11-21T08:00:00Z");
    let refund =
        sale_corrected((1, 1), corrects, "2026-11-20T08:07:30Z", (-666_667, Some(-9_900_000)), (333_333, Some(0)));
    world.given([refund]).await;
    let reply = world.get(&path("")).await.ok();
    assert_eq!(reply.column("kind"), ["first_data_received", "corrected", "created"].map(|kind| json!(kind)));
    assert_eq!(
        reply.body["data"][1],
        json!({
            "kind": "corrected", "recorded_at": NOON, "position": 5, "actor": null, "source": "shop",
            "corrections": {"conversion": 1},
            "added": {"conversions": -0.666_667, "revenue": {"amount": "-9.900000", "currency": "EUR"}},
            "correlation_id": null, "causation_id": null, "request_id": null
        })
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn pages_contain_the_whole_feed(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    world.given((0..5).map(|n| renamed(&format!("Name {n}")))).await;
    world.given([clicks(1, 1, "2026-11-20T10:00:00Z", 5)]).await;
    let whole = world.get(&path("")).await.ok();
    let mut paged = Vec::new();
    let mut reply: Reply = world.get(&path("limit=2")).await.ok();
    loop {
        paged.extend(reply.body["data"].as_array().unwrap().clone());
        let Some(link) = reply.headers.get("link") else { break };
        let next = link.to_str().unwrap().strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        reply = world.get(next).await.ok();
        assert!(paged.len() < 9);
    }
    assert_eq!((paged.len(), json!(paged)), (7, whole.body["data"].clone()));
    // A change of the page before is what the next one's began from.
    assert_eq!(paged[1]["changes"], json!({"name": {"from": "Name 3", "to": "Name 4"}}));
    assert_eq!(paged[5]["changes"], json!({"name": {"from": "Shoes", "to": "Name 0"}}));

    let cursor = world.get(&path("limit=2")).await.ok().body["page"]["next_cursor"].as_str().unwrap().to_owned();
    let other = world.get(&format!("/v1/campaigns/{}/activity?cursor={cursor}", campaign(2))).await;
    assert_eq!(other.problem(400), "cursor-mismatch");
    for (query, field) in [("cursor=eA", "cursor"), ("limit=0", "limit"), ("limit=1001", "limit")] {
        let reply = world.get(&path(query)).await;
        assert_eq!((reply.problem(400), reply.wrong_fields()), ("invalid-query", vec![field]));
    }
    let missing = world.get(&format!("/v1/campaigns/{}/activity", campaign(9))).await;
    assert_eq!(missing.problem(404), "not-found");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn version_moves_with_changes_only(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    world.given([clicks(1, 1, "2026-11-20T10:00:00Z", 5)]).await;
    let held = world.get(&path("")).await.ok().etag().to_owned();
    let unchanged = async |world: &World| world.get_with(&path(""), &[("if-none-match", &held)]).await.status == 304;
    world.given([clicks(1, 1, "2026-11-20T10:00:00Z", 5), clicks(1, 2, "2026-11-20T10:00:00Z", 1)]).await;
    world.set_clock("2026-11-24T12:00:00Z");
    assert!(unchanged(&world).await);
    world.given([renamed("Boots")]).await;
    assert!(!unchanged(&world).await);
}
