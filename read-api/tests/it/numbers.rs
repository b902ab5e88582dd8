//! Sums, roles, currencies, quotients.

use domain::bucket::Grain;
use domain::measure::Measure;
use domain::observation::ObservationType::{Click, Conversion, Impression, Spend};
use domain::source::{SourceKind, SourceRole};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::World;
use crate::support::given::{
    campaign, clicks, completed, created, days, definition, observed, pulled, pushing, registered,
};

/// A campaign with a push source, a pulled one, and a reference.
async fn shop(world: &mut World) {
    let mut analytics = definition("analytics", "organic_social", SourceKind::Push);
    analytics.role = SourceRole::Reference;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pushing(1, "tracker", "paid_search"),
            pulled(2, "google_ads", "paid_search"),
            registered(3, analytics),
            observed(
                1,
                1,
                &[
                    (Conversion, "2026-11-20T10:05:00Z", 1_500_000, Some(30_000_000)),
                    (Conversion, "2026-11-21T22:59:59Z", 1_000_000, Some(20_000_000)),
                ],
            ),
            days(
                2,
                1,
                &[
                    (
                        "2026-11-20",
                        &[(Measure::Impressions, 3_000), (Measure::Clicks, 40), (Measure::Spend, 12_345_678)],
                    ),
                    ("2026-11-21", &[(Measure::Impressions, 1_000), (Measure::Clicks, 0), (Measure::Spend, 1_000_000)]),
                ],
            ),
            observed(3, 1, &[(Click, "2026-11-20T10:00:00Z", 55, None), (Impression, "2026-11-20T10:00:00Z", 7, None)]),
            completed(1, "2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z", Grain::QuarterHour),
            completed(2, "2026-11-22T06:00:00Z", "2026-11-22T00:00:00Z", Grain::Day),
        ])
        .await;
}

fn metrics(query: &str) -> String {
    format!("/v1/campaigns/{}/metrics?date_from=2026-11-20&date_to=2026-11-21&{query}", campaign(1))
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn answer_states_freshness_completeness_and_finality(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    let reply = world.get(&metrics("time_zone=UTC&measures=impressions,clicks,spend,conversions,cpc,ctr")).await.ok();
    insta::assert_json_snapshot!(reply.body, @r#"
    {
      "data": [
        {
          "bucket": "2026-11-20",
          "clicks": 40,
          "conversions": 1.5,
          "cpc": {
            "amount": "0.308642",
            "currency": "EUR"
          },
          "ctr": 0.013333,
          "impressions": 3000,
          "spend": {
            "amount": "12.345678",
            "currency": "EUR"
          },
          "state": "provisional"
        },
        {
          "bucket": "2026-11-21",
          "clicks": 0,
          "conversions": 1,
          "cpc": null,
          "ctr": 0,
          "impressions": 1000,
          "spend": {
            "amount": "1.000000",
            "currency": "EUR"
          },
          "state": "provisional"
        }
      ],
      "meta": {
        "currency": "EUR",
        "epoch": 1,
        "freshness": {
          "complete_through": "2026-11-21",
          "final_through": null,
          "final_through_by_measure": {
            "clicks": null,
            "conversions": null,
            "impressions": null,
            "spend": null
          },
          "first_incomplete": null,
          "sources": [
            {
              "complete_through": null,
              "final_through": null,
              "parked": 0,
              "role": "reference",
              "source": "analytics",
              "status": "never"
            },
            {
              "complete_through": "2026-11-22T00:00:00Z",
              "final_through": "2026-11-19T00:00:00Z",
              "parked": 0,
              "role": "primary",
              "source": "google_ads",
              "status": "ok"
            },
            {
              "complete_through": "2026-11-22T00:00:00Z",
              "final_through": "2026-11-19T00:00:00Z",
              "parked": 0,
              "role": "primary",
              "source": "tracker",
              "status": "ok"
            }
          ],
          "state": "provisional"
        },
        "last_changed_at": "2026-11-22T12:00:00Z",
        "model": "campaign_metrics",
        "query": {
          "data_state": "all",
          "date_from": "2026-11-20",
          "date_to": "2026-11-21",
          "filters": {
            "campaign_id": [
              "00000000-0000-0000-0000-00000000ca01"
            ]
          },
          "granularity": "day",
          "group_by": [],
          "limit": 100,
          "measures": [
            "impressions",
            "clicks",
            "conversions",
            "spend",
            "ctr",
            "cpc"
          ],
          "order_by": [],
          "time_zone": "UTC"
        },
        "time_zone": "UTC",
        "version": "8@1795348800000000.1795305600.0.a712923d11cebbcd",
        "warnings": []
      },
      "page": {
        "next_cursor": null
      }
    }
    "#);
    insta::assert_snapshot!(
        format!(
            "{}\n{}\n{}\n{}\n{}",
            reply.etag(),
            reply.header("cache-control"),
            reply.header("vary"),
            reply.header("data-position"),
            reply.header("data-freshness"),
        ),
        @r#"
        W/"campaign_metrics:1:8@1795348800000000.1795305600.0.a712923d11cebbcd:7ad4c95d84116256"
        private, max-age=0, stale-while-revalidate=5
        Accept, Accept-Encoding, Authorization, Consistency-Token
        epoch=1, applied=10, head=10
        state=provisional, lag=0.000, complete_through=@1795305600
        "#
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reference_numbers_stand_beside_the_totals(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    let total = world.get(&metrics("time_zone=UTC&granularity=all&measures=clicks,impressions")).await.ok();
    assert_eq!(total.body["data"], json!([{"clicks": 40, "impressions": 4000, "state": "provisional"}]));

    let by_source =
        world.get(&metrics("time_zone=UTC&granularity=all&group_by=source&measures=clicks,revenue")).await.ok();
    assert_eq!(
        by_source.body["data"],
        json!([
            {"source": "analytics", "role": "reference", "clicks": 55, "revenue": null, "state": "provisional",
             "first_incomplete": "2026-11-20T00:00:00Z"},
            {"source": "google_ads", "role": "primary", "clicks": 40, "revenue": null, "state": "provisional",
             "complete_through": "2026-11-21"},
            {"source": "tracker", "role": "primary", "clicks": null, "revenue": {"amount": "50.000000", "currency": "EUR"},
             "state": "provisional", "complete_through": "2026-11-21"},
        ])
    );
    let by_channel = world.get(&metrics("time_zone=UTC&granularity=all&group_by=channel&measures=clicks")).await.ok();
    assert_eq!(by_channel.column("channel"), [json!("paid_search")]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn measure_role_overrides_source_role(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let mut ads = definition("ads", "paid_search", SourceKind::Push);
    ads.measure_roles.insert(Measure::Conversions, SourceRole::Reference);
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            registered(1, ads),
            observed(
                1,
                1,
                &[(Conversion, "2026-11-20T10:05:00Z", 2_000_000, None), (Click, "2026-11-20T10:05:00Z", 10, None)],
            ),
        ])
        .await;
    let total = world.get(&metrics("granularity=all&measures=clicks,conversions,cvr")).await.ok();
    assert_eq!(total.body["data"], json!([{"clicks": 10, "conversions": null, "cvr": null, "state": "provisional"}]));
    let by_source = world.get(&metrics("granularity=all&group_by=source&measures=clicks,conversions,cvr")).await.ok();
    assert_eq!(
        by_source.body["data"],
        json!([{"source": "ads", "role": "primary", "reference_measures": ["conversions", "cvr"],
                "clicks": 10, "conversions": 2, "cvr": 0.2, "state": "provisional",
                "first_incomplete": "2026-11-19T23:00:00Z"}])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ratios_use_sources_that_state_both_sides(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pushing(1, "ads", "paid_search"),
            pushing(2, "invoices", "offline"),
            observed(
                1,
                1,
                &[(Click, "2026-11-20T10:05:00Z", 3, None), (Spend, "2026-11-20T10:05:00Z", 1, Some(10_000_000))],
            ),
            observed(2, 1, &[(Spend, "2026-11-20T12:00:00Z", 1, Some(90_000_000))]),
        ])
        .await;
    let reply = world.get(&metrics("granularity=all&measures=spend,clicks,cpc,roas,cpm")).await.ok();
    assert_eq!(
        reply.body["data"],
        json!([{"spend": {"amount": "100.000000", "currency": "EUR"}, "clicks": 3,
                "cpc": {"amount": "3.333333", "currency": "EUR"}, "roas": null, "cpm": null, "state": "provisional"}])
    );
    // One source's clicks over another's impressions are no CTR, in rows and totals alike.
    world.given([observed(2, 1, &[(Impression, "2026-11-20T12:00:00Z", 100, None)])]).await;
    let apart = json!({"date_from": "2026-11-20", "date_to": "2026-11-20", "measures": ["clicks", "impressions", "ctr"],
                       "totals": true});
    let reply = world.report(&apart).await.ok();
    assert_eq!((&reply.body["data"][0]["clicks"], &reply.body["data"][0]["impressions"]), (&json!(3), &json!(100)));
    assert_eq!((&reply.body["data"][0]["ctr"], &reply.body["totals"]["ctr"]), (&json!(null), &json!(null)));
    world.given([observed(1, 1, &[(Impression, "2026-11-20T12:00:00Z", 12, None)])]).await;
    let reply = world.report(&apart).await.ok();
    assert_eq!((&reply.body["data"][0]["ctr"], &reply.body["totals"]["ctr"]), (&json!(0.25), &json!(0.25)));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn currencies_are_never_added(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let mut dollars = definition("dollars", "paid_social", SourceKind::Push);
    dollars.currency = "USD".parse().unwrap();
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pushing(1, "euros", "paid_search"),
            registered(2, dollars),
            observed(1, 1, &[(Click, "2026-11-20T10:05:00Z", 1, Some(2_000_000))]),
            observed(2, 1, &[(Click, "2026-11-20T10:05:00Z", 1, Some(3_000_000))]),
        ])
        .await;
    let mixed = world.get(&metrics("granularity=all&measures=clicks,spend,cpc")).await.ok();
    let amount = |amount: &str, currency: &str| json!({"amount": amount, "currency": currency});
    assert_eq!(
        mixed.body["data"],
        json!([{"clicks": 2, "spend": null, "cpc": null, "state": "provisional",
                "by_currency": {"EUR": {"spend": amount("2.000000", "EUR"), "cpc": amount("2.000000", "EUR")},
                                "USD": {"spend": amount("3.000000", "USD"), "cpc": amount("3.000000", "USD")}}}])
    );
    assert_eq!(mixed.warnings(), ["mixed_currency"]);
    assert_eq!(mixed.body["meta"]["warnings"][0]["measures"], json!(["cpc", "spend"]));

    let apart = world.get(&metrics("granularity=all&measures=spend&group_by=channel")).await.ok();
    assert_eq!(apart.column("spend"), [amount("2.000000", "EUR"), amount("3.000000", "USD")]);
    assert!(apart.warnings().is_empty());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn numbers_beyond_a_float_stay_exact(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let most = 9_007_199_254_740_993;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pushing(1, "ads", "paid_search"),
            clicks(1, 1, "2026-11-20T10:00:00Z", most),
            clicks(1, 1, "2026-11-20T10:00:00Z", i64::MAX),
            observed(1, 1, &[(Conversion, "2026-11-20T10:05:00Z", 333_333, None)]),
        ])
        .await;
    let reply = world.get(&metrics("granularity=all&measures=clicks,conversions")).await.ok();
    assert!(reply.text.contains(r#""clicks":9232379236109516800,"conversions":0.333333,"#), "{}", reply.text);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn overlapping_primary_sources_give_a_warning(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            created(2, "Hats", &["paid_search"]),
            pushing(1, "pixel", "paid_search"),
            pulled(2, "google_ads", "paid_search"),
            clicks(1, 1, "2026-11-20T10:00:00Z", 5),
            days(2, 1, &[("2026-11-20", &[(Measure::Clicks, 6)])]),
            // Different campaigns do not overlap.
            clicks(1, 2, "2026-11-21T10:00:00Z", 1),
        ])
        .await;
    let expected = json!([{
        "code": "overlapping_primaries",
        "detail": "These primary sources state the same measures of the same campaign and channel, so totals add them. If they \
                   count the same thing, all but one of them should have the role reference.",
        "sources": ["google_ads", "pixel"],
        "measures": ["clicks"],
    }]);
    let range =
        |from: &str, to: &str| json!({"date_from": from, "date_to": to, "time_zone": "UTC", "measures": ["clicks"]});
    let all = world.report(&range("2026-11-20", "2026-11-20")).await.ok();
    assert_eq!(all.body["meta"]["warnings"], expected);
    assert_eq!(all.column("clicks"), [json!(11)]);
    let mut by_campaign = range("2026-11-20", "2026-11-21");
    by_campaign["group_by"] = json!(["campaign"]);
    assert_eq!(world.report(&by_campaign).await.ok().body["meta"]["warnings"], expected);
    assert_eq!(world.report(&range("2026-11-21", "2026-11-21")).await.ok().warnings(), [""; 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn filters_choose_campaigns_and_sources(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    world
        .given([created(2, "Hats", &["email"]), pushing(4, "mailer", "email"), clicks(4, 2, "2026-11-20T09:00:00Z", 3)])
        .await;
    let sum = async |filters: serde_json::Value| {
        let query = json!({"date_from": "2026-11-20", "date_to": "2026-11-21", "time_zone": "UTC", "measures": ["clicks"],
                           "filters": filters});
        let reply = world.report(&query).await.ok();
        let warnings: Vec<_> = reply.warnings().into_iter().map(str::to_owned).collect();
        (reply.column("clicks"), warnings.join(","))
    };
    assert_eq!(sum(json!({})).await, (vec![json!(43)], String::new()));
    assert_eq!(sum(json!({"campaign_id": [campaign(2).to_string()]})).await, (vec![json!(3)], String::new()));
    assert_eq!(sum(json!({"channel": ["paid_search"]})).await, (vec![json!(40)], String::new()));
    assert_eq!(sum(json!({"source": ["mailer"]})).await, (vec![json!(3)], String::new()));
    assert_eq!(sum(json!({"status": ["draft"]})).await, (vec![json!(43)], String::new()));
    assert_eq!(sum(json!({"status": ["active"]})).await, (vec![], String::new()));
    assert_eq!(sum(json!({"source": ["analytics"]})).await, (vec![], "reference_left_out".to_owned()));
    assert_eq!(sum(json!({"source": ["nobody"]})).await, (vec![], "unknown_source".to_owned()));
    assert_eq!(sum(json!({"campaign_id": [campaign(9).to_string()]})).await, (vec![], "unknown_campaign".to_owned()));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rows_of_many_campaigns_have_names(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    world
        .given([created(2, "Hats", &["email"]), pushing(4, "mailer", "email"), clicks(4, 2, "2026-11-20T09:00:00Z", 3)])
        .await;
    let query = json!({"date_from": "2026-11-20", "date_to": "2026-11-21", "time_zone": "UTC", "measures": ["clicks"],
                       "group_by": ["campaign"], "order_by": ["clicks"]});
    let reply = world.report(&query).await.ok();
    assert_eq!(
        reply.body["data"],
        json!([
            {"campaign_id": campaign(2).to_string(), "campaign": "Hats", "clicks": 3, "state": "provisional",
             "sources": ["mailer"], "first_incomplete": "2026-11-20T00:00:00Z"},
            {"campaign_id": campaign(1).to_string(), "campaign": "Shoes", "clicks": 40, "state": "provisional",
             "sources": ["google_ads"], "complete_through": "2026-11-21"},
        ])
    );
}
