//! The OpenAPI document: that answers are as it says, and that what it lists is taken.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::given::{campaign, created, pushing};
use crate::world::World;

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shop", &["email"]), pushing(1, "tracker", "email")]).await;
    world
}

/// What the document says of one operation.
fn operation<'a>(document: &'a Value, path: &str, method: &str) -> &'a Value {
    &document["paths"][path][method]
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn campaigns_of_some_members_are_as_it_says(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let document = world.get("/openapi.json").await.ok().body;
    let answer =
        &operation(&document, "/v1/campaigns", "get")["responses"]["200"]["content"]["application/json"]["schema"];
    let name = answer["$ref"].as_str().unwrap().strip_prefix("#/components/schemas/").unwrap();
    let mut listed = &document["components"]["schemas"][name]["properties"]["data"]["items"];
    if let Some(name) = listed["$ref"].as_str() {
        listed = &document["components"]["schemas"][name.strip_prefix("#/components/schemas/").unwrap()];
    }
    let all = world.get("/v1/campaigns").await.ok();
    let members: BTreeSet<&String> = all.body["data"][0].as_object().unwrap().keys().collect();
    assert_eq!(members, listed["properties"].as_object().unwrap().keys().collect());
    let one = world.get("/v1/campaigns?fields=name").await.ok();
    assert_eq!(one.body["data"], json!([{"name": "Shop"}]));
    // No member is there whatever `fields` says; of one campaign, most are.
    assert_eq!(listed["required"], Value::Null);
    assert!(texts(&document["components"]["schemas"]["Campaign"]["required"]).contains(&"currency"));
}
