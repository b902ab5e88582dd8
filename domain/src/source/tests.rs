use std::collections::BTreeMap;

use ::cqrs_es::test::TestFramework;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::*;
use crate::ids::SourceId;
use crate::measure::Measure;
use crate::text::TextError;

fn now() -> DateTime<Utc> {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

fn id() -> SourceId {
    SourceId(Uuid::from_u128(7))
}

fn google_ads() -> SourceDefinition {
    SourceDefinition {
        name: "google_ads".to_owned(),
        channel: "paid_search".parse().unwrap(),
        kind: SourceKind::Pull,
        role: SourceRole::Primary,
        measure_roles: BTreeMap::from([(Measure::Conversions, SourceRole::Reference)]),
        time_zone: "Europe/Berlin".parse().unwrap(),
        currency: "EUR".parse().unwrap(),
        expected_delay_s: 3 * 3_600,
        restatement_horizon_s: 30 * 86_400,
    }
}

fn register(definition: SourceDefinition) -> SourceCommand {
    SourceCommand::Register { source: id(), definition, at: now() }
}

fn registered(definition: SourceDefinition) -> SourceEvent {
    SourceEvent::SourceRegistered { source: id(), definition, at: now() }
}

fn given(events: Vec<SourceEvent>) -> ::cqrs_es::test::AggregateTestExecutor<Source> {
    TestFramework::<Source>::with(()).given(events)
}

#[track_caller]
fn check_refused(definition: SourceDefinition, error: SourceError) {
    given(vec![]).when(register(definition)).then_expect_error(error);
}

#[test]
fn registers_a_new_source() {
    given(vec![]).when(register(google_ads())).then_expect_events(vec![registered(google_ads())]);
}

#[test]
fn same_definition_gives_no_event() {
    given(vec![registered(google_ads())]).when(register(google_ads())).then_expect_events(vec![]);
}

#[test]
fn rejects_another_definition_naming_the_first_difference() {
    for (field, other) in [
        ("name", SourceDefinition { name: "bing".to_owned(), ..google_ads() }),
        ("channel", SourceDefinition { channel: "video".parse().unwrap(), ..google_ads() }),
        ("kind", SourceDefinition { kind: SourceKind::Push, ..google_ads() }),
        ("role", SourceDefinition { role: SourceRole::Reference, ..google_ads() }),
        ("measure_roles", SourceDefinition { measure_roles: BTreeMap::new(), ..google_ads() }),
        ("time_zone", SourceDefinition { time_zone: "UTC".parse().unwrap(), ..google_ads() }),
        ("currency", SourceDefinition { currency: "USD".parse().unwrap(), ..google_ads() }),
        ("expected_delay_s", SourceDefinition { expected_delay_s: 0, ..google_ads() }),
        ("restatement_horizon_s", SourceDefinition { restatement_horizon_s: 0, ..google_ads() }),
    ] {
        let error = SourceError::ConflictingDefinition { field };
        given(vec![registered(google_ads())]).when(register(other)).then_expect_error(error);
        assert_eq!(error.field(), Some(field));
    }
}

#[test]
fn equivalent_definitions_are_equal() {
    let spaced = SourceDefinition { name: "  google_ads ".to_owned(), ..google_ads() };
    given(vec![]).when(register(spaced)).then_expect_events(vec![registered(google_ads())]);
    let mut explicit = google_ads();
    explicit.measure_roles.insert(Measure::Clicks, SourceRole::Primary);
    assert_eq!(explicit.role_of(Measure::Clicks), google_ads().role_of(Measure::Clicks));
    given(vec![registered(google_ads())]).when(register(explicit)).then_expect_events(vec![]);
}

#[test]
fn name_is_one_line_of_1_to_100_characters() {
    let named = |name: &str| SourceDefinition { name: name.to_owned(), ..google_ads() };
    for (name, error) in [
        ("", TextError::Empty),
        (" \t ", TextError::Empty),
        ("a\nb", TextError::ControlCharacter),
        ("a\u{0}b", TextError::ControlCharacter),
        ("*", TextError::Reserved),
        (" .. ", TextError::Reserved),
    ] {
        check_refused(named(name), SourceError::Name(error));
    }
    check_refused(named(&"é".repeat(101)), SourceError::Name(TextError::TooLong { length: 101, max: 100 }));
    let longest = named(&"é".repeat(100));
    given(vec![]).when(register(longest.clone())).then_expect_events(vec![registered(longest)]);
}

#[test]
fn delay_and_horizon_are_bounded() {
    let delayed = |seconds| SourceDefinition { expected_delay_s: seconds, ..google_ads() };
    let restating = |seconds| SourceDefinition { restatement_horizon_s: seconds, ..google_ads() };
    for seconds in [-1, 31 * 86_400 + 1, i64::MIN] {
        check_refused(delayed(seconds), SourceError::ExpectedDelay { seconds });
    }
    for seconds in [-1, 400 * 86_400 + 1, i64::MAX] {
        check_refused(restating(seconds), SourceError::RestatementHorizon { seconds });
    }
    for definition in [delayed(0), delayed(31 * 86_400), restating(0), restating(400 * 86_400)] {
        given(vec![]).when(register(definition.clone())).then_expect_events(vec![registered(definition)]);
    }
}

#[test]
fn observation_window_is_the_horizon_within_7_to_90_days() {
    for (horizon_days, window_days) in [(0, 7), (7, 7), (30, 30), (90, 90), (400, 90)] {
        let definition = SourceDefinition { restatement_horizon_s: horizon_days * 86_400, ..google_ads() };
        assert_eq!(observation_window_s(&definition), window_days * 86_400);
    }
}

#[test]
fn errors_name_their_field() {
    for (error, field) in [
        (SourceError::Name(TextError::Empty), "name"),
        (SourceError::ExpectedDelay { seconds: -1 }, "expected_delay_s"),
        (SourceError::RestatementHorizon { seconds: -1 }, "restatement_horizon_s"),
        (SourceError::ConflictingDefinition { field: "role" }, "role"),
    ] {
        assert_eq!(error.field(), Some(field));
    }
}

#[test]
fn kinds_and_roles_are_stored_by_their_names() {
    for kind in [SourceKind::Push, SourceKind::Pull] {
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
    }
    for role in [SourceRole::Primary, SourceRole::Reference] {
        assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{}\"", role.name()));
    }
}

#[test]
fn state_round_trips() {
    let mut source = Source::default();
    source.apply(registered(google_ads()));
    let json = serde_json::to_string(&source).unwrap();
    assert_eq!(serde_json::from_str::<Source>(&json).unwrap(), source);
}
