//! What nobody asks in good faith is refused by name, or answered for what it is: never with a 5xx, and never for long.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::observation::ObservationType::Click;
use serde_json::{Map, Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{Given, campaign, clicks, created, observed, pushing, sale_corrected};
use crate::support::{World, report_path, send};

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    let names = ["100% _off_ (.*)+$", "Shoes \\d [a-z]", "'; DROP TABLE read.campaigns; --", "Hats"];
    let campaigns = names.iter().zip(1..).map(|(name, n)| created(n, name, &["email"]));
    world.given(campaigns).await;
    // Enough sources for more rows than a report may have.
    let sources = (1..=25).flat_map(|n| {
        [pushing(n, &format!("tracker {n}"), "paid_search"), clicks(n, 1 + n % 4, "2026-11-20T10:00:00Z", 1)]
    });
    world.given(sources).await;
    let corrected = |id: &'static str, when| -> [Given; 2] {
        let sale = observed(1, 1, &[(Click, when, 1, None)]);
        [sale, sale_corrected((1, 1), (id, "o-0", "2026-11-21T10:00:00Z"), when, (-1, None), (0, None))]
    };
    world.given(corrected("c-1", "2026-11-20T11:00:00Z")).await;
    world.given(corrected("c-2", "2026-11-20T12:00:00Z")).await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn search_treats_patterns_as_text(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    for (q, found) in [
        ("%25", vec!["100% _off_ (.*)+$"]),
        ("_", vec!["100% _off_ (.*)+$"]),
        ("%25%20_OFF", vec!["100% _off_ (.*)+$"]),
        (".*", vec!["100% _off_ (.*)+$"]),
        ("(a%2B)%2B%24", vec![]),
        ("%5C", vec!["Shoes \\d [a-z]"]),
        ("%5Bs%5D", vec![]),
        ("';%20drop", vec!["'; DROP TABLE read.campaigns; --"]),
        ("%F0%9F%A6%84", vec![]),
        (&"%F0%9F%A6%84".repeat(200), vec![]),
    ] {
        let reply = world.get(&format!("/v1/campaigns?q={q}")).await.ok();
        assert_eq!(reply.column("name"), found.into_iter().map(Value::from).collect::<Vec<_>>(), "{q}");
    }
    for pattern in [".*", "%", "tracker _", "(a+)+$", "' OR 1 = 1 --"] {
        let reply = world.report(&json!({"filters": {"source": [pattern]}})).await.ok();
        assert_eq!((&reply.body["data"], reply.warnings()), (&json!([]), vec!["unknown_source"]), "{pattern}");
        let query = json!({"filters": {"country": [pattern]}, "measures": ["clicks"]});
        assert_eq!(world.report(&query).await.ok().body["data"], json!([]), "{pattern}");
        assert_eq!(world.report(&json!({"filters": {"channel": [pattern]}})).await.problem(400), "invalid-query");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn oversized_request_names_its_limit(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let many = |n: usize| (0..n).map(|n| format!("s{n}")).collect::<Vec<_>>();
    let list = many(1001).join(",");
    let metrics = format!("/v1/campaigns/{}/metrics", campaign(1));
    let corrections = format!("/v1/campaigns/{}/corrections", campaign(1));
    let far = "9".repeat(40);
    for (path, query, field) in [
        ("/v1/campaigns", format!("status={list}"), "status"),
        ("/v1/campaigns", format!("channel={list}"), "channel"),
        ("/v1/campaigns", format!("source={list}"), "source"),
        ("/v1/campaigns", format!("fields={list}"), "fields"),
        ("/v1/campaigns", format!("sort={}", "-".repeat(10_000)), "sort"),
        ("/v1/campaigns", format!("limit={far}"), "limit"),
        ("/v1/campaigns", format!("limit=-{far}"), "limit"),
        ("/v1/campaigns", format!("min_position={far}"), "min_position"),
        ("/v1/campaigns", format!("max_staleness={far}h"), "max_staleness"),
        (&corrections, format!("date_from={far}"), "date_from"),
        (&corrections, "date_from=1970-01-01&date_to=2199-12-31".to_owned(), "date_to"),
        (&metrics, "granularity=15m&date_from=2020-01-01".to_owned(), "granularity"),
        (&metrics, format!("compare_to=1970-01-01/{far}"), "compare_to.date_to"),
        (&metrics, format!("limit={far}"), "limit"),
        ("/v1/leaderboard", format!("measure={list}"), "measure"),
        ("/v1/pacing", format!("status={list}"), "status"),
        ("/v1/pacing", "sort=starts_on".to_owned(), "sort"),
        ("/v1/leaderboard", "measure=clicks&window=9999999d".to_owned(), "window"),
    ] {
        let reply = world.get(&format!("{path}?{query}")).await;
        assert_eq!(reply.problem(400), "invalid-query", "{reply}");
        let named = reply.wrong_fields();
        assert!(named.contains(&field), "{reply}");
    }
    let ahead = world.get("/v1/campaigns?min_position=9223372036854775807").await;
    assert_eq!(ahead.problem(400), "unknown-position");

    let conditions =
        |n| json!({"filters": {"or": many(n).iter().map(|name| json!({"source": [name]})).collect::<Vec<_>>()}});
    let apart: Vec<_> =
        (1..=25).map(|n| json!({"source": [format!("tracker {n}")], "country": [format!("c{n}")]})).collect();
    for (query, field) in [
        (conditions(51), "filters.or[50]"),
        (conditions(20_000), "filters.or[50]"),
        (json!({"filters": {"or": apart}}), "filters"),
        (json!({"filters": {"country": many(1001)}}), "filters.country"),
        (json!({"filters": {"campaign_id": vec![campaign(1); 1001]}}), "filters.campaign_id"),
        (json!({"group_by": many(2_000)}), "group_by"),
        (json!({"order_by": many(2_000)}), "order_by"),
        (json!({"measures": many(2_000)}), "measures"),
        (json!({"limit": i64::MAX}), "limit"),
    ] {
        let reply = world.report(&query).await;
        assert_eq!(
            (reply.problem(400), reply.wrong_fields().first().copied()),
            ("invalid-query", Some(field)),
            "{reply}"
        );
        assert!(reply.text.len() < 200_000, "{} bytes of {field}", reply.text.len());
    }
    for number in ["1e999", "18446744073709551616", "-1e-400", "1.5"] {
        let headers = [("content-type", "application/json")];
        let body = format!("{{\"limit\": {number}}}");
        let reply = send(world.router.clone(), "POST", "/v1/reports", &headers, Some(body)).await;
        assert!(reply.status.is_client_error(), "{number}: {reply}");
    }
    // Rows without end: each source by each quarter of an hour.
    let endless = json!({"measures": ["clicks"], "group_by": ["source"], "granularity": "15m", "fill": "zero",
                         "date_from": "2026-08-20", "date_to": "2026-11-22"});
    for reply in [world.report(&endless).await, world.get(&report_path(&endless)).await] {
        assert_eq!(reply.problem(422), "report-too-large");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn fifty_of_the_largest_reports_are_answered_or_refused(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let range = json!({"measures": ["clicks"], "granularity": "15m", "fill": "zero", "totals": true,
                       "date_from": "2026-08-12", "date_to": "2026-11-22", "limit": 1_000});
    let with = |more: Value| {
        let members: [Map<String, Value>; 2] = [range.clone(), more].map(|part| part.as_object().unwrap().clone());
        Value::Object(members.into_iter().flatten().collect())
    };
    let reports: Map<String, Value> = (0..50)
        .map(|n| {
            let report = match n % 5 {
                0 => with(json!({"group_by": ["source"]})),
                1 => with(json!({"group_by": ["campaign", "source"], "compare_to": "previous_year"})),
                2 => with(json!({"group_by": ["country", "device"]})),
                3 => with(json!({"date_from": "1970-01-01"})),
                _ => with(json!({"date_from": format!("2026-11-{:02}", 1 + n % 20)})),
            };
            (format!("report {n:02}"), report)
        })
        .collect();
    let headers = [("content-type", "application/json")];
    let body = json!({ "reports": reports }).to_string();
    let reply = send(world.router.clone(), "POST", "/v1/dashboards", &headers, Some(body)).await.ok();
    for (n, (name, tile)) in reply.body["data"].as_object().unwrap().iter().enumerate() {
        let problem = tile["problem"]["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap();
        let expected = ["report-too-large", "report-too-large", "dimension-combination", "invalid-query", ""][n % 5];
        assert_eq!(problem, expected, "{name}: {tile}");
        assert_eq!(tile["problem"]["report"].as_str(), Some(name.as_str()).filter(|_| !expected.is_empty()));
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_tampered_cursors(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let id = campaign(1).to_string();
    let (activity, corrections) = (format!("/v1/campaigns/{id}/activity"), format!("/v1/campaigns/{id}/corrections"));
    let metrics = format!("/v1/campaigns/{id}/metrics");
    let huge = json!(9_223_372_036_854_775_808_u64);
    for (path, keys) in [
        ("/v1/campaigns?limit=1", vec![json!(["\u{0}", id]), json!([id]), json!([1, id]), json!(["x", "7"])]),
        (
            "/v1/campaigns?limit=1&sort=created_at",
            vec![json!(["now", id]), json!(["+262142-12-31T23:59:59Z", id]), json!(["-4712-01-01T00:00:00Z", id])],
        ),
        ("/v1/campaigns?limit=1&sort=-starts_on", vec![json!(["2026-02-30", id]), json!(["+99999-01-01", id])]),
        (&format!("{activity}?limit=1"), vec![json!([huge, "x"]), json!([1.5, "x"]), json!([1, "\u{0}"]), json!([])]),
        (
            &format!("{corrections}?limit=1"),
            vec![json!(["2026-11-20T11:00:00Z", huge, 0]), json!(["1970-01-01T00:00:00Z", 1, 0]), json!(["", 1, huge])],
        ),
        (
            &format!("{metrics}?limit=1&group_by=source&date_from=2026-11-20"),
            vec![json!([huge]), json!("x"), json!({"a": []})],
        ),
    ] {
        let page = world.get(path).await.ok();
        let cursor =
            page.body["page"]["next_cursor"].as_str().unwrap_or_else(|| panic!("no next page: {path}: {page}"));
        let mut whole: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).unwrap()).unwrap();
        for key in keys.into_iter().chain([json!(null)]) {
            whole["k"] = key;
            let cursor = URL_SAFE_NO_PAD.encode(whole.to_string());
            let reply = world.get(&format!("{path}&cursor={cursor}")).await;
            assert_eq!(
                (reply.problem(400), reply.wrong_fields()),
                ("invalid-query", vec!["cursor"]),
                "{path}: {whole}"
            );
        }
    }
}
