//! What begins a series, and which one holds a bucket.

use uuid::Uuid;

use super::tests::{changed, date, given, google_ads, id, now, registered, to_role};
use super::*;
use crate::ids::SourceId;

fn series(n: u128, zone: &str, currency: &str) -> Series {
    let id = SourceId(Uuid::from_u128(n));
    Series { id, time_zone: zone.parse().unwrap(), currency: currency.parse().unwrap() }
}

/// The command to be in a zone and a currency from a date on; a series that begins gets the id 77.
fn to(zone: Option<&str>, currency: Option<&str>, from: Option<&str>) -> SourceCommand {
    let next = NextSeries {
        id: SourceId(Uuid::from_u128(77)),
        time_zone: zone.map(|zone| zone.parse().unwrap()),
        currency: currency.map(|currency| currency.parse().unwrap()),
    };
    SourceCommand::Change { change: SourceChange::default(), series: next, from: from.map(date), at: now() }
}

fn begun(series: Series, from: &str) -> SourceEvent {
    changed(SourceChange { series: Some(series), ..SourceChange::default() }, from)
}

fn details(events: impl IntoIterator<Item = SourceEvent>) -> SourceDetails {
    let mut source = Source::default();
    source.apply(registered(google_ads()));
    events.into_iter().for_each(|event| source.apply(event));
    source.details.unwrap()
}

/// `google_ads` is in Berlin and in euros.
#[test]
fn another_zone_or_currency_begins_a_series() {
    let is = || vec![registered(google_ads())];
    let in_utc = begun(series(77, "UTC", "EUR"), "2026-11-01");
    given(is()).when(to(Some("UTC"), None, Some("2026-11-01"))).then_expect_events(vec![in_utc]);
    let in_dollars = begun(series(77, "Europe/Berlin", "USD"), "2027-01-01");
    given(is()).when(to(None, Some("USD"), Some("2027-01-01"))).then_expect_events(vec![in_dollars.clone()]);
    // The same again is the same.
    let then = || vec![registered(google_ads()), in_dollars.clone()];
    given(then()).when(to(None, Some("USD"), Some("2027-01-01"))).then_expect_events(vec![]);
    given(then()).when(to(Some("Europe/Berlin"), Some("USD"), Some("2027-02-01"))).then_expect_events(vec![]);
    // What holds anyway begins none.
    given(is()).when(to(Some("Europe/Berlin"), Some("EUR"), Some("2026-11-01"))).then_expect_events(vec![]);
    let demote = SourceCommand::Change {
        change: to_role(SourceRole::Reference),
        series: NextSeries { id: SourceId(Uuid::from_u128(77)), time_zone: None, currency: None },
        from: Some(date("2026-11-01")),
        at: now(),
    };
    let demoted = changed(to_role(SourceRole::Reference), "2026-11-01");
    given(is()).when(demote).then_expect_events(vec![demoted]);
}

#[test]
fn today_is_that_of_the_zone_that_holds_from_then_on() {
    // It is 10:00Z on the 21st: the 22nd in Kiritimati.
    let there = begun(series(77, "Pacific/Kiritimati", "EUR"), "2026-11-22");
    given(vec![registered(google_ads())])
        .when(to(Some("Pacific/Kiritimati"), None, None))
        .then_expect_events(vec![there]);
}

#[test]
fn date_alone_begins_a_series_of_a_source_that_states_totals() {
    let anew = begun(series(77, "Europe/Berlin", "EUR"), "2026-11-01");
    let alone = || to(None, None, Some("2026-11-01"));
    given(vec![registered(google_ads())]).when(alone()).then_expect_events(vec![anew.clone()]);
    given(vec![registered(google_ads()), anew]).when(alone()).then_expect_events(vec![]);
    given(vec![registered(google_ads())]).when(to(None, None, None)).then_expect_events(vec![]);
    let push = SourceDefinition { kind: SourceKind::Push, ..google_ads() };
    given(vec![registered(push)]).when(alone()).then_expect_events(vec![]);
}

#[test]
fn what_is_pushed_goes_on_in_another_zone() {
    let push = SourceDefinition { kind: SourceKind::Push, ..google_ads() };
    let goes_on = Series { id: id(), ..series(0, "UTC", "EUR") };
    given(vec![registered(push.clone())])
        .when(to(Some("UTC"), None, Some("2026-11-01")))
        .then_expect_events(vec![begun(goes_on, "2026-11-01")]);
    given(vec![registered(push)])
        .when(to(Some("UTC"), Some("USD"), Some("2026-11-01")))
        .then_expect_events(vec![begun(series(77, "UTC", "USD"), "2026-11-01")]);
    let source = details([begun(goes_on, "2026-11-01")]);
    assert_eq!((source.turning_days(), source.timeline().len()), (vec![], 2));
}

#[test]
fn change_before_a_later_one_names_both() {
    let is = || vec![registered(google_ads()), begun(series(2, "UTC", "EUR"), "2026-11-10")];
    let next = date("2026-11-10");
    for half in [to(None, Some("USD"), Some("2026-11-01")), to(None, None, Some("2026-11-01"))] {
        given(is()).when(half).then_expect_error(SourceError::SeriesFollows { next });
    }
    let both = to(Some("UTC"), Some("USD"), Some("2026-11-01"));
    let begins = begun(series(77, "UTC", "USD"), "2026-11-01");
    given(is()).when(both).then_expect_events(vec![begins.clone()]);
    let source = details([begun(series(2, "UTC", "EUR"), "2026-11-10"), begins]);
    let ids: Vec<_> = source.series().dates().iter().map(|of| of.series.id.0.as_u128()).collect();
    assert_eq!(ids, [id().0.as_u128(), 77], "the later one holds no date");
    assert_eq!(source.all_series().len(), 3);
}

#[test]
fn change_that_is_taken_back_gives_its_dates_to_the_series_before() {
    let mistaken = || begun(series(2, "UTC", "USD"), "2026-11-10");
    let is = || vec![registered(google_ads()), mistaken()];
    let back = Series { id: id(), ..series(0, "Europe/Berlin", "EUR") };
    for from in ["2026-11-10", "2026-11-01"] {
        given(is())
            .when(to(Some("Europe/Berlin"), Some("EUR"), Some(from)))
            .then_expect_events(vec![begun(back, from)]);
        let source = details([mistaken(), begun(back, from)]);
        assert!(source.series().is_one(), "{from}");
        assert_eq!(source.series().on(date("2026-12-01")).id, id());
    }
    // Days later it has been in use: another one begins.
    let anew = begun(series(77, "Europe/Berlin", "EUR"), "2026-11-20");
    given(is()).when(to(Some("Europe/Berlin"), Some("EUR"), Some("2026-11-20"))).then_expect_events(vec![anew]);
    let push = SourceDefinition { kind: SourceKind::Push, ..google_ads() };
    given(vec![registered(push), begun(series(2, "Europe/Berlin", "USD"), "2026-11-10")])
        .when(to(None, Some("EUR"), Some("2026-11-10")))
        .then_expect_events(vec![begun(back, "2026-11-10")]);
}

#[test]
fn series_holds_dates_and_instants_from_its_own_midnight_on() {
    let source = details([begun(series(2, "America/New_York", "USD"), "2026-11-01")]);
    let timeline = source.series();
    let on = |day: &str| timeline.on(date(day)).id.0.as_u128();
    let at = |instant: &str| timeline.at(instant.parse().unwrap()).id.0.as_u128();
    let first = id().0.as_u128();
    assert_eq!((on("2026-10-31"), on("2026-11-01")), (first, 2));
    // New York's first of November begins at 04:00Z.
    assert_eq!((at("2026-11-01T03:59:59Z"), at("2026-11-01T04:00:00Z")), (first, 2));
    let definition = source.definition_at("2026-11-01T04:00:00Z".parse().unwrap());
    assert_eq!((definition.time_zone.name(), definition.currency.to_string()), ("America/New_York", "USD".to_owned()));
    assert_eq!(source.definition_at("2026-11-01T03:59:59Z".parse().unwrap()), google_ads());
    let [turns] = source.turning_days().try_into().unwrap();
    assert_eq!((turns.at, turns.date), ("2026-11-01T04:00:00Z".parse().unwrap(), date("2026-11-01")));
}

#[test]
fn settings_turn_at_the_midnight_of_the_zone_of_their_date() {
    let source = details([
        begun(series(2, "America/New_York", "EUR"), "2026-11-01"),
        changed(to_role(SourceRole::Reference), "2026-11-05"),
        changed(SourceChange { expected_delay_s: Some(60), ..SourceChange::default() }, "2026-10-01"),
    ]);
    let begins: Vec<_> = source.timeline().iter().filter_map(|dated| Some(dated.from?.at.to_rfc3339())).collect();
    assert_eq!(begins, ["2026-09-30T22:00:00+00:00", "2026-11-01T04:00:00+00:00", "2026-11-05T05:00:00+00:00"]);
}

#[test]
fn days_of_zones_follow_one_another() {
    let is = vec![registered(google_ads()), begun(series(2, "Etc/GMT+12", "EUR"), "2026-11-10")];
    given(is)
        .when(to(Some("Pacific/Kiritimati"), None, Some("2026-11-11")))
        .then_expect_error(SourceError::SeriesOutOfOrder);
}
