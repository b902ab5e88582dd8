use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use domain::channel::Channel;
use domain::observation::ObservationType;
use domain::source::{SourceKind, SourceRole};

use super::observations::{Pusher, of_past_hour};
use super::scenario::{CAMPAIGNS, DemoSource, SOURCES, SyncPattern};
use super::schedule::{MessageKind, messages_between};
use super::statements::as_of;
use super::volume::{Pace, RHYTHM, WHOLE, rhythm};
use super::wire;

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 21, 12, 0, 0).unwrap()
}

fn source(name: &str) -> &'static DemoSource {
    SOURCES.iter().find(|source| source.name == name).unwrap()
}

#[test]
fn five_channels_have_campaigns_and_sources() {
    for channel in ["paid_search", "paid_social", "email", "affiliate", "display"] {
        assert!(CAMPAIGNS.iter().any(|campaign| campaign.channels.contains(&channel)), "{channel}");
        assert!(SOURCES.iter().any(|source| source.feeds == Some(channel)), "{channel}");
    }
    for name in CAMPAIGNS.iter().flat_map(|campaign| campaign.channels).chain(SOURCES.iter().map(|it| &it.channel)) {
        assert!(name.parse::<Channel>().is_ok(), "{name}");
    }
}

#[test]
fn names_are_unique() {
    assert_eq!(CAMPAIGNS.iter().map(|it| it.external_id).collect::<BTreeSet<_>>().len(), CAMPAIGNS.len());
    assert_eq!(SOURCES.iter().map(|it| it.name).collect::<BTreeSet<_>>().len(), SOURCES.len());
}

#[test]
fn no_two_primary_sources_measure_the_same_of_a_campaign() {
    let mut said = HashMap::new();
    for source in SOURCES.iter().filter(|source| source.role == SourceRole::Primary) {
        let pushed = source
            .pushes
            .iter()
            .flat_map(|push| [push.kind.count_measure(), push.value_micros.and(push.kind.value_measure())]);
        let measures: BTreeSet<_> = pushed.flatten().chain(source.states.iter().map(|state| state.measure)).collect();
        for campaign in source.campaigns() {
            for measure in &measures {
                let before = said.insert((campaign.external_id, *measure), source.name);
                assert_eq!(before, None, "{} and {} {measure}", source.name, campaign.external_id);
            }
        }
    }
}

#[test]
fn source_pushes_or_states_never_both() {
    for source in SOURCES {
        assert_eq!(source.pushes.is_empty(), source.kind == SourceKind::Pull, "{}", source.name);
        assert_eq!(source.states.is_empty(), source.kind == SourceKind::Push, "{}", source.name);
        assert!(source.campaigns().count() > 0, "{}", source.name);
    }
}

#[test]
fn rhythm_averages_to_one() {
    assert_eq!(RHYTHM.iter().sum::<u64>(), 24 * WHOLE);
    // 03:00 in Berlin is the quietest hour, 20:00 the busiest.
    assert!(rhythm(noon() - TimeDelta::hours(10)) < rhythm(noon()));
    assert!(rhythm(noon()) < rhythm(noon() + TimeDelta::hours(7)));
}

#[test]
fn sources_send_the_requested_rate_together() {
    let rate = 40;
    let minutes = 30;
    let mut sent = 0;
    let mut again = 0;
    let mut retracted = 0;
    for (seed, source) in (0_u64..).zip(SOURCES.iter().filter(|source| source.kind == SourceKind::Push)) {
        let mut pusher = Pusher::new(source, rate, seed);
        let mut ids = BTreeSet::new();
        for second in 0..60 * minutes {
            let from = noon() + TimeDelta::seconds(second);
            let until = from + TimeDelta::seconds(1);
            for draft in pusher.between(from, until) {
                assert!(draft.occurred_at < until && draft.occurred_at > from - TimeDelta::minutes(16));
                assert!(draft.count > 0);
                if let Some(original) = &draft.retracts {
                    assert!(ids.contains(original), "{original} was not sent");
                    retracted += 1;
                }
                if ids.insert(draft.id) { sent += 1 } else { again += 1 }
            }
        }
    }
    let asked = i64::from(rate) * 60 * minutes;
    assert!((asked * 95 / 100..=asked * 105 / 100).contains(&sent), "{sent} of {asked}");
    assert!((asked / 300..=asked / 75).contains(&again), "{again} sent twice of {asked}");
    assert!((asked / 1_000..=asked / 250).contains(&retracted), "{retracted} retracted of {asked}");
}

#[test]
fn sends_the_requested_rate_at_any_hour() {
    let busiest = *RHYTHM.iter().max().unwrap();
    let quietest = *RHYTHM.iter().min().unwrap();
    for rhythm in [quietest, WHOLE, busiest] {
        let sent: u64 = SOURCES
            .iter()
            .flat_map(|source| source.pushes)
            .map(|push| push.parts * Pace::at(push.kind, rhythm).per_part)
            .sum();
        assert!((950_000..=1_000_000).contains(&sent), "{sent} millionths at {rhythm}");
    }
    let bulk = Pace::at(ObservationType::Impression, busiest);
    assert!(bulk.per_part > 0 && bulk.counts < 10 * WHOLE, "{bulk:?}");
}

#[test]
fn history_is_reproducible_and_as_large_as_live_traffic() {
    let adserver = source("adserver");
    let hour = noon();
    assert_eq!(of_past_hour(adserver, hour, 20), of_past_hour(adserver, hour, 20));

    let past: u64 =
        of_past_hour(adserver, hour, 20).iter().filter(|it| it.kind.name() == "impression").map(|it| it.count).sum();
    let mut pusher = Pusher::new(adserver, 20, 7);
    let live: u64 = (0..3_600)
        .flat_map(|second| pusher.between(hour + TimeDelta::seconds(second), hour + TimeDelta::seconds(second + 1)))
        .filter(|draft| draft.kind.name() == "impression")
        .map(|draft| draft.count)
        .sum();
    assert!((live * 3 / 4..=live * 4 / 3).contains(&past), "past {past}, live {live}");
}

#[test]
fn stated_totals_grow_until_the_hour_is_final() {
    let google = source("google_ads");
    let hour = noon();
    let total_at = |now: DateTime<Utc>| -> u64 {
        as_of(google, hour, now, 20)
            .iter()
            .filter(|draft| draft.bucket == domain::bucket::Bucket::Starts(hour))
            .flat_map(|draft| draft.measures.iter().map(|(_, value)| *value))
            .sum()
    };
    let totals: Vec<u64> =
        [10, 50, 70, 180, 240, 300].map(|minutes| total_at(hour + TimeDelta::minutes(minutes))).into();
    assert!(totals.windows(2).all(|pair| pair[0] <= pair[1]), "{totals:?}");
    assert!(totals[0] < totals[1] && totals[2] < totals[3], "{totals:?}");
    assert_eq!(totals[4], totals[5], "settled");
}

#[test]
fn dst_day_has_all_its_hours() {
    let meta = source("meta_ads");
    // Berlin's clocks go back on 2026-10-25: a day of 25 hours, which ends at 23:00 UTC.
    let end = Utc.with_ymd_and_hms(2026, 10, 25, 22, 59, 59).unwrap();
    let days = as_of(meta, end - TimeDelta::hours(24), end, 20);
    let dates: BTreeSet<_> = days.iter().map(|draft| draft.bucket).collect();
    assert_eq!(dates.len(), 1, "{dates:?}");
}

#[test]
fn completes_each_quarter_hour_once() {
    for source in SOURCES {
        let words = messages_between(source, noon(), noon() + TimeDelta::hours(24));
        let completed: Vec<_> = words
            .iter()
            .filter_map(|message| match message.kind {
                MessageKind::Completed { quarter_end } => Some(quarter_end),
                MessageKind::Started | MessageKind::Failed { .. } => None,
            })
            .collect();
        assert!(completed.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::minutes(15)), "{}", source.name);
        assert!((95..=96).contains(&completed.len()), "{}: {}", source.name, completed.len());
    }
}

#[test]
fn messages_do_not_depend_on_how_time_is_cut() {
    for source in SOURCES {
        let whole = messages_between(source, noon(), noon() + TimeDelta::hours(2));
        let cut: Vec<_> = (0..7_200)
            .flat_map(|second| {
                messages_between(source, noon() + TimeDelta::seconds(second), noon() + TimeDelta::seconds(second + 1))
            })
            .collect();
        assert_eq!(whole, cut, "{}", source.name);
    }
}

#[test]
fn one_source_is_sometimes_late_and_one_sometimes_fails() {
    let day = |source| messages_between(source, noon(), noon() + TimeDelta::hours(24));
    let adserver = SOURCES.iter().find(|source| source.habit == SyncPattern::OftenLate).unwrap();
    let late = day(adserver)
        .iter()
        .filter(|message| matches!(message.kind, MessageKind::Completed { quarter_end } if message.at > quarter_end + TimeDelta::seconds(adserver.expected_delay_s)))
        .count();
    assert!((20..=75).contains(&late), "{late}");
    let network = SOURCES.iter().find(|source| source.habit == SyncPattern::SometimesFails).unwrap();
    let failed = day(network).iter().filter(|message| matches!(message.kind, MessageKind::Failed { .. })).count();
    assert!((20..=75).contains(&failed), "{failed}");
}

#[test]
fn completeness_is_rounded_down_to_the_grain() {
    let quarter_end = Utc.with_ymd_and_hms(2026, 11, 21, 12, 45, 0).unwrap();
    let through = |name: &str| {
        wire::sync(source(name), &MessageKind::Completed { quarter_end })["complete_through"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(through("mailer"), "2026-11-21T12:45:00.000Z");
    assert_eq!(through("google_ads"), "2026-11-21T12:00:00.000Z");
    assert_eq!(through("meta_ads"), "2026-11-20T23:00:00.000Z");
}
