use std::collections::{BTreeMap, BTreeSet};

use ::cqrs_es::test::TestFramework;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::*;
use crate::ids::SourceId;
use crate::measure::Measure;
use crate::text::TextError;

pub(super) fn now() -> DateTime<Utc> {
    "2026-11-21T10:00:00Z".parse().unwrap()
}

pub(super) fn id() -> SourceId {
    SourceId(Uuid::from_u128(7))
}

fn days(days: i64) -> Horizons {
    Horizons::uniform(Horizon::Seconds(days * 86_400))
}

pub(super) fn google_ads() -> SourceDefinition {
    SourceDefinition {
        name: "google_ads".to_owned(),
        channel: "paid_search".parse().unwrap(),
        kind: SourceKind::Pull,
        role: SourceRole::Primary,
        measure_roles: BTreeMap::from([(Measure::Conversions, SourceRole::Reference)]),
        measures: BTreeSet::new(),
        platform: None,
        time_zone: "Europe/Berlin".parse().unwrap(),
        currency: "EUR".parse().unwrap(),
        expected_delay_s: 3 * 3_600,
        horizons: days(30),
        complete_after_s: None,
        quiet_after_s: None,
        expected_from: None,
        observation_window_s: None,
        id_scope: IdScope::Day,
        unknown_campaigns: crate::source::UnknownCampaigns::Reject,
        dimensions: Vec::new(),
    }
}

fn register(definition: SourceDefinition) -> SourceCommand {
    SourceCommand::Register { source: id(), definition, at: now() }
}

pub(super) fn registered(definition: SourceDefinition) -> SourceEvent {
    SourceEvent::SourceRegistered { source: id(), definition, at: now() }
}

pub(super) fn given(events: Vec<SourceEvent>) -> ::cqrs_es::test::AggregateTestExecutor<Source> {
    TestFramework::<Source>::with(()).given(events)
}

#[track_caller]
fn check_refused(definition: SourceDefinition, error: SourceError) {
    given(vec![]).when(register(definition)).then_expect_error(error);
}

#[test]
fn scope_of_ids_belongs_to_push_sources_and_stays() {
    let by_window = SourceDefinition { id_scope: IdScope::Window, ..google_ads() };
    TestFramework::<Source>::with(())
        .given_no_previous_events()
        .when(register(by_window.clone()))
        .then_expect_error(SourceError::IdScopeOfPull);
    let pushed = SourceDefinition { kind: SourceKind::Push, ..by_window };
    TestFramework::<Source>::with(())
        .given(vec![registered(pushed.clone())])
        .when(register(SourceDefinition { id_scope: IdScope::Day, ..pushed }))
        .then_expect_error(SourceError::ConflictingDefinition { field: "id_scope" });
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
        ("horizons", SourceDefinition { horizons: days(0), ..google_ads() }),
        ("measures", SourceDefinition { measures: BTreeSet::from([Measure::Spend]), ..google_ads() }),
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
fn rejects_names_beyond_one_line_of_1_to_100_characters() {
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
fn rejects_delays_and_horizons_out_of_range() {
    let delayed = |seconds| SourceDefinition { expected_delay_s: seconds, ..google_ads() };
    let restating = |seconds| {
        let mut definition = google_ads();
        definition.horizons.conversions = Horizon::Seconds(seconds);
        definition
    };
    for seconds in [-1, 31 * 86_400 + 1, i64::MIN] {
        check_refused(delayed(seconds), SourceError::ExpectedDelay { seconds });
    }
    for seconds in [-1, 400 * 86_400 + 1, i64::MAX] {
        let horizon = Horizon::Seconds(seconds);
        check_refused(restating(seconds), SourceError::Horizon { member: "conversions", horizon });
    }
    for definition in [delayed(0), delayed(31 * 86_400), restating(0), restating(400 * 86_400)] {
        given(vec![]).when(register(definition.clone())).then_expect_events(vec![registered(definition)]);
    }
}

#[test]
fn observation_window_is_the_horizon_within_7_to_90_days() {
    for (horizon_days, window_days) in [(0, 7), (7, 7), (30, 30), (90, 90), (400, 90)] {
        let definition = SourceDefinition { horizons: days(horizon_days), ..google_ads() };
        assert_eq!(observation_window_s(&definition), window_days * 86_400);
    }
}

#[test]
fn errors_name_their_field() {
    for (error, field) in [
        (SourceError::Name(TextError::Empty), "name"),
        (SourceError::ExpectedDelay { seconds: -1 }, "expected_delay_s"),
        (SourceError::Horizon { member: "delivery", horizon: Horizon::Seconds(-1) }, "horizons"),
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

pub(super) fn date(text: &str) -> chrono::NaiveDate {
    text.parse().unwrap()
}

pub(super) fn changed(change: SourceChange, from: &str) -> SourceEvent {
    SourceEvent::SourceChanged { source: id(), change, from: date(from), at: now() }
}

pub(super) fn to_role(role: SourceRole) -> SourceChange {
    SourceChange { role: Some(role), ..SourceChange::default() }
}

#[test]
fn changes_settings_from_a_date_on() {
    let demote = SourceCommand::Change {
        change: to_role(SourceRole::Reference),
        series: NextSeries { id: SourceId(Uuid::from_u128(8)), time_zone: None, currency: None },
        from: Some(date("2026-11-01")),
        at: now(),
    };
    let demoted = changed(to_role(SourceRole::Reference), "2026-11-01");
    given(vec![registered(google_ads())]).when(demote.clone()).then_expect_events(vec![demoted.clone()]);
    given(vec![registered(google_ads()), demoted.clone()]).when(demote).then_expect_events(vec![]);

    let mut source = Source::default();
    for event in [registered(google_ads()), demoted] {
        source.apply(event);
    }
    let details = source.details.unwrap();
    assert_eq!(details.definition_on(date("2026-10-31")).role, SourceRole::Primary);
    assert_eq!(details.definition_on(date("2026-11-01")).role, SourceRole::Reference);
    // Berlin's first of November begins at 23:00Z.
    let timeline = details.timeline();
    assert_eq!(timeline.len(), 2);
    let begins = timeline[1].from.unwrap();
    assert_eq!((begins.at, begins.date), ("2026-10-31T23:00:00Z".parse().unwrap(), date("2026-11-01")));
}

#[test]
fn later_change_of_an_earlier_date_holds_from_then_on() {
    let channel = |name: &str| SourceChange { channel: Some(name.parse().unwrap()), ..SourceChange::default() };
    let mut source = Source::default();
    for event in [
        registered(google_ads()),
        changed(channel("video"), "2026-11-10"),
        changed(channel("display"), "2026-11-01"),
        changed(to_role(SourceRole::Reference), "2026-11-05"),
    ] {
        source.apply(event);
    }
    let details = source.details.unwrap();
    let on = |day: &str| {
        let definition = details.definition_on(date(day));
        (definition.channel.to_string(), definition.role)
    };
    assert_eq!(on("2026-10-31"), ("paid_search".to_owned(), SourceRole::Primary));
    assert_eq!(on("2026-11-01"), ("display".to_owned(), SourceRole::Primary));
    assert_eq!(on("2026-11-20"), ("display".to_owned(), SourceRole::Reference));
}

#[test]
fn registers_again_with_the_definition_of_today() {
    let demoted = changed(to_role(SourceRole::Reference), "2026-11-01");
    let mut today = SourceDefinition { role: SourceRole::Reference, ..google_ads() };
    today.normalise();
    given(vec![registered(google_ads()), demoted.clone()]).when(register(today)).then_expect_events(vec![]);
    given(vec![registered(google_ads()), demoted]).when(register(google_ads())).then_expect_events(vec![]);
}

#[test]
fn ends_and_resumes() {
    let end = |at: Option<&str>| SourceCommand::End { ends_at: at.map(|at| at.parse().unwrap()), at: now() };
    let ended = |at: &str| SourceEvent::SourceEnded { source: id(), ends_at: at.parse().unwrap(), at: now() };
    let resume = SourceCommand::Resume { from: Some(date("2026-11-20")), at: now() };
    let resumed = |at: &str| SourceEvent::SourceResumed { source: id(), resumes_at: at.parse().unwrap(), at: now() };
    given(vec![registered(google_ads())]).when(end(None)).then_expect_events(vec![ended("2026-11-21T10:00:00Z")]);
    let gone = vec![registered(google_ads()), ended("2026-11-10T00:00:00Z")];
    given(gone.clone()).when(end(Some("2026-11-10T00:00:00Z"))).then_expect_events(vec![]);
    given(gone.clone()).when(resume.clone()).then_expect_events(vec![resumed("2026-11-19T23:00:00Z")]);
    given(vec![registered(google_ads())]).when(resume).then_expect_error(SourceError::NotEnded);
    given(vec![]).when(end(None)).then_expect_error(SourceError::NotRegistered);

    let mut source = Source::default();
    for event in gone {
        source.apply(event);
    }
    let mut details = source.details.unwrap();
    let instant = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    assert_eq!(details.ended_at(), Some(instant("2026-11-10T00:00:00Z")));
    details.apply(resumed("2026-11-19T23:00:00Z"));
    assert_eq!(details.ended_at(), None);
    assert!(!details.is_paused_at(instant("2026-11-09T23:59:59Z")));
    assert!(details.is_paused_at(instant("2026-11-10T00:00:00Z")));
    assert!(!details.is_paused_at(instant("2026-11-19T23:00:00Z")));
    // Back before its end: it had not ended.
    details.apply(ended("2026-12-01T00:00:00Z"));
    details.apply(resumed("2026-11-30T00:00:00Z"));
    assert_eq!(details.pauses.len(), 1);
}

#[test]
fn known_platforms_begin_with_horizons_of_their_own() {
    for platform in PLATFORMS {
        assert!(platform.horizons().by_member().all(|(_, horizon)| horizon.is_in_range()), "{}", platform.name);
        assert!(!platform.reference.is_empty());
    }
    assert_eq!(Platform::find("meta").unwrap().conversions, Horizon::Seconds(28 * 86_400));
    check_refused(
        SourceDefinition { platform: Some("myspace".to_owned()), ..google_ads() },
        SourceError::UnknownPlatform,
    );
}
