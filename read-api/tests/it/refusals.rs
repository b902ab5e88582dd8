//! Every bad input is refused by name, and never with a 5xx.

use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{campaign, clicks, created, pushing};
use crate::support::{World, post, report_path, send};

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pushing(1, "tracker", "paid_search"),
            clicks(1, 1, "2026-11-20T10:00:00Z", 5),
        ])
        .await;
    world
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_invalid_parameters_by_name(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let metrics = format!("/v1/campaigns/{}/metrics", campaign(1));
    for (path, query, field) in [
        (&*metrics, "time_zone=Mars/Olympus", "time_zone"),
        (&metrics, "time_zone=", "time_zone"),
        (&metrics, "date_from=2026-02-30", "date_from"),
        (&metrics, "date_from=2026-2-3", "date_from"),
        (&metrics, "date_from=%2B2026-1-21", "date_from"),
        (&metrics, "date_from=2026-%2011-1", "date_from"),
        (&metrics, "date_from=1969-12-31", "date_from"),
        (&metrics, "date_to=%2B262142-01-01", "date_to"),
        (&metrics, "date_from=2026-11-02&date_to=2026-11-01", "date_from"),
        (&metrics, "date_from=1970-01-01&date_to=2199-12-31&granularity=all", "date_to"),
        (&metrics, "date_from=2025-01-01&date_to=2026-11-01&granularity=15m", "granularity"),
        (&metrics, "granularity=fortnight", "granularity"),
        (&metrics, "week_start=sun", "week_start"),
        (&metrics, "year_start=13", "year_start"),
        (&metrics, "retail_weeks=4-4-4", "retail_weeks"),
        (&metrics, "measures=clicks,clocks", "measures[1]"),
        (&metrics, "measures=", "measures[0]"),
        (&metrics, "group_by=weather", "group_by[0]"),
        (&metrics, "group_by=campaign", "group_by"),
        (&metrics, "limit=0", "limit"),
        (&metrics, "limit=1001", "limit"),
        (&metrics, "limit=-1", "limit"),
        (&metrics, "limit=many", "limit"),
        (&metrics, "cursor=x", "cursor"),
        (&metrics, "data_state=maybe", "data_state"),
        (&metrics, "min_position=-1", "min_position"),
        (&metrics, "max_staleness=5", "max_staleness"),
        (&metrics, "max_staleness=-5s", "max_staleness"),
        (&metrics, "max_staleness=99999999999999999999s", "max_staleness"),
        (&metrics, "max_staleness=9223372036854775807h", "max_staleness"),
        (&metrics, "on_timeout=panic", "on_timeout"),
        (&metrics, "colour=red", "colour"),
        ("/v1/campaigns", "status=running", "status[0]"),
        ("/v1/campaigns", "channel=paid_search,PAID", "channel[1]"),
        ("/v1/campaigns", "sort=spend", "sort"),
        ("/v1/campaigns", "fields=name,secret", "fields[1]"),
        ("/v1/campaigns", "limit=0", "limit"),
        ("/v1/campaigns", "q=a%00b", "q"),
        ("/v1/campaigns", "q=%ff", "q"),
        ("/v1/campaigns", "limit=1&limit=2", "limit"),
        ("/v1/campaigns", "page=2", "page"),
        ("/v1/freshness", "verbose=1", "verbose"),
        ("/v1/measures", "verbose=1", "verbose"),
        ("/v1/workspace", "verbose=1", "verbose"),
        ("/v1/reports", "", "query"),
        ("/v1/reports", "query=***", "query"),
        ("/v1/reports", "query=eyI", "query"),
    ] {
        let reply = world.get(&format!("{path}?{query}")).await;
        assert_eq!(reply.problem(400), "invalid-query", "{query}: {reply}");
        let named = reply.wrong_fields();
        assert!(named.contains(&field), "{query}: {reply}");
    }
    let long = format!("/v1/campaigns?q={}", "x".repeat(201));
    assert_eq!(world.get(&long).await.wrong_fields(), ["q"]);
    let all = world.get(&format!("{metrics}?granularity=x&limit=0&measures=y&time_zone=z")).await;
    assert_eq!(all.wrong_fields(), ["time_zone", "granularity", "measures[0]", "limit"]);
    for absent in [
        "/v1/campaigns/7",
        "/v1/campaigns/7/metrics",
        "/v1/campaigns/%00",
        "/v1/campaigns/00000000-0000-0000-0000-000000000000",
    ] {
        assert_eq!(world.get(absent).await.problem(404), "not-found", "{absent}");
    }
}

/// A report whose filter nests so deeply.
fn nested(levels: usize) -> Value {
    let filter = (0..levels).fold(json!({"source": ["a"]}), |inner, _| json!({ "not": inner }));
    json!({ "filters": filter })
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_invalid_reports_by_field(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let many: Vec<String> = (0..1001).map(|n| format!("s{n}")).collect();
    for (query, field) in [
        (json!({"measures": []}), "measures"),
        (json!({"measures": ["clicks", "cost"]}), "measures[1]"),
        (json!({"order_by": ["-spend"], "measures": ["clicks"]}), "order_by[0]"),
        (json!({"order_by": ["source"]}), "order_by[0]"),
        (json!({"order_by": ["--clicks"]}), "order_by[0]"),
        (json!({"group_by": ["source", "day"]}), "group_by[1]"),
        (json!({"filters": {"campaign_id": ["7"]}}), "filters.campaign_id[0]"),
        (json!({"filters": {"status": ["draft", "late"]}}), "filters.status[1]"),
        (json!({"filters": {"channel": [""]}}), "filters.channel[0]"),
        (json!({"filters": {"source": many}}), "filters.source"),
        (json!({"limit": 1_000_000}), "limit"),
        (json!({"date_from": "yesterday"}), "date_from"),
        (json!({"date_from": "2026-11-23"}), "date_from"),
        (nested(100), "filters.not.not.not.not.not.not"),
        (json!({"filters": {"or": [{}]}}), "filters.or[0]"),
        (json!({"compare_to": "yesterday"}), "compare_to"),
        (json!({"measures": vec!["clicks"; 1_001]}), "measures"),
        (json!({"group_by": vec!["source"; 1_001]}), "group_by"),
        (json!({"order_by": vec!["bucket"; 1_001]}), "order_by"),
        (json!({"compare_to": {"date_from": "2026-11-02", "date_to": "2026-11-01"}}), "compare_to.date_from"),
        (json!({"date_from": "1970-01-01", "date_to": "1970-01-01", "compare_to": "previous_period"}), "compare_to"),
        (json!({"fill": "nulls"}), "fill"),
        (json!({"week_start": "someday"}), "week_start"),
        (json!({"subtotals": "source"}), "subtotals"),
    ] {
        for reply in [world.report(&query).await, world.get(&report_path(&query)).await] {
            assert_eq!((reply.problem(400), reply.wrong_fields()), ("invalid-query", vec![field]), "{query}");
        }
    }
    for (query, field) in [
        (json!({"measure": ["clicks"]}), "measure"),
        (json!({"filters": {"region": ["DACH"]}}), "filters.region"),
        (json!({"limit": "ten"}), "limit"),
        (json!({"filters": {"source": ["a\u{0}b"]}}), "filters.source[0]"),
        (json!({"compare_to": {"date_from": 1}}), "compare_to.date_from"),
        (json!({"compare_to": {"date_from": "2026-10-01"}}), "compare_to.date_to"),
        (json!([["clicks"], "2026-11-01"]), ""),
    ] {
        let posted = world.report(&query).await;
        assert_eq!((posted.problem(422), posted.wrong_fields()), ("invalid-body", vec![field]), "{query}");
        let got = world.get(&report_path(&query)).await;
        assert_eq!(got.problem(400), "invalid-query");
        assert_eq!(got.wrong_fields(), [if field.is_empty() { "query".to_owned() } else { format!("query.{field}") }]);
    }
    let headers = [("content-type", "application/json")];
    // Deeper than any parser of ours goes.
    let deep = format!("{{\"filters\":{}{{}}{}}}", "{\"not\":".repeat(5_000), "}".repeat(5_000));
    let deep = send(world.router.clone(), "POST", "/v1/reports", &headers, Some(deep)).await;
    assert!(deep.status.is_client_error() && deep.text.contains("recursion limit"), "{deep}");
    let malformed = send(world.router.clone(), "POST", "/v1/reports", &headers, Some("{".to_owned())).await;
    assert_eq!(malformed.problem(400), "malformed-json");
    let text =
        send(world.router.clone(), "POST", "/v1/reports", &[("content-type", "text/plain")], Some("{}".to_owned()))
            .await;
    assert_eq!(text.problem(415), "unsupported-media-type");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn document_describes_every_route(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let document = world.get("/openapi.json").await.ok().body;
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        [
            "/v1/campaigns",
            "/v1/campaigns/{id}",
            "/v1/campaigns/{id}/activity",
            "/v1/campaigns/{id}/corrections",
            "/v1/campaigns/{id}/metrics",
            "/v1/campaigns/{id}/pacing",
            "/v1/dashboards",
            "/v1/freshness",
            "/v1/leaderboard",
            "/v1/measures",
            "/v1/pacing",
            "/v1/reports",
            "/v1/workspace"
        ]
    );
    assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"], json!("bearer"));
    let reports = document["paths"]["/v1/reports"].as_object().unwrap();
    assert_eq!(reports.keys().collect::<Vec<_>>(), ["get", "post"]);
    // Every read takes how fresh, every list a page; what cannot be left out says so.
    let parameters = |path: &str| {
        let of = document["paths"][path]["get"]["parameters"].as_array().unwrap().clone();
        of.into_iter().map(|parameter| (parameter["name"].as_str().unwrap().to_owned(), parameter)).collect::<Vec<_>>()
    };
    let names: Vec<_> = parameters("/v1/campaigns/{id}/activity").into_iter().map(|(name, _)| name).collect();
    let told = ["Consistency-Token", "Prefer", "If-None-Match"];
    let common = ["limit", "cursor", "min_position", "max_staleness", "on_timeout"];
    assert_eq!(names, [&["id"][..], &common, &told].concat());
    for (path, name) in [("/v1/reports", "query"), ("/v1/dashboards", "query"), ("/v1/leaderboard", "measure")] {
        let (_, parameter) = parameters(path).into_iter().find(|(of, _)| of == name).unwrap();
        assert_eq!(
            (&parameter["required"], &parameter["schema"]["type"]),
            (&json!(true), &json!("string")),
            "{parameter}"
        );
    }
    // What they show works as it is, and asks what is posted.
    for (path, schema) in [("/v1/reports", "ReportRequest"), ("/v1/dashboards", "DashboardRequest")] {
        let (_, parameter) = parameters(path).into_iter().find(|(name, _)| name == "query").unwrap();
        let got = world.get(&format!("{path}?query={}", parameter["example"].as_str().unwrap())).await.ok();
        let posted = post(&world, path, &document["components"]["schemas"][schema]["example"]).await.ok();
        assert_eq!((&got.text, got.etag()), (&posted.text, posted.etag()));
        assert_eq!(world.get(path).await.body["errors"], json!([{"field": "query", "detail": "is missing"}]));
    }
    // Whatever is referred to is there.
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert_ne!(document["components"]["schemas"][name], Value::Null, "{name}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn catalogue_lists_every_measure(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let reply = world.get("/v1/measures").await.ok();
    let find = |name: &str| {
        reply.body["data"].as_array().unwrap().iter().find(|entry| entry["name"] == json!(name)).unwrap().clone()
    };
    assert_eq!(
        find("conversions"),
        json!({"name": "conversions", "unit": "credit", "additive": true,
               "description": "Goals reached; fractional where credit is shared."})
    );
    assert_eq!(
        find("cpm"),
        json!({"name": "cpm", "unit": "money", "additive": false, "formula": "1000 * spend / impressions",
               "inputs": ["spend", "impressions"], "family": "rate", "meets_in": "cell",
               "operands": ["cpm.spend", "cpm.impressions"]})
    );
    assert_eq!((&find("roas")["family"], &find("ctr")["meets_in"]), (&json!("efficiency"), &json!("source")));
    let again = world.get_with("/v1/measures", &[("if-none-match", reply.etag())]).await;
    assert_eq!(again.status.as_u16(), 304);
}
