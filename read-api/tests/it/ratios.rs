//! Ratios over rows of the tables: which campaigns are covered, what the answer says of the rest, and in which form.

use domain::measure::Measure;
use domain::observation::ObservationType::{Click, Conversion, Refund, Spend};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::World;
use crate::support::given::{campaign, created, days, naming, observed, pulled, pushing, sale_corrected, source};
use crate::support::{CSV, report_path};

const WHEN: &str = "2026-11-20T10:00:00Z";

fn query(more: &Value) -> Value {
    let mut query = json!({"date_from": "2026-11-20", "date_to": "2026-11-21", "time_zone": "UTC"});
    query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    query
}

fn euros(amount: &str) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// Clicks and spend by a platform, conversions by a tracker on its channel, and mails of another channel. The tracker says
/// nothing of the second campaign.
async fn shop(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            created(2, "Hats", &["paid_search"]),
            pulled(1, "google_ads", "paid_search"),
            pushing(2, "tracker", "paid_search"),
            pushing(3, "mailer", "email"),
            days(1, 1, &[("2026-11-20", &[(Measure::Clicks, 100), (Measure::Spend, 50_000_000)])]),
            days(1, 2, &[("2026-11-20", &[(Measure::Clicks, 40), (Measure::Spend, 30_000_000)])]),
            observed(2, 1, &[(Conversion, WHEN, 5_000_000, Some(100_000_000))]),
            observed(3, 1, &[(Click, WHEN, 7, None)]),
        ])
        .await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rates_cover_campaigns_that_both_sources_feed(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = shop(options, connect).await;
    let measures = json!(["clicks", "cvr", "cvr.clicks", "cvr.conversions", "roas", "cpa"]);
    let reply = world.report(&query(&json!({"measures": measures, "totals": true}))).await.ok();
    assert_eq!(
        reply.body["data"][0],
        json!({"clicks": 147, "cvr": 0.05, "cvr.clicks": 100, "cvr.conversions": 5, "roas": 1.25,
               "cpa": euros("16.000000"), "state": "provisional"})
    );
    assert_eq!(reply.body["totals"], reply.body["data"][0]);
    assert_eq!(
        reply.body["meta"]["warnings"],
        json!([
            {"code": "ratio_partial", "measures": ["cpa"], "sources": ["google_ads"],
             "detail": "cpa counts all spend and all conversions. These have no source of the other side in one campaign, \
                        channel and currency: spend 30.000000 EUR of google_ads."},
            {"code": "ratio_partial", "measures": ["cvr"], "sources": ["google_ads", "mailer"],
             "detail": "cvr counts what has sources of conversions and of clicks in one campaign, channel and currency. It \
                        leaves out clicks 47 of google_ads, mailer."},
            {"code": "ratio_partial", "measures": ["roas"], "sources": ["google_ads"],
             "detail": "roas counts all revenue and all spend. These have no source of the other side in one campaign, \
                        channel and currency: spend 30.000000 EUR of google_ads."},
        ])
    );
    // Rows by campaign, by source and by channel follow the same rule, and have the same totals.
    for group_by in ["campaign", "source", "channel"] {
        let apart =
            world.report(&query(&json!({"measures": measures, "totals": true, "group_by": [group_by]}))).await.ok();
        assert_eq!(apart.body["totals"], reply.body["totals"], "{group_by}");
        assert_eq!(apart.body["meta"]["warnings"], reply.body["meta"]["warnings"], "{group_by}");
    }
    let of = |id| query(&json!({"measures": measures, "group_by": ["campaign"], "filters": {"campaign_id": [id]}}));
    let one = world.report(&of(campaign(1))).await.ok();
    assert_eq!((&one.body["data"][0]["cvr"], &one.body["data"][0]["roas"]), (&json!(0.05), &json!(2)));
    let other = world.report(&of(campaign(2))).await.ok();
    assert_eq!((&other.body["data"][0]["cvr"], &other.body["data"][0]["roas"]), (&json!(null), &json!(null)));
    // A filter by source admits no other side.
    let alone = json!({"measures": ["cvr"], "filters": {"source": ["google_ads"]}});
    assert_eq!(world.report(&query(&alone)).await.ok().body["data"][0]["cvr"], json!(null));
    // Nor does one that admits the other source of another campaign.
    let or = json!({"measures": ["cvr", "cvr.clicks"], "filters": {"or": [
        {"source": ["google_ads"]}, {"source": ["tracker"], "campaign_id": [campaign(2)]},
    ]}});
    assert_eq!(world.report(&query(&or)).await.ok().body["data"][0]["cvr"], json!(null));
    let or = json!({"measures": ["cvr", "cvr.clicks"], "filters": {"or": [
        {"source": ["google_ads"]}, {"source": ["tracker"], "campaign_id": [campaign(1)]},
    ]}});
    assert_eq!(world.report(&query(&or)).await.ok().body["data"][0]["cvr"], json!(0.05));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn covered_efficiencies_are_asked_for(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = shop(options, connect).await;
    let measures = json!(["roas", "roas.spend"]);
    let printed = world.report(&query(&json!({"measures": measures}))).await.ok();
    let covered = world.report(&query(&json!({"measures": measures, "ratios": "covered"}))).await.ok();
    assert_eq!((&printed.body["data"][0]["roas"], &covered.body["data"][0]["roas"]), (&json!(1.25), &json!(2)));
    assert_eq!(covered.body["data"][0]["roas.spend"], euros("50.000000"));
    let detail = covered.body["meta"]["warnings"][0]["detail"].as_str().unwrap();
    assert!(detail.ends_with("It leaves out spend 30.000000 EUR of google_ads."), "{detail}");
    // The basis belongs to the query: to its ETag, and to a request that is made of it.
    assert_ne!(printed.etag(), covered.etag());
    assert_eq!(
        (&printed.body["meta"]["query"]["ratios"], &covered.body["meta"]["query"]["ratios"]),
        (&json!(null), &json!("covered"))
    );
    let same = world.report(&query(&json!({"measures": measures, "ratios": "printed"}))).await.ok();
    assert_eq!(same.etag(), printed.etag());
    let paged = query(&json!({"measures": ["clicks"], "ratios": "covered", "group_by": ["channel"], "limit": 1}));
    let cursor = world.report(&paged).await.ok().body["page"]["next_cursor"].clone();
    let mut other = paged.clone();
    other["cursor"] = cursor;
    other["ratios"] = json!("printed");
    assert_eq!(world.report(&other).await.problem(400), "cursor-mismatch");
    // The twin, the metrics of a campaign and dashboards take it, too.
    let twin = world.get(&report_path(&query(&json!({"measures": measures, "ratios": "covered"})))).await.ok();
    assert_eq!(twin.body["data"], covered.body["data"]);
    let metrics = format!(
        "/v1/campaigns/{}/metrics?date_from=2026-11-20&date_to=2026-11-21&granularity=all&measures=roas",
        campaign(1)
    );
    assert_eq!(world.get(&format!("{metrics}&ratios=covered")).await.ok().body["data"][0]["roas"], json!(2));
    assert_eq!(world.get(&format!("{metrics}&ratios=some")).await.wrong_fields(), ["ratios"]);
    let dashboard = json!({"reports": {"one": query(&json!({"measures": measures, "ratios": "covered"}))}});
    let dashboard = crate::support::post(&world, "/v1/dashboards", &dashboard).await.ok();
    assert_eq!(dashboard.body["data"]["one"]["data"], covered.body["data"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn operands_are_columns_and_are_compared(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    let asked = query(&json!({"measures": ["cvr", "cvr.clicks", "roas.spend"], "order_by": ["-cvr.clicks"]}));
    let csv = world.get_with(&report_path(&asked), &[CSV]).await.ok();
    assert_eq!(
        csv.text,
        "cvr,cvr.clicks,roas.spend,roas.spend_currency,by_currency,state,restated_after_final\r\n\
         0.05,100,80.000000,EUR,,provisional,\r\n"
    );
    // A range before, of which the tracker says nothing: its silence is 0, because it states conversions of the campaign.
    world.given([days(1, 1, &[("2026-11-18", &[(Measure::Clicks, 10)])])]).await;
    let asked = query(&json!({"measures": ["cvr", "cvr.clicks"], "compare_to": "previous_period"}));
    let compared = &world.report(&asked).await.ok().body["data"][0]["compared"]["measures"];
    assert_eq!(compared["cvr"], json!({"value": 0, "change": 0.05, "relative_change": null}));
    assert_eq!(compared["cvr.clicks"], json!({"value": 10, "change": 90, "relative_change": 9}));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn sides_of_a_dimension_value_meet_among_sources_that_push(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = shop(options, connect).await;
    let in_country = |given, country| naming(given, &[&[("country", country)]]);
    world
        .given([
            pushing(4, "pixel", "paid_search"),
            in_country(observed(4, 1, &[(Click, WHEN, 20, None)]), "DE"),
            in_country(observed(4, 2, &[(Click, WHEN, 30, None)]), "DE"),
            in_country(observed(2, 1, &[(Conversion, WHEN, 1_000_000, None)]), "DE"),
            in_country(observed(3, 1, &[(Spend, WHEN, 1, Some(9_000_000))]), "FR"),
        ])
        .await;
    let asked = query(&json!({"measures": ["clicks", "cvr", "cvr.clicks", "roas"], "group_by": ["country"]}));
    let reply = world.report(&asked).await.ok();
    let row = |country: Value| {
        let rows = reply.body["data"].as_array().unwrap();
        rows.iter().find(|row| row["country"] == country).unwrap().clone()
    };
    // Only the first campaign is fed by the tracker, too.
    let german = row(json!("DE"));
    assert_eq!((&german["clicks"], &german["cvr.clicks"], &german["cvr"]), (&json!(50), &json!(20), &json!(0.05)));
    // The platform states no values: its clicks without one are nobody's conversions.
    assert_eq!(row(json!(null))["cvr.clicks"], json!(0));
    assert_eq!(row(json!("FR"))["roas"], json!(null));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ten_thousand_campaigns_by_day_stay_within_the_limit_of_sums(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let world = shop(options, connect).await;
    // The platform's clicks and the tracker's conversions on each of twelve days: 240,000 sums by campaign.
    let fill = format!(
        "INSERT INTO read.campaign_sources (epoch, workspace, campaign_id, source_id, position)
         SELECT 1, {workspace}, gen.id, s, 1
         FROM (SELECT n, ('ee' || lpad(to_hex(n), 30, '0'))::uuid AS id FROM generate_series(1, 10000) n) gen,
              unnest(ARRAY['{ads}', '{tracker}']::uuid[]) s
         WHERE s = '{ads}' OR gen.n <= 6000;
         INSERT INTO read.rollup_daily (epoch, workspace, campaign_id, source_id, bucket, measure, value, changed_at)
         SELECT f.epoch, f.workspace, f.campaign_id, f.source_id, '2026-11-01'::timestamptz + d * interval '1 day',
                CASE f.source_id WHEN '{ads}' THEN 'clicks' ELSE 'conversions' END,
                CASE f.source_id WHEN '{ads}' THEN 10 ELSE 1000000 END, '2026-11-15'
         FROM read.campaign_sources f, generate_series(0, 15) d WHERE f.position = 1",
        workspace = world.workspace,
        ads = source(1),
        tracker = source(2),
    );
    sqlx::raw_sql(&fill).execute(&world.admin).await.unwrap();
    let mut asked = json!({"measures": ["cvr", "cvr.clicks"], "date_from": "2026-11-01", "date_to": "2026-11-16",
                           "time_zone": "UTC", "granularity": "day"});
    let reply = world.report(&asked).await.ok();
    assert_eq!(reply.body["data"].as_array().unwrap().len(), 16);
    assert_eq!((&reply.body["data"][3]["cvr"], &reply.body["data"][3]["cvr.clicks"]), (&json!(0.1), &json!(60_000)));
    asked["group_by"] = json!(["campaign"]);
    assert_eq!(world.report(&asked).await.problem(422), "report-too-large");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn net_revenue_warns_of_refunds_beside_corrections(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let corrected = |source, campaign, when, change| {
        let ids = ("c-1", "order-1", "2026-11-21T09:00:00Z");
        sale_corrected((source, campaign), ids, when, (0, Some(change)), (1_000_000, Some(60_000_000)))
    };
    let sold = |source, campaign| observed(source, campaign, &[(Conversion, WHEN, 1_000_000, Some(100_000_000))]);
    let refunded =
        |source, campaign| observed(source, campaign, &[(Refund, "2026-11-21T09:00:00Z", 1, Some(40_000_000))]);
    world.given([created(1, "Shoes", &["email"]), created(2, "Hats", &["email"])]).await;
    world.given([pushing(1, "shop", "email"), pushing(2, "outlet", "video"), pushing(3, "market", "display")]).await;
    world.given([sold(1, 1), sold(2, 1), sold(3, 1), refunded(1, 1), refunded(2, 1)]).await;
    // A shop that does one of the two is in order, one that raises an order, too, and so is a correction of another day.
    world.given([corrected(3, 1, WHEN, -40_000_000), corrected(2, 1, WHEN, 5_000_000)]).await;
    world.given([corrected(1, 1, "2026-11-19T10:00:00Z", -40_000_000)]).await;
    let net = query(&json!({"measures": ["net_revenue"]}));
    assert_eq!(world.report(&net).await.ok().warnings(), ["net_partial"], "of the market, that states no refunds");

    world.given([corrected(1, 1, WHEN, -40_000_000), corrected(2, 2, WHEN, -1)]).await;
    let reply = world.report(&net).await.ok();
    assert_eq!(reply.warnings(), ["net_partial", "refund_twice"]);
    assert_eq!(reply.body["meta"]["warnings"][1]["sources"], json!(["outlet", "shop"]));
    let narrow = query(&json!({"measures": ["net_revenue"], "filters": {"campaign_id": [campaign(2)]}}));
    assert_eq!(world.report(&narrow).await.ok().warnings(), Vec::<&str>::new(), "no refunds of the second campaign");
    let gross = query(&json!({"measures": ["revenue", "refunds"]}));
    assert_eq!(world.report(&gross).await.ok().warnings(), Vec::<&str>::new());
}
