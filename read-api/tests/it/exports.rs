//! Rows as CSV: the same as the JSON, all of them, from one snapshot; and what is answered in which form.

use axum::body::Body;
use bytes::Bytes;
use domain::measure::Measure;
use domain::source::{SourceDefinition, SourceKind};
use futures_util::StreamExt;
use http::{Request, header};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt;

use crate::support::given::{campaign, clicks, created, days, definition, pulled, pushing, registered};
use crate::support::{CSV, KEY, Reply, World, send};

/// As many campaigns as three pages of an export hold.
async fn many(world: &mut World) {
    world.given([created(1, "=Shop, \"0\"", &["email", "video"])]).await;
    world.many_campaigns(2_500).await;
}

fn lines(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn csv_file_equals_the_pages(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    many(&mut world).await;
    let file = world.get_with("/v1/campaigns?sort=-name", &[CSV]).await.ok();
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"campaigns.csv\"");
    assert!(file.header("vary").contains("Accept"));
    assert!(file.header("data-position").contains("applied=2"));

    let mut pages = Vec::new();
    let first = "/v1/campaigns?sort=-name&limit=1000";
    let mut path = Some(first.to_owned());
    while let Some(next) = path.take() {
        let page = world.get(&next).await.ok();
        path = page.body["page"]["next_cursor"].as_str().map(|cursor| format!("{first}&cursor={cursor}"));
        pages.extend(page.body["data"].as_array().unwrap().clone());
    }
    let told = lines(&file.text);
    assert_eq!((told.len(), pages.len()), (2_501, 2_500));
    let column = |name: &str| told[0].iter().position(|column| column == name).unwrap();
    for (line, row) in told[1..].iter().zip(&pages) {
        for member in ["campaign_id", "status", "currency", "time_zone", "starts_on", "created_at"] {
            assert_eq!(line[column(member)], row[member].as_str().unwrap());
        }
        let name = row["name"].as_str().unwrap();
        let harmless = if name.starts_with('=') { format!("'{name}") } else { name.to_owned() };
        assert_eq!(line[column("name")], harmless);
        assert_eq!(line[column("version")], row["version"].to_string());
        assert_eq!((line[column("channels")].as_str(), line[column("ends_on")].as_str()), ("email;video", ""));
        assert_eq!((line[column("budget")].as_str(), line[column("budget_currency")].as_str()), ("5000.000000", "EUR"));
        assert_eq!(serde_json::from_str::<Value>(&line[column("attributes")]).unwrap(), row["attributes"]);
    }
    let some = world.get_with("/v1/campaigns?fields=name,budget&limit=2", &[CSV]).await.ok();
    let rows = [
        "name,budget,budget_currency,budget_per",
        "\"'=Shop, \"\"0\"\"\",5000.000000,EUR,total",
        "Shop 1,5000.000000,EUR,total",
    ];
    assert_eq!(some.text, rows.map(|row| format!("{row}\r\n")).concat());
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn csv_file_has_one_snapshot_or_breaks_off(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    many(&mut world).await;
    let read = async |world: &World, change: &'static str| {
        let request = Request::get("/v1/campaigns?fields=name,currency").header(CSV.0, CSV.1);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {KEY}")).body(Body::empty()).unwrap();
        let mut pieces = world.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
        let first = pieces.next().await.unwrap().unwrap();
        sqlx::query(change).execute(&world.admin).await.unwrap();
        let rest: Vec<Result<Bytes, axum::Error>> = pieces.collect().await;
        (first, rest)
    };
    let (first, rest) = read(&world, "UPDATE read.campaigns SET name = 'renamed'").await;
    let whole = rest.into_iter().fold(first.to_vec(), |whole, piece| [whole, piece.unwrap().to_vec()].concat());
    let whole = String::from_utf8(whole).unwrap();
    assert_eq!(whole.lines().count(), 2_501);
    assert!(!whole.contains("renamed"));

    // What cannot be read is met behind the first rows: then the file has no end.
    let spoil = "UPDATE read.campaigns SET state = '?', name = 'z' WHERE campaign_id = (SELECT max(campaign_id::text)::uuid FROM read.campaigns)";
    sqlx::query(spoil).execute(&world.admin).await.unwrap();
    let (_, rest) = read(&world, "SELECT 1").await;
    assert!(rest.last().unwrap().is_err());
    assert_eq!(world.get_with("/v1/campaigns?limit=1", &[CSV]).await.ok().text.lines().count(), 2);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn csv_has_columns_for_numbers(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world.given([pushing(1, "tracker", "paid_search"), pulled(2, "ads", "paid_search")]).await;
    world.given([created(1, "Shop", &["email"])]).await;
    world.given([clicks(1, 1, "2026-11-20T10:00:00Z", 3), clicks(1, 1, "2026-11-21T10:00:00Z", 4)]).await;
    world.given([days(2, 1, &[("2026-11-20", &[(Measure::Spend, 12_500_000)])])]).await;
    let range = "date_from=2026-11-20&date_to=2026-11-21&time_zone=UTC";
    let path = format!("/v1/campaigns/{}/metrics?measures=clicks,spend,ctr&{range}", campaign(1).0);
    let file = world.get_with(&path, &[CSV]).await.ok();
    let rows = world.get(&path).await.ok();
    let states = rows.column("state").into_iter().map(|state| state.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(
        file.text,
        format!(
            "bucket,clicks,spend,spend_currency,ctr,by_currency,state,restated_after_final\r\n\
             2026-11-20,3,12.500000,EUR,,,{},\r\n2026-11-21,4,,,,,{},\r\n",
            states[0], states[1]
        )
    );
    assert!(file.header("content-disposition").contains("metrics.csv"));
    // The same version in another form is another representation.
    assert_ne!(file.etag(), rows.etag());
    let held = ("if-none-match", file.etag());
    assert_eq!(world.get_with(&path, &[CSV, held]).await.status, 304);
    assert_eq!(world.get_with(&path, &[held]).await.status, 200);

    let query =
        json!({"measures": ["clicks"], "date_from": "2026-11-20", "date_to": "2026-11-21", "group_by": ["source"]});
    let headers = [CSV, ("content-type", "application/json")];
    let report = send(world.router.clone(), "POST", "/v1/reports", &headers, Some(query.to_string())).await.ok();
    let cells: Vec<_> = report.text.lines().nth(1).unwrap().split(',').take(4).collect();
    assert_eq!(cells, ["tracker", "primary", "", "7"]);
    let board = world.get_with("/v1/leaderboard?measure=clicks", &[CSV]).await.ok();
    assert_eq!(board.text, "rank,campaign_id,campaign,value\r\n");
    for list in ["activity", "corrections"] {
        let file = world.get_with(&format!("/v1/campaigns/{}/{list}", campaign(1).0), &[CSV]).await.ok();
        assert!(file.text.contains("position"), "{}", file.text);
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn amounts_of_both_ranges_name_their_currencies(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let dollars =
        SourceDefinition { currency: "USD".parse().unwrap(), ..definition("us", "display", SourceKind::Pull) };
    world.given([created(1, "Shop", &["display"]), pulled(1, "eu", "display"), registered(2, dollars)]).await;
    let spend: &[(Measure, i64)] = &[(Measure::Spend, 10_000_000)];
    world
        .given([days(1, 1, &[("2026-11-19", spend), ("2026-11-18", spend)]), days(2, 1, &[("2026-11-20", spend)])])
        .await;
    let file = async |to: &str| {
        let path = format!(
            "/v1/campaigns/{}/metrics?measures=spend&date_from=2026-11-19&date_to={to}&time_zone=UTC&compare_to=previous_period",
            campaign(1).0
        );
        lines(&world.get_with(&path, &[CSV]).await.ok().text)
    };
    let of = |told: &[Vec<String>], row: usize| {
        let columns = ["spend", "spend_compared", "spend_change", "spend_relative_change"];
        let place = |name: &str| told[0].iter().position(|column| column == name).unwrap();
        let amount = |name: &str| {
            let at = place(name);
            let currency = told[0].get(at + 1).filter(|column| **column == format!("{name}_currency"));
            currency.map_or_else(|| told[row][at].clone(), |_| format!("{} {}", told[row][at], told[row][at + 1]))
        };
        columns.map(amount)
    };
    // The same currency in both.
    assert_eq!(of(&file("2026-11-19").await, 1), ["10.000000 EUR", "10.000000 EUR", "0.000000 EUR", "0"]);
    // Dollars, and nothing beside euros; the days before hold nothing on their first.
    let told = file("2026-11-20").await;
    assert_eq!(of(&told, 1), ["10.000000 EUR", " ", " ", ""]);
    assert_eq!(of(&told, 2), ["10.000000 USD", "10.000000 EUR", " ", ""]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn unsupported_format_lists_the_supported_ones(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shop", &["email"])]).await;
    let offered = |reply: &Reply| {
        assert_eq!(reply.problem(406), "not-acceptable");
        reply.body["offered"].clone()
    };
    let one = format!("/v1/campaigns/{}", campaign(1).0);
    let list = world.get_with("/v1/campaigns", &[("accept", "text/html")]).await;
    assert_eq!(offered(&list), json!(["application/json", "text/csv"]));
    for path in [one.as_str(), &format!("{one}/pacing"), "/v1/freshness", "/v1/measures"] {
        assert_eq!(offered(&world.get_with(path, &[CSV]).await), json!(["application/json"]));
        world.get_with(path, &[("accept", "text/html, */*;q=0.1")]).await.ok();
    }
    // A problem before the first row is a problem in this form too.
    assert_eq!(world.get_with("/v1/campaigns?limit=0", &[CSV]).await.problem(400), "invalid-query");
    let nobody = format!("/v1/campaigns/{}/activity", campaign(9).0);
    assert_eq!(world.get_with(&nobody, &[CSV]).await.problem(404), "not-found");
}
