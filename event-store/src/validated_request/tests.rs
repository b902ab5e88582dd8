use proptest::prelude::*;

use super::*;
use crate::append::{ItemKey, Metadata};

fn request(events: Vec<NewEvent>) -> AppendRequest {
    AppendRequest {
        workspace: 7,
        stream_type: "campaign",
        stream_id: "7/a".to_owned(),
        expected: ExpectedVersion::Any,
        events,
        metadata: Metadata::default(),
        claims: Vec::new(),
        item_preconditions: Vec::new(),
        receipt: None,
        recorded_at: DateTime::UNIX_EPOCH,
    }
}

fn event(payload: Payload) -> NewEvent {
    NewEvent { event_type: "Happened".to_owned(), event_version: "1".to_owned(), payload }
}

fn item(content: &str, key: Option<(u128, &str)>) -> Item {
    let key = key.map(|(id, day)| ItemKey {
        day: day.parse().unwrap(),
        also_under: None,
        id: Uuid::from_u128(id),
        fingerprint: 1,
    });
    Item { key, when_taken: OnDuplicate::Skip, content: content.to_owned() }
}

fn items(items: Vec<Item>) -> Payload {
    Payload::Items { head: r#"{"items":["#.to_owned(), items, tail: "]}".to_owned() }
}

#[track_caller]
fn refused(request: AppendRequest) {
    assert!(matches!(prepare(request), Err(AppendError::Invalid(_))));
}

#[test]
fn rejects_json_that_cannot_be_read_back() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    for payload in
        ["", "{", "{} {}", "1e999", r#""\ud800""#, r#"{"a":"\u0000"}"#, r#"{"\u0000":1}"#, "\"\u{1}\"", &deep]
    {
        refused(request(vec![event(Payload::Json(payload.to_owned()))]));
        refused(request(vec![event(items(vec![item(payload, None)]))]));
    }
}

#[test]
fn keeps_readable_json_verbatim() {
    for payload in ["null", "-1.50", r#"{ "a" : [ true, "ü\n\\u0000" ] }"#, r#""\ud83d\ude00""#] {
        let prepared = prepare(request(vec![event(Payload::Json(payload.to_owned()))])).unwrap();
        assert_eq!(prepared.events[0].payload, payload);
    }
}

#[test]
fn accepts_items_only_as_array_elements() {
    for (head, tail) in [("{", "}"), (r#"{"a":"#, "}"), (r#"{"a":"["#, r#"]"}"#), ("[1", "]"), ("", ""), ("[", "")] {
        let (head, tail) = (head.to_owned(), tail.to_owned());
        refused(request(vec![event(Payload::Items { head, items: vec![item("1", None)], tail })]));
    }
    refused(request(vec![event(items(vec![item("1,2", None)]))]));
    refused(request(vec![event(items(vec![item("[1", None), item("2]", None)]))]));
}

#[test]
fn rejects_an_item_id_repeated_within_a_day() {
    let (monday, tuesday) = ("2026-01-05", "2026-01-06");
    refused(request(vec![event(items(vec![item("1", Some((1, monday))), item("2", Some((1, monday)))]))]));
    refused(request(vec![
        event(items(vec![item("1", Some((1, monday)))])),
        event(items(vec![item("1", Some((1, monday)))])),
    ]));
    let prepared =
        prepare(request(vec![event(items(vec![item("1", Some((1, tuesday))), item("2", Some((1, monday)))]))]))
            .unwrap();
    assert_eq!(prepared.keys.iter().map(|key| key.item).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn rejects_invalid_names() {
    let valid = request(Vec::new());
    refused(AppendRequest { stream_id: "8/a".to_owned(), ..valid.clone() });
    refused(AppendRequest { stream_id: "7".to_owned(), ..valid.clone() });
    refused(AppendRequest { stream_id: "7/".to_owned(), ..valid.clone() });
    refused(AppendRequest { stream_id: "7/a\0".to_owned(), ..valid.clone() });
    refused(AppendRequest { stream_id: format!("7/{}", "a".repeat(2_000)), ..valid.clone() });
    refused(AppendRequest { expected: ExpectedVersion::Exact(-1), ..valid.clone() });
    refused(AppendRequest { metadata: Metadata([("actor".to_owned(), "\0".to_owned())].into()), ..valid.clone() });
    let receipt = |key: &str, response: &str| {
        Some(Receipt { key: key.to_owned(), digest: [0; 32], response: response.to_owned() })
    };
    refused(AppendRequest { receipt: receipt("", ""), ..valid.clone() });
    refused(AppendRequest { receipt: receipt("k", "\0"), ..valid.clone() });
    let claim = |key: &str, then| Claim { kind: "name", key: key.to_owned(), expect: ClaimPrecondition::Any, then };
    refused(AppendRequest { claims: vec![claim("", ClaimEffect::Keep)], ..valid.clone() });
    let put = ClaimEffect::Put { owner: String::new(), state: "\0".to_owned() };
    refused(AppendRequest { claims: vec![claim("k", put)], ..valid.clone() });
    let versioned = NewEvent { event_version: "1.0".to_owned(), ..event(Payload::Json("1".to_owned())) };
    refused(AppendRequest { events: vec![versioned], ..valid });
}

#[test]
fn rejects_events_without_items() {
    let prepared = prepare(request(vec![event(items(Vec::new()))])).unwrap();
    assert!(prepared.events.is_empty());
}

#[test]
fn numbers_items_across_events() {
    let prepared = prepare(request(vec![
        event(items(vec![item("1", None), item("2", None)])),
        event(items(vec![item("3", None), item("4", Some((1, "2026-01-05")))])),
    ]))
    .unwrap();
    let events: Vec<_> = prepared.events.iter().map(|event| (event.first_item, event.items)).collect();
    // The items of the first event cannot be taken, so the database need not know where they are.
    assert_eq!(events, [(0, 0), (2, 2)]);
    assert_eq!(prepared.items.len(), 2);
}

proptest! {
    #[test]
    fn item_offsets_point_at_the_items(contents in proptest::collection::vec("[a-zäß€\u{1F600}]{0,5}", 1..20)) {
        let contents: Vec<String> = contents.iter().map(|text| format!("\"{text}\"")).collect();
        let keyed = contents.iter().enumerate().map(|(id, text)| item(text, Some((id as u128, "2026-01-05")))).collect();
        let prepared = prepare(request(vec![event(items(keyed))])).unwrap();
        let payload = &prepared.events[0].payload;
        prop_assert_eq!(payload, &format!(r#"{{"items":[{}]}}"#, contents.join(",")));
        for ((offset, length), content) in prepared.items.iter().zip(&contents) {
            prop_assert_eq!(&payload[*offset..offset + length], content);
        }
    }
}
