//! Nothing crosses workspaces, keys decide, and the role can read what it should and nothing else.

use domain::measure::Measure;
use http::StatusCode;
use platform::keys::{NewKey, insert_key};
use platform::principal::Scope;
use secrecy::SecretString;
use serde_json::json;
use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{at, campaign, clicks, created, days, opened, pulled, pushing};
use crate::support::{World, report_path};

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn shows_nothing_of_another_workspace(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Ours", &["email"]),
            pushing(1, "tracker", "email"),
            clicks(1, 1, "2026-11-20T10:00:00Z", 1),
        ])
        .await;
    let other = world.open("other", "hw_other").await;
    // The same ids, on purpose: a workspace leads every key.
    world
        .append(
            other,
            [
                opened("Asia/Tokyo"),
                created(1, "Theirs", &["sms"]),
                created(2, "Only theirs", &["sms"]),
                pulled(1, "theirs", "sms"),
                days(1, 1, &[("2026-11-20", &[(Measure::Clicks, 100)])]),
                days(1, 2, &[("2026-11-20", &[(Measure::Clicks, 1000)])]),
            ],
        )
        .await;
    world.project().await;

    assert_eq!(world.get("/v1/campaigns").await.ok().column("name"), [json!("Ours")]);
    for path in ["", "/metrics"] {
        let path = format!("/v1/campaigns/{}{path}", campaign(2));
        assert_eq!(world.get(&path).await.problem(404), "not-found");
    }
    let query = json!({"date_from": "2026-11-20", "date_to": "2026-11-20", "measures": ["clicks"]});
    let path = report_path(&query);
    let ours = world.get(&path).await.ok();
    assert_eq!(ours.column("clicks"), [json!(1)]);
    let foreign = json!({"filters": {"campaign_id": [campaign(2).to_string()]}});
    assert_eq!(world.report(&foreign).await.ok().warnings(), ["unknown_campaign"]);
    let sources = &world.get("/v1/freshness").await.ok().body["data"]["sources"];
    assert_eq!(sources.as_array().unwrap().len(), 1);

    let key = ("authorization", "Bearer hw_other");
    let theirs = world.get_with(&path, &[key]).await.ok();
    assert_eq!(theirs.column("clicks"), [json!(1100)]);
    assert_eq!(theirs.body["meta"]["time_zone"], json!("Asia/Tokyo"));
    // Their ETag is not ours, and ours says nothing to them.
    assert_ne!(theirs.etag().rsplit(':').next(), ours.etag().rsplit(':').next());
    let conditional = world.get_with(&path, &[key, ("if-none-match", ours.etag())]).await;
    assert_eq!(conditional.status, StatusCode::OK);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn key_decides_the_workspace(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let mut conn = world.admin.acquire().await.unwrap();
    let new = NewKey { workspace: world.workspace, name: "writer", scopes: &[Scope::Command] };
    insert_key(&mut conn, new, &SecretString::from("hw_writer"), at("2026-11-22T00:00:00Z")).await.unwrap();
    let campaign = format!("/v1/campaigns/{}", campaign(1));
    let metrics = format!("{campaign}/metrics");
    for path in ["/v1/campaigns", &campaign, &metrics, "/v1/reports?query=e30", "/v1/freshness", "/v1/measures"] {
        let unknown = world.get_with(path, &[("authorization", "Bearer hw_nobody")]).await;
        assert_eq!(unknown.problem(401), "unauthorized", "{path}");
        let writer = world.get_with(path, &[("authorization", "Bearer hw_writer")]).await;
        assert_eq!(writer.problem(403), "forbidden", "{path}");
    }
    world.get_with("/openapi.json", &[("authorization", "none")]).await.ok();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn read_role_cannot_read_the_log(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect).await;
    let mut conn = world.admin.acquire().await.unwrap();
    conn.execute("SET ROLE highwater_read").await.unwrap();
    conn.execute("SELECT * FROM read.campaigns, log.heads, auth.keys LIMIT 1").await.unwrap();
    for denied in [
        "SELECT payload FROM log.events",
        "SELECT recorded_at FROM log.events",
        "SELECT * FROM log.claims",
        "UPDATE read.campaigns SET name = 'x'",
        "DELETE FROM auth.keys",
    ] {
        let error = conn.execute(denied).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42501", "{denied}");
    }
}
