//! What pull sources state by dimension: whether it is stated first or last, and what no partition is.

use domain::breakdown::NOT_BROKEN_DOWN;
use domain::bucket::Bucket;
use domain::measure::Measure;
use domain::observation::Dimension::{self, ConversionAction, Device};
use domain::observation::ObservationType::Click;
use domain::statement::Statement;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::source_changes::over;
use crate::support::given::{Given, at, broken_down, campaign, created, date, days, naming, observed, pulled, pushing};
use crate::support::{Reply, World};

const DAY: &str = "2026-11-18";

/// What is stated of the day by one dimension: values and clicks.
fn by(dimension: Dimension, precedence: Option<u16>, stated_at: &str, rows: &[(&str, Option<i64>)]) -> Given {
    let statement = |(value, clicks): &(&str, Option<i64>)| Statement {
        campaign: campaign(1),
        bucket: Bucket::Day(date(DAY)),
        values: vec![(*value).to_owned()],
        stated_at: at(stated_at),
        measures: [(Measure::Clicks, *clicks)].into(),
        sealed: None,
    };
    broken_down(1, &[dimension], precedence, rows.iter().map(statement).collect())
}

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shoes", &["email"]), pulled(1, "ads", "email"), pushing(2, "tracker", "email")]).await;
    world
}

fn query(more: &Value) -> Value {
    let mut query = over(DAY, DAY, more);
    query["measures"] = json!(["clicks"]);
    query
}

fn rows(reply: &Reply, dimension: &str) -> Vec<(Value, Value)> {
    reply.column(dimension).into_iter().zip(reply.column("clicks")).collect()
}

async fn clicks(world: &World) -> Vec<Value> {
    world.report(&query(&json!({}))).await.ok().column("clicks")
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn total_is_the_sum_until_it_is_stated(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let early = "2026-11-19T00:00:00Z";
    world.given([by(Device, Some(0), early, &[("phone", Some(5)), ("tv", Some(2))])]).await;
    assert_eq!(clicks(&world).await, [json!(7)]);
    let by_device = json!({"group_by": ["device"]});
    let reply = world.report(&query(&by_device)).await.ok();
    assert_eq!(rows(&reply, "device"), [(json!("phone"), json!(5)), (json!("tv"), json!(2))]);

    // A total beside it rules, and what it has beside the rows is a row.
    world.given([days(1, 1, &[(DAY, &[(Measure::Clicks, 10)])])]).await;
    assert_eq!(clicks(&world).await, [json!(10)]);
    let reply = world.report(&query(&by_device)).await.ok();
    let rest = |clicks: i64| (json!(NOT_BROKEN_DOWN), json!(clicks));
    assert_eq!(rows(&reply, "device"), [rest(3), (json!("phone"), json!(5)), (json!("tv"), json!(2))]);

    // Rows that are stated later change the rest alone.
    world.given([by(Device, Some(0), "2026-11-21T00:00:00Z", &[("phone", Some(9))])]).await;
    assert_eq!(clicks(&world).await, [json!(10)]);
    let reply = world.report(&query(&by_device)).await.ok();
    assert_eq!(rows(&reply, "device"), [rest(-1), (json!("phone"), json!(9)), (json!("tv"), json!(2))]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn what_is_taken_back_of_a_breakdown_is_no_part_of_the_total(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world.given([by(Device, Some(0), "2026-11-19T00:00:00Z", &[("phone", Some(5)), ("tv", Some(2))])]).await;
    world.given([by(Device, Some(0), "2026-11-19T01:00:00Z", &[("tv", None)])]).await;
    assert_eq!(clicks(&world).await, [json!(5)]);
    world.given([by(Device, Some(0), "2026-11-19T00:30:00Z", &[("tv", Some(8))])]).await;
    assert_eq!(clicks(&world).await, [json!(5)], "an older one that arrives later loses");
    world.given([by(Device, Some(0), "2026-11-19T02:00:00Z", &[("phone", None)])]).await;
    assert_eq!(clicks(&world).await, Vec::<Value>::new());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn what_is_no_partition_makes_no_total(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let actions = [("purchase", Some(4)), ("any", Some(6))];
    world.given([by(ConversionAction, None, "2026-11-19T00:00:00Z", &actions)]).await;
    assert_eq!(clicks(&world).await, Vec::<Value>::new());
    let reply = world.report(&query(&json!({"group_by": ["conversion_action"], "totals": true}))).await.ok();
    assert_eq!(
        rows(&reply, "conversion_action"),
        [(json!(NOT_BROKEN_DOWN), json!(-10)), (json!("any"), json!(6)), (json!("purchase"), json!(4))]
    );
    assert_eq!(reply.body["totals"]["clicks"], json!(0));
    world.given([days(1, 1, &[(DAY, &[(Measure::Clicks, 6)])])]).await;
    let reply = world.report(&query(&json!({"group_by": ["conversion_action"]}))).await.ok();
    assert_eq!(rows(&reply, "conversion_action")[0], (json!(NOT_BROKEN_DOWN), json!(-4)));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rows_of_push_and_pull_sources_meet_in_one_value(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let when = "2026-11-18T10:00:00Z";
    let seen = observed(2, 1, &[(Click, when, 1, None), (Click, when, 30, None)]);
    world.given([by(Device, Some(0), "2026-11-19T00:00:00Z", &[("phone", Some(5))])]).await;
    world.given([naming(seen, &[&[("device", "phone")], &[]])]).await;
    let reply = world.report(&query(&json!({"group_by": ["device"]}))).await.ok();
    assert_eq!(rows(&reply, "device"), [(json!("phone"), json!(6)), (json!(null), json!(30))]);
    // A source that states nothing by the dimension is under null, as observations without it.
    let by_country = world.report(&query(&json!({"group_by": ["country"]}))).await.ok();
    assert_eq!(rows(&by_country, "country"), [(json!(null), json!(36))]);
    let filtered = async |filters: Value| {
        let reply = world.report(&query(&json!({ "filters": filters }))).await.ok();
        (reply.column("clicks"), reply.warnings().contains(&"dimension_not_stated"))
    };
    assert_eq!(filtered(json!({"device": ["phone"]})).await, (vec![json!(6)], false));
    assert_eq!(filtered(json!({"country": ["DE"]})).await, (vec![], true));
    assert_eq!(filtered(json!({"not": {"device": ["phone"]}})).await, (vec![json!(30)], false));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn numbers_of_a_campaign_are_of_the_total(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world.given([by(Device, Some(0), "2026-11-19T00:00:00Z", &[("phone", Some(5)), ("tv", Some(2))])]).await;
    let path = format!("/v1/campaigns/{}/metrics?date_from={DAY}&date_to={DAY}&measures=clicks", campaign(1));
    let metrics = world.get(&path).await.ok();
    assert_eq!(metrics.column("clicks"), [json!(7)]);
    let of_device = world.get(&format!("{path}&group_by=device")).await.ok();
    assert_eq!(rows(&of_device, "device"), [(json!("phone"), json!(5)), (json!("tv"), json!(2))]);
    let before = world.report(&query(&json!({}))).await.ok();
    world.given([by(Device, Some(0), "2026-11-20T00:00:00Z", &[("tv", Some(3))])]).await;
    let after = world.report(&query(&json!({}))).await.ok();
    assert_ne!(before.etag(), after.etag());
    assert_eq!(after.column("clicks"), [json!(8)]);
}
