//! What corrections did, read back.

use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{Given, campaign, clicks, created, pushing, sale_corrected};
use crate::support::{Reply, World};

fn path(query: &str) -> String {
    format!("/v1/campaigns/{}/corrections?{query}", campaign(1))
}

/// A refund of a sale in the morning of 2026-11-20, Berlin time.
fn refund(id: &str, when: &str) -> Given {
    let corrects = (id, "order-1", "2026-11-21T08:00:00Z");
    sale_corrected((1, 1), corrects, when, (-666_667, Some(-9_900_000)), (333_333, Some(50_000_000)))
}

async fn shop(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shoes", &["crm"]), created(2, "Hats", &["crm"]), pushing(1, "shop", "crm")]).await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn correction_lists_its_changes_by_bucket(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    world.given([refund("refund-1", "2026-11-20T08:07:30Z")]).await;
    let reply = world.get(&path("date_from=2026-11-20&date_to=2026-11-20")).await.ok();
    insta::assert_json_snapshot!(reply.body, @r#"
    {
      "data": [
        {
          "bucket": "2026-11-20T08:00:00Z",
          "changes": {
            "conversions": -0.666667,
            "revenue": {
              "amount": "-9.900000",
              "currency": "EUR"
            }
          },
          "corrected_at": "2026-11-21T08:00:00Z",
          "correction_id": "refund-1",
          "occurred_at": "2026-11-20T08:07:30Z",
          "original_id": "order-1",
          "position": 5,
          "recorded_at": "2026-11-22T12:00:00Z",
          "source": "shop",
          "totals": {
            "conversions": 0.333333,
            "revenue": {
              "amount": "50.000000",
              "currency": "EUR"
            }
          },
          "type": "conversion"
        }
      ],
      "meta": {
        "currency": "EUR",
        "epoch": 1,
        "last_changed_at": "2026-11-22T12:00:00Z",
        "model": "corrections",
        "query": {
          "campaign_id": "00000000-0000-0000-0000-00000000ca01",
          "date_from": "2026-11-20",
          "date_to": "2026-11-20",
          "limit": 100,
          "time_zone": "Europe/Berlin"
        },
        "time_zone": "Europe/Berlin",
        "version": "5@1795348800000000.0",
        "warnings": []
      },
      "page": {
        "next_cursor": null
      }
    }
    "#);
    assert_eq!(reply.header("data-freshness"), "lag=0.000");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn correction_omits_unchanged_measures(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    let sold = "2026-11-20T08:07:30Z";
    let of = |id| (id, "order-1", "2026-11-21T08:00:00Z");
    world
        .given([
            sale_corrected((1, 1), of("approved"), sold, (0, None), (1_000_000, None)),
            sale_corrected((1, 1), of("valued"), sold, (0, Some(0)), (1_000_000, Some(0))),
            sale_corrected((1, 1), of("rejected"), sold, (-1_000_000, None), (0, Some(0))),
            // Of another campaign.
            sale_corrected((1, 2), of("other"), sold, (-1_000_000, None), (0, Some(0))),
        ])
        .await;
    let reply = world.get(&path("date_from=2026-11-20")).await.ok();
    let zero = json!({"amount": "0.000000", "currency": "EUR"});
    assert_eq!(reply.column("correction_id"), ["approved", "valued", "rejected"].map(|id| json!(id)));
    assert_eq!(reply.column("changes"), [json!({}), json!({"revenue": zero}), json!({"conversions": -1})]);
    assert_eq!(
        reply.column("totals"),
        [
            json!({"conversions": 1, "revenue": null}),
            json!({"conversions": 1, "revenue": zero}),
            json!({"conversions": 0, "revenue": zero})
        ]
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn range_selects_local_days_of_the_originals(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    // The 20th in Berlin is 23:00 of the 19th to 23:00 of the 20th.
    for (id, when) in [
        ("before", "2026-11-19T22:59:59Z"),
        ("first", "2026-11-19T23:00:00Z"),
        ("last", "2026-11-20T22:59:59Z"),
        ("after", "2026-11-20T23:00:00Z"),
    ] {
        world.given([refund(id, when)]).await;
    }
    let ids = async |query: &str| world.get(&path(query)).await.ok().column("correction_id");
    assert_eq!(ids("date_from=2026-11-20&date_to=2026-11-20").await, ["first", "last"].map(|id| json!(id)));
    assert_eq!(
        ids("date_from=2026-11-20&date_to=2026-11-20&time_zone=UTC").await,
        ["last", "after"].map(|id| json!(id))
    );
    assert_eq!(ids("").await.len(), 4);
    assert_eq!(ids("date_to=2026-10-31").await.len(), 0);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn pages_are_the_whole_list(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    for n in 0..7 {
        world.given([refund(&format!("refund-{n}"), &format!("2026-11-20T08:{:02}:00Z", 59 - 7 * n))]).await;
    }
    let whole: Vec<Value> = world.get(&path("date_from=2026-11-20")).await.ok().column("correction_id");
    let buckets = world.get(&path("date_from=2026-11-20")).await.ok().column("bucket");
    assert!(buckets.is_sorted_by_key(|bucket| bucket.as_str().unwrap().to_owned()));
    let mut paged = Vec::new();
    let mut reply: Reply = world.get(&path("date_from=2026-11-20&limit=2")).await.ok();
    loop {
        paged.extend(reply.column("correction_id"));
        let Some(link) = reply.headers.get("link") else { break };
        let next = link.to_str().unwrap().strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        reply = world.get(next).await.ok();
        assert!(paged.len() < 8);
    }
    assert_eq!(reply.body["page"]["next_cursor"], json!(null));
    assert_eq!((paged.len(), &paged), (7, &whole));

    let cursor = world.get(&path("date_from=2026-11-20&limit=2")).await.ok().body["page"]["next_cursor"].clone();
    let cursor = cursor.as_str().unwrap();
    let other_query = world.get(&path(&format!("date_from=2026-11-19&cursor={cursor}"))).await;
    assert_eq!(other_query.problem(400), "cursor-mismatch");
    assert_eq!(world.get(&path("cursor=eA")).await.problem(400), "invalid-query");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn version_moves_with_corrections_in_the_range(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    world.given([refund("refund-1", "2026-11-20T08:07:30Z")]).await;
    let path = path("date_from=2026-11-01&date_to=2026-11-21&time_zone=UTC");
    let held = world.get(&path).await.ok().etag().to_owned();
    let unchanged = async |world: &World| world.get_with(&path, &[("if-none-match", &held)]).await.status == 304;
    assert!(unchanged(&world).await);
    // Another campaign, and another month, leave it alone.
    world.given([clicks(1, 2, "2026-11-20T08:00:00Z", 1), refund("refund-2", "2026-10-20T08:07:30Z")]).await;
    assert!(unchanged(&world).await);
    world.given([refund("refund-3", "2026-11-02T08:07:30Z")]).await;
    assert!(!unchanged(&world).await);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn unknown_campaign_has_no_corrections(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = shop(options, connect).await;
    let reply = world.get(&format!("/v1/campaigns/{}/corrections", campaign(9))).await;
    assert_eq!(reply.problem(404), "not-found");
    assert_eq!(world.get(&path("")).await.ok().body["data"], json!([]));
    let reply = world.get(&path("date_from=2026-13-01&limit=0&time_zone=Berlin")).await;
    assert_eq!(reply.problem(400), "invalid-query");
    let mut fields = reply.wrong_fields();
    fields.sort_unstable();
    assert_eq!(fields, ["date_from", "limit", "time_zone"]);
}
