//! The examples of both OpenAPI documents: what they ask is taken, and the answers that they show are to what they ask.

use std::collections::{BTreeMap, BTreeSet};

use http_edge::docs::ApiDocs;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, TestSystem};

const NOW: &str = "2026-11-22T11:44:00Z";
const JSON: &str = "application/json";

/// An operation as its document describes it.
struct Operation {
    method: String,
    path: String,
    described: Value,
    schemas: Value,
}

/// The operations of an API by their ids.
fn operations(api: &ApiDocs) -> BTreeMap<String, Operation> {
    let document = serde_json::to_value(api.document()).unwrap();
    let mut operations = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, described) in item.as_object().unwrap() {
            let operation = Operation {
                method: method.clone(),
                path: path.clone(),
                described: described.clone(),
                schemas: document["components"]["schemas"].clone(),
            };
            operations.insert(described["operationId"].as_str().unwrap().to_owned(), operation);
        }
    }
    operations
}

impl Operation {
    /// Its media type and example of a body.
    fn body(&self) -> Option<(&str, Value)> {
        let (media_type, content) = self.described["requestBody"]["content"].as_object()?.iter().next()?;
        let of_list = || Some(json!([self.of_schema(&content["schema"]["items"])?]));
        let own = Some(&content["example"]).filter(|example| !example.is_null()).cloned();
        Some((media_type, own.or_else(|| self.of_schema(&content["schema"])).or_else(of_list).unwrap()))
    }

    fn of_schema(&self, schema: &Value) -> Option<Value> {
        let name = schema["$ref"].as_str()?.rsplit('/').next()?;
        Some(self.schemas[name]["example"].clone()).filter(|example| !example.is_null())
    }

    /// Its path with the query that the examples of its parameters make.
    fn address(&self, campaign: &str, source: &str) -> String {
        let path = self.path.replace("{id}", campaign).replace("{name}", source);
        let parameters = self.described["parameters"].as_array().into_iter().flatten();
        let pairs = parameters.filter(|parameter| parameter["in"] == "query").filter_map(|parameter| {
            let value = match &parameter["example"] {
                Value::Null if parameter["required"] == true => Value::from(source),
                Value::Null => return None,
                example => example.clone(),
            };
            let texts: Vec<_> = match &value {
                Value::Array(items) => items.iter().map(text).collect(),
                one => vec![text(one)],
            };
            Some(format!("{}={}", parameter["name"].as_str().unwrap(), texts.join(",")))
        });
        let query: Vec<_> = pairs.collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    /// Sends its example, and gives status and body of the answer.
    async fn ask(&self, url: &str, address: &str, accept: &str, caller: &Caller) -> (String, String) {
        let body = self.body().map(|(_, body)| body).unwrap_or_default();
        self.send(url, address, accept, caller, &body).await
    }

    /// Sends a body, if it takes one, and gives status and body of the answer.
    async fn send(&self, url: &str, address: &str, accept: &str, caller: &Caller, body: &Value) -> (String, String) {
        let method = self.method.to_uppercase().parse().unwrap();
        let request = reqwest::Client::new().request(method, format!("{url}{address}"));
        let request = request.bearer_auth(caller.key()).header(ACCEPT, accept);
        let request = match self.body() {
            Some((media_type, _)) => request.header(CONTENT_TYPE, media_type).body(body.to_string()),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16().to_string(), answer.text().await.unwrap())
    }

    /// The example of its answer in JSON.
    fn answer(&self) -> Value {
        let content = &self.described["responses"]["200"]["content"][JSON];
        Some(&content["example"]).filter(|example| !example.is_null()).cloned().unwrap()
    }

    /// The first line of the example of its answer as a file.
    fn columns(&self) -> Option<&str> {
        self.described["responses"]["200"]["content"]["text/csv"]["example"].as_str()?.lines().next()
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn members(value: &Value) -> BTreeSet<&String> {
    value.as_object().into_iter().flat_map(|object| object.keys()).collect()
}

/// The commands in an order in which each can be carried out, with the source that their path or query names.
const COMMANDS: [(&str, &str); 28] = [
    ("register_source", "google_ads"),
    ("show_source", "google_ads"),
    ("change_source", "google_ads"),
    ("list_source_activity", "google_ads"),
    ("create_campaign", ""),
    ("edit_campaign", ""),
    ("set_budget", ""),
    ("launch_campaign", ""),
    ("record_observations", "shop_tracker"),
    ("record_observation_lines", "shop_tracker"),
    ("record_cloud_event", "shop_tracker"),
    ("record_cloud_events", "shop_tracker"),
    ("record_statements", "google_ads"),
    ("report_sync", "google_ads"),
    ("pause_campaign", ""),
    ("resume_campaign", ""),
    ("complete_campaign", ""),
    ("archive_campaign", ""),
    ("unarchive_campaign", ""),
    ("end_source", "google_ads"),
    ("resume_source", "google_ads"),
    ("list_sources", ""),
    ("set_calendar", ""),
    ("set_money_limit", ""),
    ("list_rejections", ""),
    ("retry_rejections", ""),
    ("delete_rejections", ""),
    ("archive_campaign", ""),
];

/// Operations on one rejected item, whose id no example can know.
const OF_ONE_REJECTION: [&str; 2] = ["delete_rejection", "retry_rejection"];

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn examples_of_commands_are_carried_out(pool: PgPool) {
    let system = TestSystem::start(&pool, NOW).await;
    let caller = system.workspace("acme").await;
    caller.push_source("shop_tracker").await;
    let known = json!({ "name": "Winter", "channels": ["email"], "currency": "EUR", "time_zone": "UTC",
        "starts_on": "2026-11-01", "external_ids": [{ "id": "winter-sale" }] });
    let mut campaign = campaign_of(&caller.post("/v1/campaigns", &known).await.expect(201).body);
    let operations = operations(&command_api::description());
    for (id, source) in COMMANDS {
        let operation = &operations[id];
        let address = operation.address(&campaign, source);
        let (status, answer) = operation.ask(&system.command_url(), &address, JSON, &caller).await;
        assert!(
            status.starts_with('2') && operation.described["responses"][&status].is_object(),
            "{id}: {status} {answer}"
        );
        // Of lines, the answer to their chunk.
        let answer: Value = serde_json::from_str(answer.lines().next().unwrap()).unwrap();
        assert_eq!(answer["rejected"].as_u64().unwrap_or_default(), 0, "{id}: {answer}");
        if id == "create_campaign" {
            campaign = campaign_of(&answer);
        }
    }
    let asked: BTreeSet<&str> = COMMANDS.iter().map(|(id, _)| *id).chain(OF_ONE_REJECTION).collect();
    assert_eq!(asked, operations.keys().map(String::as_str).collect());
    system.stop().await;
}

fn campaign_of(answer: &Value) -> String {
    answer["campaign_id"].as_str().unwrap().to_owned()
}

/// What parsers and programs say, and no caller understands.
const PARSER_WORDS: [&str; 14] = [
    ", expected ",
    "invalid type",
    "invalid value",
    "struct ",
    "enum ",
    "variant",
    "untagged",
    "sequence",
    "visitor",
    "i64",
    "u64",
    "serde",
    "premature",
    "trailing",
];

/// The paths of all values in a body, as JSON pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, member)| (name.replace('/', "~1"), member)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in inner {
        pointers(value, &format!("{at}/{name}"), found);
    }
}

/// The example with one value replaced.
fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn wrong_values_are_told_in_words_of_the_api(pool: PgPool) {
    let system = TestSystem::start(&pool, NOW).await;
    let caller = system.workspace("acme").await;
    caller.push_source("shop_tracker").await;
    caller.pull_source("google_ads").await;
    let campaign = caller.campaign("Winter").await;
    for (id, operation) in operations(&command_api::description()) {
        let Some((_, example)) = operation.body() else { continue };
        let source = if id.contains("observation") || id.contains("cloud") { "shop_tracker" } else { "google_ads" };
        let address = operation.address(&campaign, source);
        let mut places = Vec::new();
        pointers(&example, "", &mut places);
        for place in &places {
            let value = example.pointer(place).unwrap();
            let list = value.as_object().map(|members| members.values().cloned().collect::<Value>());
            let others = [Value::Null, json!(-7), json!("?"), json!(true), json!([7]), json!({ "?": 1 })];
            for other in list.clone().into_iter().chain(others) {
                let is_list = list.as_ref() == Some(&other);
                let body = with(&example, place, other);
                let (status, answer) = operation.send(&system.command_url(), &address, JSON, &caller, &body).await;
                let said = format!("{id} {body}: {status} {answer}");
                assert!(!status.starts_with('5'), "{said}");
                let told: Vec<&str> = answer.lines().filter(|line| line.contains("detail")).collect();
                for words in PARSER_WORDS {
                    assert!(told.iter().all(|line| !line.contains(words)), "{words} in {said}");
                }
                if is_list {
                    let is_refused = status == "422" || answer.contains("\"rejected\":1");
                    let says_what_is_taken = answer.contains("object") || answer.contains(r#"{\"amount\""#);
                    assert!(is_refused && says_what_is_taken, "{said}");
                }
            }
        }
    }
    system.stop().await;
}

/// What the workspace's examples call "the campaign" is another one here.
fn without_ids(mut query: Value) -> Value {
    for parent in ["", "/filters"] {
        if let Some(object) = query.pointer_mut(parent).and_then(Value::as_object_mut) {
            object.remove("campaign_id");
        }
    }
    query
}

fn expect_same_question(id: &str, shown: &Value, given: &Value) {
    let (shown, given) = (&shown["meta"], &given["meta"]);
    assert_eq!(without_ids(given["query"].clone()), without_ids(shown["query"].clone()), "{id}");
    assert_eq!(given["model"], shown["model"], "{id}");
    for part in ["dates", "compared", "freshness"] {
        assert_eq!(given[part].is_null(), shown[part].is_null(), "{id}: {part}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn examples_of_answers_are_to_the_examples_of_requests(pool: PgPool) {
    let system = TestSystem::start_as(&pool, NOW, |mut config| {
        config.command_api = Some("http://127.0.0.1:8081".to_owned());
        config
    })
    .await;
    let caller = system.workspace_in("acme", "Europe/Berlin".parse().unwrap()).await;
    let campaign = populate(&caller).await;
    system.refresh_leaderboard().await;
    for (id, operation) in operations(&read_api::description()) {
        let address = operation.address(&campaign, "");
        let (status, answer) = operation.ask(&system.read_url(), &address, JSON, &caller).await;
        assert_eq!(status, "200", "{id}: {answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let shown = operation.answer();
        assert_eq!(members(&answer), members(&shown), "{id}");
        expect_same_question(&id, &shown, &answer);
        if let Some(tiles) = shown["data"].as_object().filter(|_| id.ends_with("_dashboard")) {
            assert_eq!(members(&answer["data"]), tiles.keys().collect(), "{id}");
            for (name, tile) in tiles {
                let given = &answer["data"][name];
                assert_eq!(members(given), members(tile), "{id}: {name}");
                assert_eq!(given["problem"]["type"], tile["problem"]["type"], "{id}: {name}");
                expect_same_question(name, tile, given);
            }
        }
        if let Some(columns) = operation.columns() {
            let (_, file) = operation.ask(&system.read_url(), &address, "text/csv", &caller).await;
            assert_eq!(file.lines().next(), Some(columns), "{id}");
        }
    }
    system.stop().await;
}

/// A workspace with a campaign that has numbers.
async fn populate(caller: &Caller) -> String {
    caller.push_source("tracker").await;
    let campaign = caller.campaign("Winter sale").await;
    caller.observe("tracker", &campaign, 1, 5).await;
    caller.caught_up().await;
    campaign
}
