//! Many reports at one position.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::statements::Statements;
use crate::support::given::{campaign, clicks, created, pushing};
use crate::support::{Reply, World, post, send};

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            created(2, "Hats", &["email"]),
            pushing(1, "tracker", "paid_search"),
            pushing(2, "mailer", "email"),
            clicks(1, 1, "2026-11-20T10:00:00Z", 5),
            clicks(2, 2, "2026-11-20T11:00:00Z", 7),
        ])
        .await;
    world
}

async fn ask(world: &World, reports: &Value) -> Reply {
    post(world, "/v1/dashboards", &json!({ "reports": reports })).await
}

async fn get(world: &World, dashboard: &Value) -> Reply {
    world.get(&format!("/v1/dashboards?query={}", URL_SAFE_NO_PAD.encode(dashboard.to_string()))).await
}

fn tile(more: &Value) -> Value {
    let mut tile =
        json!({"measures": ["clicks"], "date_from": "2026-11-18", "date_to": "2026-11-22", "time_zone": "UTC"});
    for (name, value) in more.as_object().unwrap() {
        tile[name] = value.clone();
    }
    tile
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reports_of_a_dashboard_succeed_or_fail_separately(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let by_channel = tile(&json!({"group_by": ["channel"], "totals": true, "limit": 1}));
    let reply = ask(
        &world,
        &json!({
            "by channel": by_channel,
            "crossed": {"group_by": ["country", "device"]},
            "misspelt": {"measures": ["clocks"]},
            "other page": {"cursor": "eyJ9"},
            "parts": tile(&json!({"filters": {"not": {"campaign_id": [campaign(1).to_string()]}}})),
        }),
    )
    .await
    .ok();
    let data = &reply.body["data"];
    let alone = world.report(&by_channel).await.ok();
    assert_eq!(data["by channel"], alone.body);
    assert_eq!(data["parts"]["data"][0]["clicks"], json!(7));
    let problem = |name: &str| {
        let problem = &data[name]["problem"];
        assert_eq!(problem["report"], json!(name));
        (problem["status"].clone(), problem["type"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
    };
    assert_eq!(problem("crossed"), (json!(422), "dimension-combination".to_owned()));
    assert_eq!(problem("misspelt"), (json!(400), "invalid-query".to_owned()));
    assert_eq!(data["misspelt"]["problem"]["errors"][0]["field"], json!("measures[0]"));
    assert_eq!(problem("other page"), (json!(400), "invalid-query".to_owned()));
    // The last event and the last boundary of its reports are those of this one. It tells of the sources of both.
    let events = |reply: &Reply| reply.body["meta"]["version"].as_str().unwrap().rsplit_once('.').unwrap().0.to_owned();
    assert_eq!(events(&reply), events(&alone));
    assert!(reply.etag().starts_with("W/\"dashboard:1:"), "{reply}");
    assert_eq!(reply.header("data-position"), alone.header("data-position"));
    // A cursor goes on as if the report had been asked for by itself.
    let mut next = by_channel.clone();
    next["cursor"] = data["by channel"]["page"]["next_cursor"].clone();
    assert_eq!(world.report(&next).await.ok().column("channel"), [json!("paid_search")]);

    let wrong = ask(&world, &json!({"misspelt": {"measures": ["clocks"]}})).await.ok();
    assert_eq!(wrong.body["data"]["misspelt"]["problem"]["status"], json!(400));
    let many: serde_json::Map<_, _> = (0..51).map(|n| (n.to_string(), json!({}))).collect();
    for (reports, status, field) in [
        (json!({}), 400, "reports"),
        (Value::Object(many), 400, "reports"),
        (json!({("x".repeat(101)): {}}), 400, "reports"),
        (json!([]), 422, "reports"),
    ] {
        let refused = ask(&world, &reports).await;
        assert_eq!((refused.status.as_u16(), refused.wrong_fields()), (status, vec![field]), "{refused}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn malformed_report_fails_no_other(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let good = tile(&json!({}));
    let alone = world.report(&good).await.ok();
    for (bad, field) in [
        (json!({"measures": "clicks"}), "measures"),
        (json!({"foo": 1}), "foo"),
        (json!({"filters": {"source": ["a\u{0}b"]}}), "filters.source[0]"),
        (json!({"limit": "ten"}), "limit"),
        (json!("clicks"), ""),
        (json!(null), ""),
        (json!([["clicks"]]), ""),
    ] {
        let reports = json!({"good": good, "bad": bad});
        let posted = ask(&world, &reports).await.ok();
        assert_eq!(posted.body["data"]["good"], alone.body, "{bad}");
        let (problem, by_itself) = (&posted.body["data"]["bad"]["problem"], world.report(&bad).await);
        assert_eq!(problem["report"], json!("bad"));
        for member in ["type", "title", "status", "errors"] {
            assert_eq!(problem[member], by_itself.body[member], "{bad}: {member}");
        }
        assert_eq!((by_itself.problem(422), by_itself.wrong_fields()), ("invalid-body", vec![field]), "{bad}");
        let got = get(&world, &json!({ "reports": reports })).await.ok();
        let twin = world.get(posted.header("content-location")).await.ok();
        for again in [got, twin] {
            assert_eq!((&again.text, again.etag()), (&posted.text, posted.etag()), "{bad}");
        }
    }
    let listed = post(&world, "/v1/dashboards", &json!([{"a": {}}])).await;
    assert_eq!((listed.problem(422), listed.wrong_fields()), ("invalid-body", vec![""]));
    // Nobody could tell which of them was meant.
    let headers = [("content-type", "application/json")];
    let twice = r#"{"reports": {"spend": {}, "clicks": {}, "spend": {"measures": ["spend"]}}}"#.to_owned();
    let refused = send(world.router.clone(), "POST", "/v1/dashboards", &headers, Some(twice)).await;
    assert_eq!((refused.problem(422), refused.wrong_fields()), ("invalid-body", vec!["reports.spend"]), "{refused}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn dashboard_etag_covers_all_reports(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let of = |n: u128| tile(&json!({"filters": {"campaign_id": [campaign(n).to_string()]}}));
    let one = json!({"one": of(1)});
    let both = json!({"one": of(1), "two": of(2)});
    let before = [ask(&world, &one).await.ok(), ask(&world, &both).await.ok()];
    world.given([clicks(2, 2, "2026-11-20T11:00:00Z", 1)]).await;
    let after = [ask(&world, &one).await.ok(), ask(&world, &both).await.ok()];
    assert_eq!(before[0].etag(), after[0].etag());
    assert_ne!(before[1].etag(), after[1].etag());
    assert_eq!(before[1].body["data"]["one"], after[1].body["data"]["one"]);
    assert_eq!(after[1].body["data"]["two"]["data"][0]["clicks"], json!(8));
}

/// Whatever comes in meanwhile, all reports of a dashboard tell of the same events, and totals are the sum of their rows.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn reports_share_a_position_while_events_arrive(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let reports = json!({
        "all": tile(&json!({"totals": true})),
        "by day": tile(&json!({"granularity": "day", "totals": true, "fill": "zero"})),
        "by source": tile(&json!({"group_by": ["source", "campaign"], "subtotals": "source", "totals": true, "limit": 1})),
        "not shoes": tile(&json!({"filters": {"not": {"campaign_id": [campaign(1).to_string()]}}})),
        "shoes": tile(&json!({"filters": {"campaign_id": [campaign(1).to_string()]}})),
    });
    let router = world.router.clone();
    let body = json!({ "reports": reports }).to_string();
    let headers = [("content-type", "application/json")];
    let reader = tokio::spawn(async move {
        let mut told = Vec::new();
        // Each sum is larger than the one before; the last event makes it end.
        while told.last().is_none_or(|sum| *sum < 12 + 30) {
            let reply = send(router.clone(), "POST", "/v1/dashboards", &headers, Some(body.clone())).await.ok();
            let sum = |name: &str, rows: &str| -> i64 {
                let rows = &reply.body["data"][name][rows];
                rows.as_array().unwrap().iter().filter_map(|row| row["clicks"].as_i64()).sum()
            };
            let all = sum("all", "data");
            for name in ["all", "by day", "by source"] {
                assert_eq!(reply.body["data"][name]["totals"]["clicks"], json!(all), "{name}: {reply}");
            }
            assert_eq!((sum("by day", "data"), sum("by source", "subtotals")), (all, all), "{reply}");
            assert_eq!(sum("shoes", "data") + sum("not shoes", "data"), all, "{reply}");
            told.push(all);
        }
        told
    });
    for n in 0..30_u128 {
        let day = format!("2026-11-{}T10:00:00Z", 18 + n % 4);
        world.given([clicks(1 + n % 2, 1 + n / 2 % 2, &day, 1)]).await;
    }
    let told = reader.await.unwrap();
    assert!(told.is_sorted(), "{told:?}");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn cacheable_get_gives_the_same_answer(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let shoes = json!({"filters": {"campaign_id": [campaign(1).to_string()]}, "measures": ["clicks"]});
    let reports = json!({"misspelt": {"measures": ["clocks"]}, "shoes": shoes});
    let posted = ask(&world, &reports).await.ok();
    let twin = posted.header("content-location").to_owned();
    let got = world.get(&twin).await.ok();
    assert_eq!((&got.text, got.etag()), (&posted.text, posted.etag()));
    let sent = get(&world, &json!({ "reports": reports })).await.ok();
    assert_eq!((&sent.text, sent.etag()), (&posted.text, posted.etag()));
    // What it does not show leaves it as it is; what it shows does not. A POST is answered whole.
    let held = [("if-none-match", posted.etag())];
    world.given([clicks(2, 2, "2026-11-20T11:00:00Z", 1)]).await;
    assert_eq!(world.get_with(&twin, &held).await.status, 304);
    let headers = [("content-type", "application/json"), held[0]];
    let body = json!({ "reports": reports }).to_string();
    let whole = send(world.router.clone(), "POST", "/v1/dashboards", &headers, Some(body)).await.ok();
    assert_eq!(whole.text, posted.text);
    world.given([clicks(1, 1, "2026-11-20T11:00:00Z", 1)]).await;
    assert_eq!(world.get_with(&twin, &held).await.ok().body["data"]["shoes"]["data"][0]["clicks"], json!(6));
    // A day later, the twin still asks for the same days.
    world.set_clock("2026-12-21T12:00:00Z");
    assert_eq!(world.get(&twin).await.ok().body["data"]["shoes"]["data"][0]["clicks"], json!(6));
    assert_eq!(
        get(&world, &json!({ "reports": {"shoes": shoes} })).await.ok().body["data"]["shoes"]["data"],
        json!([])
    );

    let many: Vec<_> = (0..200).map(|n| campaign(n).to_string()).collect();
    let long = ask(&world, &json!({"long": {"filters": {"campaign_id": many}}})).await.ok();
    assert!(!long.headers.contains_key("content-location"));
    for (dashboard, field) in
        [(json!({}), "query.reports"), (json!({"reports": {}}), "reports"), (json!({"reports": []}), "query.reports")]
    {
        let refused = get(&world, &dashboard).await;
        assert_eq!((refused.problem(400), refused.wrong_fields()), ("invalid-query", vec![field]), "{refused}");
    }
    for query in ["", "query=***", "query=eyI"] {
        assert_eq!(world.get(&format!("/v1/dashboards?{query}")).await.wrong_fields(), ["query"], "{query}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn common_lookups_of_reports_run_once(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let counted = Statements::count();
    let statements = async |reports: &Value, cached: bool| {
        let path = ask(&world, reports).await.ok().header("content-location").to_owned();
        let tag = send(world.fresh.clone(), "GET", &path, &[], None).await.ok().etag().to_owned();
        counted.begin();
        let held = [("if-none-match", tag.as_str())];
        let reply = send(world.fresh.clone(), "GET", &path, if cached { &held } else { &[] }, None).await;
        assert_eq!(reply.status.as_u16(), if cached { 304 } else { 200 });
        counted.so_far()
    };
    let many = |each: &[Value], times: usize| {
        let each = each.iter().cycle().take(times).enumerate();
        Value::Object(each.map(|(n, report)| (n.to_string(), report.clone())).collect())
    };
    let shoes = json!({"campaign_id": [campaign(1).to_string()]});
    let each = [
        tile(&json!({})),
        tile(&json!({"group_by": ["channel"], "measures": ["ctr"]})),
        tile(&json!({"filters": {"source": ["mailer"]}, "granularity": "day"})),
        tile(&json!({"filters": shoes})),
        tile(&json!({"filters": shoes, "group_by": ["source"]})),
    ];
    // To know that it still holds costs the same whatever the number of its reports.
    let few = statements(&many(&each, 5), true).await;
    assert!(few > 0);
    assert_eq!(statements(&many(&each, 10), true).await, few);
    // What each adds up it adds up by itself.
    assert!(statements(&many(&each, 10), false).await > statements(&many(&each, 5), false).await);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn temporary_rejection_is_rechecked(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let source = |n: u128| pushing(n, &format!("source {n}"), "email");
    // One part of a report for each source that there is.
    let each = (3..=27).map(|n| json!({"source": [format!("source {n}")], "campaign_id": [campaign(n).to_string()]}));
    let shoes = tile(&json!({"filters": {"campaign_id": [campaign(1).to_string()]}}));
    let parts = tile(&json!({"filters": {"or": each.collect::<Vec<_>>()}}));
    let dashboard = json!({"reports": {"shoes": shoes, "parts": parts}});

    world.given((3..=12).map(source)).await;
    let answered = get(&world, &dashboard).await.ok();
    assert_eq!(answered.body["data"]["parts"]["data"], json!([]), "{answered}");
    world.given((13..=27).map(source)).await;
    let refused = get(&world, &dashboard).await.ok();
    assert_eq!(refused.body["data"]["parts"]["problem"]["status"], json!(400), "{refused}");
    assert_ne!(refused.etag(), answered.etag());
    // Whatever happens may end it.
    world.given([clicks(2, 2, "2026-11-20T12:00:00Z", 1)]).await;
    assert_ne!(get(&world, &dashboard).await.ok().etag(), refused.etag());
}
