//! Whatever is sent is answered, and never with a fault of ours.

use axum::http::Method;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Api, Call, campaign, source};

/// Values that programs get wrong.
fn odd_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "\u{0}",
            "a\u{0}b",
            "\u{feff}",
            "\u{202e}",
            "*",
            "..",
            "%",
            "\n",
            "-1",
            "1e999",
            "NaN",
            "2026-11-20",
            "2026-11-21T21:00:00Z",
            "9999-12-31",
            "0000-01-01T00:00:00Z",
            "2026-11-21T23:59:60Z",
            "+262142-01-01",
            "-262143-01-01T00:00:00Z",
            "EUR",
            "UTC",
            "day",
            "push",
            "pull",
            "primary",
            "completed",
            "shop",
            "ads",
            "00000000-0000-0000-0000-000000000000",
            "1000000000",
            "999999999.999999",
        ])
        .prop_map(Value::from),
        Just(Value::from("x".repeat(3_000))),
        Just(json!(1e308)),
        Just(json!(u64::MAX)),
        Just(json!({"amount": "999999999.999999", "currency": "EUR"})),
        (1..200_usize).prop_map(|depth| (0..depth).fold(json!(1), |inner, _| json!([inner]))),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A sound body with some members replaced, dropped or added, at any depth.
fn broken(sound: Value) -> impl Strategy<Value = Value> {
    prop::collection::vec((any::<prop::sample::Index>(), prop::option::weighted(0.8, odd_value())), 0..4).prop_map(
        move |changes| {
            let mut body = sound.clone();
            for (index, value) in changes {
                let places = pointers(&body);
                let place = &places[index.index(places.len())];
                change(&mut body, place, value);
            }
            body
        },
    )
}

/// Every place in a document.
fn pointers(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let inner: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.replace('~', "~0").replace('/', "~1"), member)).collect()
        }
        _ => Vec::new(),
    };
    for (name, member) in inner {
        found.extend(pointers(member).into_iter().map(|rest| format!("/{name}{rest}")));
    }
    found
}

fn change(body: &mut Value, place: &str, value: Option<Value>) {
    match (value, place.rsplit_once('/')) {
        (Some(value), _) => {
            if let Some(target) = body.pointer_mut(place) {
                *target = value;
            }
        }
        (None, Some((parent, name))) => {
            if let Some(Value::Object(members)) = body.pointer_mut(parent) {
                members.remove(name);
            }
        }
        (None, None) => *body = Value::Null,
    }
}

/// A sound request for every route.
fn sound(campaign_id: Uuid) -> Vec<(Method, String, Value)> {
    let mut whole = campaign();
    whole["ends_on"] = json!("2026-12-31");
    whole["budget"] = json!({"amount": "25000.00", "currency": "EUR"});
    whole["external_ids"] = json!([{"source": "shop", "id": "1"}]);
    whole["attributes"] = json!({"region": "dach"});
    let mut registration = source("mail", "push");
    registration["measure_roles"] = json!({"clicks": "reference"});
    let observations = json!({"source": "shop", "observations": [
        {"id": "o-1", "campaign_id": campaign_id, "type": "conversion", "occurred_at": "2026-11-21T21:00:00Z",
            "count": 0.5, "value": {"amount": "59.90", "currency": "EUR"}, "dimensions": {"country": "DE"}},
        {"id": "o-2", "external_campaign_id": "winter", "type": "spend", "occurred_at": "2026-11-21T21:00:00Z", "value": 1.5},
        {"id": "r-1", "type": "conversion", "occurred_at": "2026-11-21T21:30:00Z", "value": "50.00",
            "adjusts": {"id": "o-1", "day": "2026-11-21"}},
        {"id": "r-2", "external_campaign_id": "winter", "type": "spend", "occurred_at": "2026-11-21T21:30:00Z", "adjusts": "o-2"},
    ]});
    let statements = json!({"source": "ads", "grain": "day", "time_zone": "Europe/Berlin", "statements": [
        {"campaign_id": campaign_id, "bucket": "2026-11-20", "measures": {"clicks": 5, "spend": "1.25"},
            "stated_at": "2026-11-21T21:00:00Z"},
        {"external_campaign_id": "winter", "bucket": "2026-11-19", "measures": {"impressions": "5"}},
    ]});
    let sync = json!({"status": "completed", "complete_through": "2026-11-21T21:00:00Z", "grain": "day"});
    let one = format!("/v1/campaigns/{campaign_id}");
    vec![
        (Method::POST, "/v1/campaigns".to_owned(), whole.clone()),
        (Method::PATCH, one.clone(), whole),
        (Method::PUT, format!("{one}/budget"), json!({"budget": {"amount": 5, "currency": "EUR"}})),
        (Method::POST, format!("{one}/launch"), json!({})),
        (Method::POST, format!("{one}/pause"), json!({})),
        (Method::POST, "/v1/sources".to_owned(), registration),
        (Method::POST, "/v1/observations".to_owned(), observations),
        (Method::POST, "/v1/statements".to_owned(), statements),
        (Method::POST, "/v1/sources/ads/syncs".to_owned(), sync),
        (Method::POST, "/v1/sources/ads/syncs".to_owned(), json!({"status": "failed", "reason": "quota"})),
    ]
}

/// Forms of observations beside the JSON batch.
const MEDIA_TYPES: [&str; 3] =
    ["application/x-ndjson", "application/cloudevents+json", "application/cloudevents-batch+json"];

/// Observations that are CloudEvents, too, and so are nearly sound in each of those forms.
fn forms(campaign_id: Uuid) -> Value {
    let event = |id: &str| {
        json!({"specversion": "1.0", "id": id, "source": "shop", "type": "com.example.conversion",
            "time": "2026-11-21T21:00:00Z", "subject": "winter", "datacontenttype": "application/json",
            "data": {"campaign_id": campaign_id, "count": 0.5, "value": {"amount": "59.90", "currency": "EUR"},
                "dimensions": {"country": "DE"}, "adjusts": {"id": "o-1", "day": "2026-11-21"}}})
    };
    json!([event("f-1"), event("f-2")])
}

/// Texts that are no JSON document, or hardly one.
fn odd_text(body: &Value) -> Vec<Vec<u8>> {
    let text = body.to_string();
    let half = &text.as_bytes()[..text.len() / 2];
    vec![
        half.to_vec(),
        format!("{text}{text}").into_bytes(),
        format!("\u{feff}{text}").into_bytes(),
        [text.as_bytes(), b"\xff"].concat(),
        [b"\x00", text.as_bytes()].concat(),
        text.replace(':', ": 1e999999, \"x\":").into_bytes(),
        "[".repeat(100_000).into_bytes(),
        format!("{{\"source\":\"shop\",\"observations\":[{}]}}", "[".repeat(100_000)).into_bytes(),
        format!("{{\"source\":\"shop\",\"observations\":[{}{}]}}", "[".repeat(50_000), "]".repeat(50_000)).into_bytes(),
        text.replace("\"shop\"", "\"\\ud800\"").into_bytes(),
        text.replace("\"clicks\":5", "\"clicks\":5,\"clicks\":6").into_bytes(),
    ]
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn no_body_causes_a_server_error(pool: PgPool) {
    let api = Api::start(pool).await;
    api.source("shop", "push").await;
    api.source("ads", "pull").await;
    let id = api.campaign(&json!([{"id": "winter"}])).await;
    let mut runner = TestRunner::new(Config::default());
    for round in 0..40 {
        for (method, path, body) in sound(id) {
            let body = broken(body).new_tree(&mut runner).unwrap().current();
            let call = Call::new(method, &path).json(&body);
            let call = if round % 2 == 0 { call } else { call.once(&format!("{path}-{round}")) };
            let reply = api.call(call).await;
            assert!(!reply.status.is_server_error(), "{path} {body}\n{reply}");
        }
    }
    for (method, path, body) in sound(id) {
        for text in odd_text(&body) {
            let reply = api.call(Call::new(method.clone(), &path).bytes(&text)).await;
            assert!(!reply.status.is_server_error(), "{path} {}\n{reply}", String::from_utf8_lossy(&text));
        }
    }
    for round in 0..40 {
        let body = broken(forms(id)).new_tree(&mut runner).unwrap().current();
        for media_type in MEDIA_TYPES {
            let call = Call::post("/v1/observations?source=shop").typed(media_type, body.to_string().as_bytes());
            let reply = api.call(if round % 2 == 0 { call } else { call.once(&format!("{media_type}-{round}")) }).await;
            assert!(!reply.status.is_server_error(), "{media_type} {body}\n{reply}");
        }
    }
    for text in odd_text(&forms(id)).into_iter().chain(odd_text(&forms(id)[0])) {
        for media_type in MEDIA_TYPES {
            for coding in ["identity", "gzip", "zstd"] {
                let call = Call::post("/v1/observations?source=shop").typed(media_type, &text);
                let reply = api.call(call.header("content-encoding", coding)).await;
                let shown = String::from_utf8_lossy(&text);
                assert!(!reply.status.is_server_error(), "{media_type} {coding} {shown}\n{reply}");
            }
        }
    }
    // What was accepted in between is a log that can be read.
    let stored: Vec<(String, String, String, String)> = sqlx::query_as(
        "SELECT aggregate_type, event_type, event_version, payload::text FROM log.events ORDER BY position",
    )
    .fetch_all(&api.pool)
    .await
    .unwrap();
    for (stream_type, event_type, event_version, payload) in stored {
        let event = domain::event::Event::decode(&stream_type, &event_type, &event_version, &payload);
        assert!(event.is_ok(), "{event:?} {payload}");
    }
}
