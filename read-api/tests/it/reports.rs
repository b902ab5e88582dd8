//! What one report can ask: filters, comparisons, gaps, totals, and its limits.

use std::time::Duration;

use domain::bucket::Grain;
use domain::measure::Measure;
use domain::observation::ObservationType::{Click, Spend};
use domain::source::SourceKind;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _};

use crate::support::given::{
    campaign, clicks, completed, created, days, definition, observed, pulled, pushing, registered,
};
use crate::support::{Reply, World, report_path};

/// Three campaigns and three sources in three channels, over two months.
async fn shop(world: &mut World) {
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            created(2, "Hats", &["email"]),
            created(3, "Bags", &["email"]),
            pushing(1, "tracker", "paid_search"),
            pushing(2, "mailer", "email"),
            pulled(3, "social", "paid_social"),
            clicks(1, 1, "2026-11-18T10:00:00Z", 1),
            clicks(1, 1, "2026-11-20T10:00:00Z", 2),
            clicks(1, 2, "2026-11-20T10:00:00Z", 4),
            clicks(2, 2, "2026-11-20T11:00:00Z", 8),
            clicks(2, 3, "2026-11-20T12:00:00Z", 16),
            days(3, 1, &[("2026-11-20", &[(Measure::Clicks, 32)]), ("2025-11-20", &[(Measure::Clicks, 64)])]),
            clicks(2, 3, "2026-11-16T12:00:00Z", 128),
        ])
        .await;
}

fn query(more: &Value) -> Value {
    let mut query =
        json!({"measures": ["clicks"], "date_from": "2026-11-18", "date_to": "2026-11-20", "time_zone": "UTC"});
    for (name, value) in more.as_object().unwrap() {
        query[name] = value.clone();
    }
    query
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn filters_are_joined_by_and_or_and_not(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    let sum = async |filters: Value| {
        let reply = world.report(&query(&json!({ "filters": filters }))).await.ok();
        reply.column("clicks").first().cloned().unwrap_or(Value::Null)
    };
    let of = |n: u128| json!({"campaign_id": [campaign(n).to_string()]});
    assert_eq!(sum(json!({})).await, json!(63));
    assert_eq!(sum(json!({"not": {"source": ["mailer"]}})).await, json!(39));
    assert_eq!(sum(json!({ "not": of(1) })).await, json!(28));
    assert_eq!(sum(json!({"or": [{"source": ["mailer"]}, of(1)]})).await, json!(59));
    assert_eq!(sum(json!({"and": [{"source": ["mailer", "tracker"]}, of(2)]})).await, json!(12));
    assert_eq!(sum(json!({"not": {"or": [{"channel": ["email"]}, of(1)]}})).await, json!(4));
    assert_eq!(sum(json!({"not": {"and": [{"channel": ["email"]}, of(2)]}})).await, json!(55));
    assert_eq!(sum(json!({"status": ["draft"], "not": of(3)})).await, json!(47));
    assert_eq!(sum(json!({"not": {"status": ["draft"]}})).await, json!(null));
    assert_eq!(sum(json!({"and": [of(1), of(2)]})).await, json!(null));

    // Told back in one form, whatever the order; and its cacheable twin answers the same.
    let told = query(&json!({"filters": {"or": [{"source": ["mailer"]}, of(1)]}}));
    let turned = query(&json!({"filters": {"or": [of(1), {"or": [{"source": ["mailer"]}]}]}}));
    let (told, turned) = (world.report(&told).await.ok(), world.get(&report_path(&turned)).await.ok());
    assert_eq!((told.etag(), &told.body), (turned.etag(), &turned.body));
    assert_eq!(told.body["meta"]["query"]["filters"], json!({"or": [of(1), {"source": ["mailer"]}]}));
    // The sources of the one campaign decide, too, beside the one of all campaigns.
    let deciding = told.body["meta"]["freshness"]["sources"].as_array().unwrap().iter();
    assert_eq!(deciding.map(|source| &source["source"]).collect::<Vec<_>>(), ["mailer", "social", "tracker"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn freshness_covers_filtered_sources_only(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    world.given([completed(1, "2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z", Grain::QuarterHour)]).await;
    let sources = async |filters: Value| {
        let reply = world.report(&query(&json!({ "filters": filters }))).await.ok();
        let freshness = &reply.body["meta"]["freshness"];
        let names: Vec<_> =
            freshness["sources"].as_array().unwrap().iter().map(|source| source["source"].clone()).collect();
        (names, freshness["first_incomplete"].clone())
    };
    let of = |n: u128| json!({"campaign_id": [campaign(n).to_string()]});
    assert_eq!(sources(json!({"channel": ["paid_search"]})).await, (vec![json!("tracker")], json!(null)));
    let (names, incomplete) = sources(json!({ "not": of(1) })).await;
    assert_eq!((names, incomplete), (vec![json!("mailer"), json!("tracker")], json!("2026-11-18T00:00:00Z")));
    let narrow = json!({"or": [{"source": ["tracker"], "campaign_id": [campaign(2).to_string()]}, {"source": ["social"], "and": [of(2)]}]});
    assert_eq!(sources(narrow).await.0, [json!("tracker")]);

    // Where rows wait for different sources, each says for which.
    let rows = world.report(&query(&json!({"group_by": ["campaign"]}))).await.ok();
    assert_eq!(rows.column("sources"), [json!(["social", "tracker"]), json!(["mailer", "tracker"]), json!(["mailer"])]);
    let by_channel = world.report(&query(&json!({"group_by": ["channel"], "order_by": ["-channel"]}))).await.ok();
    assert_eq!(by_channel.column("sources"), [json!(["social"]), json!(["tracker"]), json!(["mailer"])]);
    let begins = json!("2026-11-18T00:00:00Z");
    assert_eq!(by_channel.column("first_incomplete"), [begins.clone(), json!(null), begins.clone()]);

    // And the last day up to which it is complete, and final.
    world.given([completed(2, "2026-11-22T11:30:00Z", "2026-11-20T00:00:00Z", Grain::Day)]).await;
    let query = query(&json!({"group_by": ["channel"], "order_by": ["-channel"]}));
    let rows = world.report(&query).await.ok();
    assert_eq!(rows.column("first_incomplete"), [begins, json!(null), json!("2026-11-20T00:00:00Z")]);
    assert_eq!(rows.column("complete_through"), [json!(null), json!("2026-11-20"), json!("2026-11-19")]);
    assert_eq!(rows.column("final_through"), [json!(null), json!("2026-11-18"), json!("2026-11-18")]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ranges_are_compared(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    let compared = query(&json!({"group_by": ["source"], "compare_to": "previous_year", "totals": true}));
    let reply = world.report(&compared).await.ok();
    let change = |row: &Value| row["compared"]["measures"]["clicks"].clone();
    let rows = reply.body["data"].as_array().unwrap();
    assert_eq!(change(&rows[0]), json!({"value": null, "change": null, "relative_change": null}));
    assert_eq!(change(&rows[1]), json!({"value": 64, "change": -32, "relative_change": -0.5}));
    assert_eq!(change(&reply.body["totals"]), json!({"value": 64, "change": -1, "relative_change": -0.015_625}));
    assert_eq!(
        reply.body["meta"]["compared"],
        json!({"date_from": "2025-11-18", "date_to": "2025-11-20", "state": "provisional",
               "first_incomplete": "2025-11-18T00:00:00Z"})
    );
    // By day, with what is only there.
    let by_day =
        query(&json!({"granularity": "day", "compare_to": "previous_period", "filters": {"source": ["mailer"]}}));
    let reply = world.report(&by_day).await.ok();
    let told: Vec<_> = reply.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["bucket"].clone(),
                row["clicks"].clone(),
                row["compared"]["bucket"].clone(),
                change(row)["value"].clone(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (json!("2026-11-19"), json!(null), json!("2026-11-16"), json!(128)),
            (json!("2026-11-20"), json!(24), json!("2026-11-17"), json!(null)),
        ]
    );
    // As a parameter of one campaign's metrics.
    let metrics = format!(
        "/v1/campaigns/{}/metrics?date_from=2026-11-18&date_to=2026-11-20&time_zone=UTC&granularity=all&measures=clicks&totals=true\
         &compare_to=2025-11-20/2025-11-20",
        campaign(1)
    );
    let of_one = world.get(&metrics).await.ok();
    assert_eq!(change(&of_one.body["totals"]), json!({"value": 64, "change": -29, "relative_change": -0.453_125}));
    assert_eq!(world.get(&format!("{metrics}/")).await.wrong_fields(), ["compare_to.date_to"]);
    // The version covers both ranges: only that of the other one changed.
    let before = world.get(&report_path(&compared)).await.ok();
    world.given([clicks(1, 1, "2025-11-19T10:00:00Z", 1)]).await;
    let after = world.get_with(&report_path(&compared), &[("if-none-match", before.etag())]).await.ok();
    assert_eq!(change(&after.body["totals"])["value"], json!(65));
    let alone = query(&json!({"group_by": ["source"]}));
    let before = world.get(&report_path(&alone)).await.ok();
    world.given([clicks(1, 1, "2025-11-19T10:00:00Z", 1)]).await;
    let same = world.get_with(&report_path(&alone), &[("if-none-match", before.etag())]).await;
    assert_eq!(same.status, 304);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rows_are_sorted_by_their_change(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    world.given([clicks(1, 1, "2026-11-16T10:00:00Z", 2)]).await;
    // 7 after 2, 24 after 128, 32 after nothing.
    let compared = |order_by: &str| {
        query(
            &json!({"group_by": ["source"], "compare_to": "previous_period", "order_by": [order_by], "measures": ["clicks", "spend"]}),
        )
    };
    let sources = async |order_by: &str| world.report(&compared(order_by)).await.ok().column("source");
    assert_eq!(sources("-clicks_change").await, ["tracker", "mailer", "social"]);
    assert_eq!(sources("clicks_relative_change").await, ["mailer", "tracker", "social"]);
    let told = world.report(&compared("-clicks_change")).await.ok();
    assert_eq!(told.body["meta"]["query"]["order_by"], json!(["-clicks_change"]));
    let file = world.get_with(&report_path(&compared("-clicks_change")), &[("accept", "text/csv")]).await.ok();
    let changes = "spend_relative_change,compared_by_currency,state,";
    assert!(
        file.text.contains("clicks_change,clicks_relative_change,") && file.text.contains(changes),
        "{}",
        file.text
    );
    for order_by in ["-spend_change", "clicks_difference", "_change"] {
        let unknown = query(&json!({"compare_to": "previous_period", "order_by": [order_by]}));
        assert_eq!(world.report(&unknown).await.wrong_fields(), ["order_by[0]"], "{order_by}");
    }
    assert_eq!(world.report(&query(&json!({"order_by": ["clicks_change"]}))).await.wrong_fields(), ["order_by[0]"]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn totals_of_final_rows_are_final(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    world.given([completed(1, "2026-11-22T11:00:00Z", "2026-11-22T11:00:00Z", Grain::QuarterHour)]).await;
    let more = json!({"granularity": "day", "filters": {"source": ["tracker"]}, "totals": true, "fill": "zero",
                      "compare_to": {"date_from": "2026-11-20", "date_to": "2026-11-22"}});
    let path = report_path(&query(&more));
    let all = world.get(&path).await.ok();
    assert_eq!((&all.body["totals"]["clicks"], &all.body["totals"]["state"]), (&json!(7), &json!("provisional")));
    assert_eq!(all.column("state"), [json!("final"), json!("provisional"), json!("provisional")]);
    let settled = world.get(&format!("{path}&data_state=final")).await.ok();
    assert_eq!(settled.column("bucket"), ["2026-11-18"]);
    let totals = &settled.body["totals"];
    assert_eq!((&totals["clicks"], &totals["state"]), (&json!(1), &json!("final")));
    assert_eq!(totals["compared"]["measures"]["clicks"]["value"], json!(null));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn fills_gaps_as_requested(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    world.given([completed(1, "2026-11-22T11:00:00Z", "2026-11-20T00:00:00Z", Grain::Day)]).await;
    let tracked = async |fill: &str| {
        let more =
            json!({"granularity": "day", "fill": fill, "date_to": "2026-11-21", "filters": {"source": ["tracker"]}});
        world.report(&query(&more)).await.ok().column("clicks")
    };
    assert_eq!(tracked("none").await, [json!(1), json!(6)]);
    assert_eq!(tracked("zero").await, [json!(1), json!(0), json!(6), json!(0)]);
    assert_eq!(tracked("zero_if_complete").await, [json!(1), json!(0), json!(6), json!(null)]);
    let nothing = query(&json!({"granularity": "day", "fill": "zero", "filters": {"source": ["nobody"]}}));
    assert_eq!(world.report(&nothing).await.ok().column("clicks"), [json!(null), json!(null), json!(null)]);
    let weeks = async |week_start: &str| {
        let more = json!({"granularity": "week", "week_start": week_start, "date_from": "2026-11-01", "date_to": "2026-11-16",
                          "fill": "zero"});
        world.report(&query(&more)).await.ok().column("bucket")
    };
    assert_eq!(weeks("monday").await, ["2026-11-01", "2026-11-02", "2026-11-09", "2026-11-16"]);
    assert_eq!(weeks("sunday").await, ["2026-11-01", "2026-11-08", "2026-11-15"]);
}

fn added(reply: &Reply, rows: &str) -> i64 {
    reply.body[rows].as_array().unwrap().iter().filter_map(|row| row["clicks"].as_i64()).sum()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn totals_cover_all_pages(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    let mut dollars = definition("dollars", "paid_social", SourceKind::Push);
    dollars.currency = "USD".parse().unwrap();
    let when = "2026-11-20T10:05:00Z";
    world
        .given([
            registered(4, dollars),
            observed(4, 1, &[(Click, when, 1, None), (Spend, when, 1, Some(3_000_000))]),
            observed(1, 1, &[(Spend, when, 1, Some(2_000_000))]),
        ])
        .await;
    let mut asked =
        query(&json!({"measures": ["clicks", "spend"], "group_by": ["campaign", "source"], "granularity": "day",
                                 "limit": 1, "totals": true, "subtotals": "source"}));
    let (mut sum, mut pages) = (0, 0);
    loop {
        let page = world.report(&asked).await.ok();
        (sum, pages) = (sum + added(&page, "data"), pages + 1);
        assert_eq!(page.body["totals"]["clicks"], json!(64));
        assert_eq!(added(&page, "subtotals"), 64);
        let amount = |amount: &str, currency: &str| json!({"spend": {"amount": amount, "currency": currency}});
        assert_eq!(page.body["totals"]["spend"], json!(null));
        assert_eq!(
            page.body["totals"]["by_currency"],
            json!({"EUR": amount("2.000000", "EUR"), "USD": amount("3.000000", "USD")})
        );
        assert!(page.warnings().contains(&"mixed_currency"));
        match &page.body["page"]["next_cursor"] {
            Value::Null => break,
            cursor => asked["cursor"] = cursor.clone(),
        }
    }
    assert_eq!((sum, pages), (64, 7));
    let none = world.report(&query(&json!({"totals": true, "filters": {"source": ["nobody"]}}))).await.ok();
    assert_eq!((&none.body["data"], &none.body["totals"]["clicks"]), (&json!([]), &json!(null)));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn bucket_without_counterpart_is_null(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    shop(&mut world).await;
    let compared = async |from: &str, to: &str, than: Value| {
        let query = json!({"date_from": from, "date_to": to, "granularity": "day", "time_zone": "UTC", "fill": "zero",
                           "measures": ["clicks"], "compare_to": than});
        let reply = world.report(&query).await.ok();
        let rows = reply.body["data"].as_array().unwrap().clone();
        let state = reply.body["meta"]["compared"]["state"].clone();
        (rows.iter().map(|row| row["compared"]["bucket"].clone()).collect::<Vec<_>>(), rows, state)
    };
    let (buckets, ..) = compared("2024-02-28", "2024-03-01", json!("previous_year")).await;
    assert_eq!(buckets, [json!("2023-02-28"), json!(null), json!("2023-03-01")]);
    let shorter = json!({"date_from": "2026-11-18", "date_to": "2026-11-18"});
    let (buckets, rows, state) = compared("2026-11-19", "2026-11-20", shorter).await;
    assert_eq!(buckets, [json!("2026-11-18"), json!(null)]);
    assert_eq!((&rows[1]["compared"]["state"], state.as_str()), (&state, Some("provisional")));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn cancels_slow_reports(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect.clone()).await;
    shop(&mut world).await;
    let hasty = world.hasty(&connect).await;
    // What it reads is held.
    let mut holder = sqlx::PgConnection::connect_with(&connect).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    held.execute("LOCK TABLE read.statements IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let body = query(&json!({})).to_string();
    let headers = [("content-type", "application/json")];
    let refused = crate::support::send(hasty, "POST", "/v1/reports", &headers, Some(body)).await;
    assert_eq!(refused.problem(503), "report-too-slow");
    assert!(refused.body["detail"].as_str().unwrap().contains("shorter range"), "{refused}");
    assert!(!is_waited_for(&world).await);
    held.rollback().await.unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ends_reports_of_disconnected_callers(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect.clone()).await;
    shop(&mut world).await;
    let router =
        world.reading(&connect, "SET ROLE highwater_read; SET client_connection_check_interval = '10ms'").await;
    let mut holder = sqlx::PgConnection::connect_with(&connect).await.unwrap();
    let mut held = holder.begin().await.unwrap();
    held.execute("LOCK TABLE read.statements IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let caller =
        tokio::spawn(
            async move { crate::support::send(router, "GET", &report_path(&query(&json!({}))), &[], None).await },
        );
    let leaving = async {
        while !is_waited_for(&world).await {}
        caller.abort();
        // The lock is still there.
        while is_waited_for(&world).await {}
    };
    tokio::time::timeout(Duration::from_secs(20), leaving).await.expect("nobody waits, and the database works on");
    held.rollback().await.unwrap();
}

/// Whether a session of this database waits for a lock.
async fn is_waited_for(world: &World) -> bool {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                        WHERE d.datname = current_database() AND NOT l.granted)",
    )
    .fetch_one(&world.admin)
    .await
    .unwrap()
}
