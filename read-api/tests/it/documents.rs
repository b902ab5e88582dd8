//! The OpenAPI document: that answers are as it says, and that what it lists is taken.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::World;
use crate::support::given::{campaign, created, pushing};

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shop", &["email"]), pushing(1, "tracker", "email")]).await;
    world
}

/// What the document says of one operation.
fn operation<'a>(document: &'a Value, path: &str, method: &str) -> &'a Value {
    &document["paths"][path][method]
}

/// The schema, or the one that it refers to. One of two, if the other is null.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let referring = [schema, &schema["oneOf"][0]].into_iter().find_map(|schema| schema["$ref"].as_str());
    let name = referring.map(|target| target.strip_prefix("#/components/schemas/").unwrap());
    name.map_or(schema, |name| &document["components"]["schemas"][name])
}

/// The values of a schema, with null if it allows that.
fn values_of(document: &Value, schema: &Value) -> Value {
    let mut values = resolved(document, schema)["enum"].clone();
    if schema["oneOf"][1] == json!({"type": "null"}) {
        values.as_array_mut().unwrap().push(Value::Null);
    }
    values
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn partial_campaigns_match_the_schema(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let document = world.get("/openapi.json").await.ok().body;
    let answer =
        &operation(&document, "/v1/campaigns", "get")["responses"]["200"]["content"]["application/json"]["schema"];
    let name = answer["$ref"].as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
    let listed = resolved(&document, &document["components"]["schemas"][name]["properties"]["data"]["items"]);
    let all = world.get("/v1/campaigns").await.ok();
    let members: BTreeSet<&String> = all.body["data"][0].as_object().unwrap().keys().collect();
    assert_eq!(members, listed["properties"].as_object().unwrap().keys().collect());
    let one = world.get("/v1/campaigns?fields=name").await.ok();
    assert_eq!(one.body["data"], json!([{"name": "Shop"}]));
    // No member is there whatever `fields` says; of one campaign, most are.
    assert_eq!(listed["required"], Value::Null);
    assert!(texts(&document["components"]["schemas"]["Campaign"]["required"]).contains(&"currency"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn accepts_every_documented_value(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let document = world.get("/openapi.json").await.ok().body;
    let mut listing = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for parameter in item["get"]["parameters"].as_array().into_iter().flatten() {
            let schema = &parameter["schema"];
            let [one, several] = [schema, &schema["items"]].map(|schema| &resolved(&document, schema)["enum"]);
            let values = [one, several].into_iter().filter_map(Value::as_array).flatten();
            // What also takes something that must be there takes these elsewhere.
            let others = item["get"]["parameters"].as_array().unwrap();
            let is_alone =
                !others.iter().any(|other| other["in"] == json!("query") && other["required"] == json!(true));
            for value in values.filter(|_| is_alone) {
                let (name, value) = (parameter["name"].as_str().unwrap(), value.as_str().unwrap());
                let path = path.replace("{id}", &campaign(1).to_string());
                world.get(&format!("{path}?{name}={value}")).await.ok();
                listing.insert(name);
            }
            if several.is_array() {
                assert_eq!((&parameter["style"], &parameter["explode"]), (&json!("form"), &json!(false)));
            }
        }
    }
    let closed = [
        "data_state",
        "fields",
        "fill",
        "granularity",
        "group_by",
        "on_timeout",
        "ratios",
        "retail_weeks",
        "sort",
        "status",
        "week_start",
        "year_start",
    ];
    assert_eq!(listing, BTreeSet::from(closed));

    let request = &document["components"]["schemas"]["ReportRequest"]["properties"];
    for member in ["granularity", "fill", "ratios", "week_start", "year_start", "retail_weeks"] {
        let values = values_of(&document, &request[member]);
        let values = values.as_array().unwrap();
        assert!(values.len() >= 2, "{values:?}");
        for value in values {
            world.report(&json!({ member: value })).await.ok();
        }
    }
    let subtotals = values_of(&document, &request["subtotals"]);
    for value in values_of(&document, &request["group_by"]["items"]).as_array().unwrap() {
        world.report(&json!({"group_by": [value], "subtotals": value})).await.ok();
        assert!(subtotals.as_array().unwrap().contains(value));
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn documents_values_of_members(options: PgPoolOptions, connect: PgConnectOptions) {
    let document = world(options, connect).await.get("/openapi.json").await.ok().body;
    let schemas = &document["components"]["schemas"];
    let states = json!(["live", "provisional", "final"]);
    let statuses = json!(["draft", "scheduled", "active", "paused", "completed", "archived"]);
    for (schema, member, values) in [
        ("Campaign", "status", &statuses),
        ("Pacing", "status", &statuses),
        ("SourceStatusBody", "status", &json!(["ok", "running", "late", "failed", "never", "ended"])),
        ("SourceFreshnessBody", "role", &json!(["primary", "reference"])),
        ("Freshness", "state", &states),
        ("ComparedRange", "state", &states),
        ("ProjectionStatus", "state", &json!(["live", "building", "standby", "missing"])),
        ("SourceStatusBody", "grain", &json!(["15m", "hour", "day", null])),
        ("Budget", "per", &json!(["total", "day"])),
        ("MeasureEntry", "unit", &json!(["count", "credit", "money", "ratio"])),
        ("Calendar", "retail_weeks", &json!(["4-4-5", "4-5-4", "5-4-4", null])),
    ] {
        assert_eq!(&values_of(&document, &schemas[schema]["properties"][member]), values, "{schema}.{member}");
    }
    assert_eq!(schemas["Problem"]["properties"]["status"]["enum"], Value::Null);
    assert_eq!(values_of(&document, &schemas["Filters"]["properties"]["status"]["items"]), statuses);
    assert_eq!(values_of(&document, &schemas["ReportRow"]["properties"]["state"]), states);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn documents_response_headers(options: PgPoolOptions, connect: PgConnectOptions) {
    let document = world(options, connect).await.get("/openapi.json").await.ok().body;
    let told = |path: &str, method: &str| {
        let headers = operation(&document, path, method)["responses"]["200"]["headers"].clone();
        let headers = headers.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        ["Link", "Content-Disposition", "Content-Location", "Preference-Applied", "ETag"]
            .into_iter()
            .filter(|name| headers.iter().any(|header| header == name))
            .collect::<Vec<_>>()
    };
    let rows = ["Link", "Content-Disposition", "Preference-Applied", "ETag"];
    assert_eq!(told("/v1/campaigns", "get"), rows);
    assert_eq!(told("/v1/reports", "get"), rows);
    assert_eq!(
        told("/v1/reports", "post"),
        ["Link", "Content-Disposition", "Content-Location", "Preference-Applied", "ETag"]
    );
    assert_eq!(told("/v1/dashboards", "post"), ["Content-Location", "Preference-Applied", "ETag"]);
    assert_eq!(told("/v1/campaigns/{id}", "get"), ["Preference-Applied", "ETag"]);
    // A refresh is not waited for.
    assert_eq!(told("/v1/leaderboard", "get"), ["Link", "Content-Disposition", "ETag"]);
}
