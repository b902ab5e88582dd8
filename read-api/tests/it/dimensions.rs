//! Numbers by what observations name, one dimension at a time.

use domain::measure::Measure;
use domain::observation::ObservationType::{Click, Conversion, Impression};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{campaign, created, days, naming, observed, pulled, pushing};
use crate::support::{Reply, World};

/// A campaign that a tracker pushes for, with countries, and of which another source states days.
async fn shop(world: &mut World) {
    let when = "2026-11-20T10:00:00Z";
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            created(2, "Boots", &["paid_search"]),
            pushing(1, "tracker", "paid_search"),
            pulled(2, "google_ads", "paid_search"),
            naming(
                observed(
                    1,
                    1,
                    &[
                        (Click, when, 5, None),
                        (Click, when, 2, None),
                        (Click, when, 1, None),
                        (Conversion, when, 1_000_000, Some(30_000_000)),
                    ],
                ),
                &[&[("country", "DE"), ("device", "phone")], &[("country", "FR")], &[], &[("country", "DE")]],
            ),
            naming(observed(1, 2, &[(Impression, when, 9, None)]), &[&[("country", "FR")]]),
            days(2, 1, &[("2026-11-20", &[(Measure::Spend, 12_000_000), (Measure::Clicks, 40)])]),
        ])
        .await;
}

/// Rows as (value, measure) pairs.
fn by(reply: &Reply, dimension: &str, measure: &str) -> Vec<(Value, Value)> {
    reply.column(dimension).into_iter().zip(reply.column(measure)).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rows_by_a_dimension_add_up_to_the_total(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    let query = |group_by: &[&str]| {
        json!({"measures": ["clicks", "conversions", "spend"], "date_from": "2026-11-20", "date_to": "2026-11-20",
               "group_by": group_by, "filters": {"campaign_id": [campaign(1).to_string()]}})
    };
    let reply = world.report(&query(&["country"])).await.ok();
    // What names no country, and what is stated without one, stands behind the others.
    assert_eq!(
        by(&reply, "country", "clicks"),
        [(json!("DE"), json!(5)), (json!("FR"), json!(2)), (json!(null), json!(41))]
    );
    assert_eq!(
        by(&reply, "country", "conversions"),
        [(json!("DE"), json!(1)), (json!("FR"), json!(null)), (json!(null), json!(null))]
    );
    assert_eq!(reply.column("spend")[2]["amount"], json!("12.000000"));
    let total = world.report(&query(&[])).await.ok();
    assert_eq!(total.column("clicks"), [json!(48)]);

    let by_source = world.report(&query(&["source", "device"])).await.ok();
    let told: Vec<_> = by_source.column("source").into_iter().zip(by(&by_source, "device", "clicks")).collect();
    assert_eq!(
        told,
        [
            (json!("google_ads"), (json!(null), json!(40))),
            (json!("tracker"), (json!("phone"), json!(5))),
            (json!("tracker"), (json!(null), json!(3))),
        ]
    );
    let metrics = format!(
        "/v1/campaigns/{}/metrics?date_from=2026-11-20&date_to=2026-11-20&measures=clicks&group_by=country",
        campaign(1)
    );
    let metrics = world.get(&metrics).await.ok();
    assert_eq!(by(&metrics, "country", "clicks"), by(&reply, "country", "clicks"));
    assert!(!metrics.warnings().contains(&"other_values"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn dimension_rows_support_zones_and_pages(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    // 10:00 UTC is 15:45 in Kathmandu: its hour begins at 09:15 UTC.
    let mut query = json!({"measures": ["impressions"], "date_from": "2026-11-20", "date_to": "2026-11-20",
                           "granularity": "hour", "time_zone": "Asia/Kathmandu", "group_by": ["campaign", "country"],
                           "order_by": ["-impressions", "country"], "limit": 1});
    let mut told = Vec::new();
    loop {
        let page = world.report(&query).await.ok();
        told.extend(page.column("country").into_iter().zip(page.column("bucket")));
        match &page.body["page"]["next_cursor"] {
            Value::Null => break,
            cursor => query["cursor"] = cursor.clone(),
        }
    }
    assert_eq!(told, [(json!("FR"), json!("2026-11-20T09:15:00Z"))]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn overflowing_values_count_as_other_with_a_warning(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::empty(options, connect).await;
    sqlx::query("INSERT INTO read.dimension_limits VALUES ('campaign_model', 2)").execute(&world.admin).await.unwrap();
    world.given([crate::support::given::opened("Europe/Berlin")]).await;
    let seen = [(Click, "2026-11-20T10:00:00Z", 1, None); 4];
    let ads: &[&[(&str, &str)]] = &[&[("ad", "b")], &[("ad", "a")], &[("ad", "d")], &[("ad", "c")]];
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pushing(1, "tracker", "paid_search"),
            naming(observed(1, 1, &seen), ads),
        ])
        .await;
    let query = json!({"measures": ["clicks"], "date_from": "2026-11-20", "date_to": "2026-11-20", "group_by": ["ad"]});
    let reply = world.report(&query).await.ok();
    assert_eq!(
        by(&reply, "ad", "clicks"),
        [(json!("(other)"), json!(2)), (json!("a"), json!(1)), (json!("b"), json!(1))]
    );
    assert_eq!(reply.warnings(), ["other_values"]);
    let detail = reply.body["meta"]["warnings"][0]["detail"].as_str().unwrap();
    assert!(detail.contains("the first 2 values") && detail.contains("not known"), "{detail}");
    // What only chooses shows no values, and what leaves them out shows nothing of them.
    let chosen = json!({"measures": ["clicks"], "date_from": "2026-11-20", "date_to": "2026-11-20", "group_by": ["ad"],
                        "filters": {"ad": ["a"]}});
    assert!(!world.report(&chosen).await.ok().warnings().contains(&"other_values"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn value_named_other_is_not_overflow(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::empty(options, connect).await;
    sqlx::query("INSERT INTO read.dimension_limits VALUES ('campaign_model', 3)").execute(&world.admin).await.unwrap();
    let seen = [(Click, "2026-11-20T10:00:00Z", 1, None); 4];
    let few: &[&[(&str, &str)]] = &[&[("ad", "a")], &[("ad", "(other)")], &[("ad", "b")], &[("ad", "(other)")]];
    let many: &[&[(&str, &str)]] = &[&[("ad", "a")], &[("ad", "b")], &[("ad", "c")], &[("ad", "d")]];
    world
        .given([
            crate::support::given::opened("Europe/Berlin"),
            created(1, "Shoes", &["paid_search"]),
            created(2, "Boots", &["paid_search"]),
            pushing(1, "analytics", "paid_search"),
            naming(observed(1, 1, &seen), few),
        ])
        .await;
    let query = json!({"measures": ["clicks"], "date_from": "2026-11-20", "date_to": "2026-11-20", "group_by": ["ad"]});
    let reply = world.report(&query).await.ok();
    assert_eq!(
        by(&reply, "ad", "clicks"),
        [(json!("(other)"), json!(2)), (json!("a"), json!(1)), (json!("b"), json!(1))]
    );
    assert_eq!(reply.warnings(), Vec::<&str>::new());

    // One campaign's values overflow: of that one it is said, and of both together.
    world.given([naming(observed(1, 2, &seen), many)]).await;
    assert_eq!(world.report(&query).await.ok().warnings(), ["other_values"]);
    let of = async |n: u128| {
        let path = format!(
            "/v1/campaigns/{}/metrics?date_from=2026-11-20&date_to=2026-11-20&measures=clicks&group_by=ad",
            campaign(n)
        );
        world.get(&path).await.ok().warnings().contains(&"other_values")
    };
    assert_eq!((of(1).await, of(2).await), (false, true));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_combined_dimensions(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    for crossed in [
        json!({"group_by": ["country", "device"]}),
        json!({"group_by": ["country"], "filters": {"device": ["phone"]}}),
        json!({"filters": {"or": [{"country": ["DE"]}, {"not": {"device": [null]}}]}}),
    ] {
        let reply = world.report(&crossed).await;
        assert_eq!(reply.problem(422), "dimension-combination", "{crossed}");
        assert_eq!(reply.body["dimensions"], json!(["country", "device"]));
        assert!(reply.body["detail"].as_str().unwrap().contains("country and device"), "{}", reply.body);
    }
    let metrics = format!("/v1/campaigns/{}/metrics?group_by=country,device", campaign(1));
    assert_eq!(world.get(&metrics).await.problem(422), "dimension-combination");
    let unknown = world.report(&json!({"group_by": ["weather"]})).await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.body.to_string().contains("utm_content"), "{}", unknown.body);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn filters_numbers_by_dimension_values(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    let clicks = async |filters: Value, group_by: &[&str]| {
        let query = json!({"measures": ["clicks"], "date_from": "2026-11-20", "date_to": "2026-11-20", "group_by": group_by,
                           "filters": filters});
        let reply = world.report(&query).await.ok();
        (by(&reply, "country", "clicks"), reply.warnings().contains(&"dimension_not_stated"))
    };
    let germany = json!({"country": ["DE"]});
    assert_eq!(clicks(germany.clone(), &["country"]).await, (vec![(json!("DE"), json!(5))], true));
    let one = |clicks: i64| vec![(json!(null), json!(clicks))];
    // Chosen by it, but not told apart.
    assert_eq!(clicks(germany.clone(), &[]).await, (one(5), true));
    assert_eq!(clicks(json!({"country": ["DE", "FR"]}), &[]).await, (one(7), true));
    assert_eq!(clicks(json!({"country": ["DE", null]}), &[]).await, (one(46), false));
    assert_eq!(clicks(json!({"country": [null]}), &[]).await, (one(41), false));
    assert_eq!(clicks(json!({ "not": germany }), &[]).await, (one(43), false));
    assert_eq!(clicks(json!({"not": {"country": ["DE", null]}}), &[]).await, (one(2), true));
    assert_eq!(
        clicks(json!({"not": {"country": ["FR"]}}), &["country"]).await.0,
        [(json!("DE"), json!(5)), (json!(null), json!(41))]
    );
    // Beside conditions on other things, in any combination.
    let other = json!({"or": [{"country": ["FR"]}, {"source": ["google_ads"]}]});
    assert_eq!(clicks(other, &[]).await, (one(42), false));
    let of_campaign = json!({"country": ["DE"], "not": {"campaign_id": [campaign(1).to_string()]}});
    assert_eq!(clicks(of_campaign, &[]).await.0, []);
}
