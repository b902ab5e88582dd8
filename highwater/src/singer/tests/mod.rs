//! Messages, records, bookmarks and mappings of taps.

mod taps; // messages as the taps write them

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::measure::Measure;
use serde_json::{Value, json};

use super::bookmarks::bookmark;
use super::input::{InputError, TapInput};
use super::mapping::{SHIPPED, TapMapping};
use super::message::{Message, MessageError};
use crate::import::judge::Verdict;
use crate::import::numbers::DecimalMark;
use crate::import::run::{OpenedFile, Options};
use crate::import::sources;
use crate::import::table::Reading;

/// What a tap wrote, as it is judged.
struct Judged {
    verdict: Verdict,
    /// The currency of its source.
    currency: String,
}

impl Judged {
    /// The sum of a measure, in its smallest unit.
    fn told(&self, measure: Measure) -> i64 {
        let values = self.verdict.items.iter().flat_map(|item| &item.values);
        values.filter(|(told, _)| *told == measure).map(|(_, value)| value).sum()
    }

    /// Campaign and day of each item.
    fn cells(&self) -> Vec<(&str, String)> {
        let items = self.verdict.items.iter();
        items.map(|item| (self.verdict.campaigns[item.campaign].name.as_str(), item.day.to_string())).collect()
    }
}

fn input(mapping: TapMapping, messages: &[Value]) -> TapInput {
    let mut input = TapInput::new(mapping);
    for message in messages {
        input.take(&message.to_string()).unwrap();
    }
    input
}

fn record(stream: &str, record: impl Into<Value>) -> Value {
    let record: Value = record.into();
    json!({"type": "RECORD", "stream": stream, "record": record, "time_extracted": "2026-11-21T04:00:00.000000Z"})
}

/// Judges a stream of a tap whose mapping is shipped.
#[track_caller]
fn judge(tap: &str, stream: &str, messages: &[Value]) -> Judged {
    let input = input(TapMapping::find(tap).unwrap(), messages);
    let mapping = &input.mapping().streams[stream];
    let mut columns = mapping.columns.clone();
    columns.decimal_mark = Some(DecimalMark::Point);
    let reading = Reading { delimiter: Some(b','), ..Reading::default() };
    let options = Options { mapping: columns, reading, ..Options::default() };
    let opened = OpenedFile::read(input.streams[stream].records.csv(mapping).unwrap(), &options).unwrap();
    let now = "2026-11-21T06:00:00Z".parse().unwrap();
    let plan = opened.plan(&options, now).unwrap();
    let facts = sources::settle(&plan, &opened.survey.sources, &BTreeMap::new()).unwrap();
    let verdict = opened.judge(&options, &facts, now, &|_| {});
    assert_eq!(verdict.refused, []);
    let currency = facts.values().next().unwrap().currency.to_string();
    Judged { verdict, currency }
}

#[test]
fn shipped_mappings_are_whole() {
    for (tap, _) in SHIPPED {
        let mapping = TapMapping::find(tap).unwrap();
        assert!(!mapping.streams.is_empty(), "{tap}");
        for stream in mapping.streams.values().map(|stream| &stream.columns) {
            let has_campaign = !stream.campaign_from.names.is_empty() || !stream.campaign_id_from.names.is_empty();
            assert!(stream.source.is_some() && stream.channel.is_some() && has_campaign, "{tap}");
            assert!(!stream.date_from.names.is_empty() && !stream.measures.is_empty(), "{tap}");
            let platform = stream.platform.as_deref();
            assert!(platform.is_none_or(|name| domain::source::Platform::find(name).is_some()), "{platform:?}");
        }
    }
    let told = TapMapping::find("tap-face").unwrap_err().to_string();
    assert!(told.contains("neither a file nor a mapping") && told.contains("tap-facebook, tap-ga4"), "{told}");
}

#[test]
fn messages_are_told_apart() {
    let read = |line: &str| line.parse::<Message>();
    let schema = r#"{"type": "SCHEMA", "stream": "ads", "schema": {"properties": {}}, "key_properties": ["id"]}"#;
    assert_eq!(read(schema), Ok(Message::Schema { stream: "ads".to_owned() }));
    assert_eq!(read(r#"{"type": "STATE", "value": {"a": 1}}"#), Ok(Message::State(json!({"a": 1}))));
    assert_eq!(read(r#"{"type": "ACTIVATE_VERSION", "stream": "ads", "version": 1}"#), Ok(Message::Other));
    assert_eq!(read(r#"{"type": "BATCH", "stream": "ads", "manifest": []}"#), Err(MessageError::Batch));
    for wrong in ["INFO starting", "{}", "[]", r#"{"type": "RECORD", "stream": "ads"}"#] {
        assert_eq!(read(wrong), Err(MessageError::Malformed), "{wrong}");
    }
}

#[test]
fn line_at_fault_is_named() {
    let mut input = TapInput::new(TapMapping::find("tap-facebook").unwrap());
    input.take("").unwrap();
    let error = input.take("INFO starting").unwrap_err();
    assert_eq!(error, InputError::Message { line: 2, error: MessageError::Malformed });
    assert_eq!(error.to_string(), "line 2 is not a Singer message; taps write their log to standard error");
}

#[test]
fn bookmark_is_that_of_the_slowest() {
    let day = |state: Value| bookmark(&state, "ads").map(|day| day.to_string());
    let of = |value: Value| day(json!({"bookmarks": {"ads": value, "ads_by_country": "2020-01-01"}}));
    assert_eq!(of(json!("2026-11-20")).as_deref(), Some("2026-11-20"));
    assert_eq!(of(json!({"date": "2026-11-20T00:00:00+00:00"})).as_deref(), Some("2026-11-20"));
    let accounts = json!({"1": {"last_report_date": "2026-11-20"}, "2": {"last_report_date": "2026-11-18"}});
    assert_eq!(of(accounts).as_deref(), Some("2026-11-18"));
    let partitions = json!({"partitions": [
        {"context": {"since": "2024-01-01"}, "replication_key": "date", "replication_key_value": "2026-11-19"},
        {"replication_key_value": "2026-11-20", "starting_replication_value": "2024-01-01",
         "progress_markers": {"replication_key_value": "2024-01-01"}},
    ]});
    assert_eq!(of(partitions).as_deref(), Some("2026-11-19"));
    // A tap that has not finished a stream has no bookmark for it.
    assert_eq!(of(json!({"progress_markers": {"replication_key_value": "2026-11-20"}})), None);
    assert_eq!(of(json!({"version": 1, "id": "2026-11-20x"})), None);
    // Some taps begin the name with that of an account, and some know no member `bookmarks`.
    assert_eq!(day(json!({"bookmarks": {"77_ads": {"date": "2026-11-20"}}})).as_deref(), Some("2026-11-20"));
    assert_eq!(day(json!({"ads": "2026-11-20"})).as_deref(), Some("2026-11-20"));
    assert_eq!(day(json!({})), None);
}

#[test]
fn streams_without_a_mapping_are_counted() {
    let messages = [record("ads", json!({"id": 1})), record("ads", json!({"id": 2}))];
    let input = input(TapMapping::find("tap-facebook").unwrap(), &messages);
    assert_eq!((input.skipped["ads"], input.streams.len()), (2, 0));
}

#[test]
fn days_from_the_last_state_on_are_held_back() {
    let day = |day: &str, spend: u32| {
        record(
            "ads_insights",
            json!({"campaign_id": "1", "date_start": format!("{day}T00:00:00.000000Z"), "spend": spend}),
        )
    };
    let state = json!({"type": "STATE", "value": {"bookmarks": {"ads_insights": {"date_start": "2026-11-19"}}}});
    let schema = json!({"type": "SCHEMA", "stream": "ads_insights", "schema": {}, "key_properties": []});
    let messages = [schema, day("2026-11-18", 1), day("2026-11-19", 2), state.clone(), day("2026-11-20", 4)];
    let mut input = input(TapMapping::find("tap-facebook").unwrap(), &messages);
    assert_eq!(input.state, Some(state["value"].clone()));
    let mapping = input.mapping().streams["ads_insights"].clone();
    let stream = input.streams.get_mut("ads_insights").unwrap();
    assert!(stream.has_unfinished);
    let end: NaiveDate = "2026-11-19".parse().unwrap();
    assert_eq!((stream.records.keep_before(end, &mapping), stream.records.len()), (2, 1));
}

#[test]
fn lists_by_name_become_columns() {
    let mut numbers =
        json!({"campaign_id": "1", "campaign_name": "A, \"B\"", "date_start": "2026-11-20", "spend": 1.5});
    numbers["actions"] = json!([
        {"action_type": "purchase", "action_target_id": "7", "value": 2},
        {"action_type": "purchase", "action_target_id": "8", "value": "1"},
        {"action_type": "link_click", "value": 30},
    ]);
    let none = json!({"campaign_id": "1", "campaign_name": "A, \"B\"", "date_start": "2026-11-21", "actions": null});
    let input = input(
        TapMapping::find("tap-facebook").unwrap(),
        &[record("ads_insights", numbers), record("ads_insights", none)],
    );
    let csv = input.streams["ads_insights"].records.csv(&input.mapping().streams["ads_insights"]).unwrap();
    assert_eq!(
        String::from_utf8(csv).unwrap(),
        "actions.link_click,actions.purchase,campaign_id,campaign_name,date_start,spend\n\
         30.000000,3.000000,1,\"A, \"\"B\"\"\",2026-11-20,1.5\n0,0,1,\"A, \"\"B\"\"\",2026-11-21,\n"
    );
}
