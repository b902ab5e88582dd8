//! Rows depend neither on how a log was cut into batches nor on the order between its streams.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::bucket::{Bucket, Grain};
use domain::campaign::{CampaignEvent, CampaignState};
use domain::measure::Measure;
use domain::observation::ObservationType;
use domain::source::SourceKind;
use domain::sync::{FinalThrough, SyncEvent};
use projections::{ReplayOptions, SegmentSize, catch_up};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::logs::{
    Log, TestEvent, at, campaign, changed, corrected, created, date, naming, observed, opened, pools, recorded_at,
    registered,
};
use crate::support::logs::{source, stated, synced};
use crate::support::replaying::{of_all, rebuild_with};
use crate::support::rows::{everything, live_epoch, live_rows};

const CASES: usize = 25;
/// Cases that are also applied one event at a time, the finest cut.
const SINGLE_CASES: usize = 2;

/// A run of a source, reported at a few hours, so that ties are common.
fn any_sync() -> impl Strategy<Value = TestEvent> {
    let hour = (0..4_i64).prop_map(|hours| at("2026-10-23T20:00:00Z") + TimeDelta::hours(hours));
    (0..4_u128, 0..4_usize, hour.clone(), hour, 0..9).prop_map(|(from, kind, said, through, n)| {
        let source = source(from);
        let grain = if n % 2 == 0 { Grain::Day } else { Grain::Hour };
        synced(match kind {
            0 => SyncEvent::SyncStarted { source, at: said },
            1 => SyncEvent::SyncCompleted {
                source,
                at: said,
                complete_through: Some(through),
                grain,
                covers: None,
                lookback_s: 3_600,
                final_through: FinalThrough::default(),
            },
            2 => SyncEvent::SyncReopened { source, at: said, complete_through: through },
            _ => SyncEvent::SyncFailed { source, at: said, reason: format!("reason {n}") },
        })
    })
}

/// What may happen after everything was created.
pub(crate) fn happening() -> impl Strategy<Value = TestEvent> {
    let instant = (0..6_000_i64).prop_map(|minutes| at("2026-10-23T20:00:00Z") + TimeDelta::minutes(minutes));
    let observation = (0..3_u128, 0..4_usize, instant, -3..5_i64, proptest::option::of(-9..9_i64)).prop_map(
        |(id, kind, occurred_at, count, value)| {
            let kinds = [
                ObservationType::Click,
                ObservationType::Impression,
                ObservationType::Conversion,
                ObservationType::Spend,
            ];
            (campaign(id), kinds[kind], occurred_at, count, value)
        },
    );
    // More values than are kept, and some observations without any.
    let observations = (0..2_u128, proptest::collection::vec((observation, 0..7_usize, 0..3_usize), 0..6)).prop_map(
        |(from, observations)| {
            let seen: Vec<_> = observations.iter().map(|(seen, ..)| *seen).collect();
            let ads = ["a", "b", "c", "d", "e", "(other)"];
            let countries = ["DE", "FR"];
            let named: Vec<Vec<(&str, &str)>> = observations
                .iter()
                .map(|(_, ad, country)| {
                    let ad = ads.get(*ad).map(|ad| ("ad", *ad));
                    ad.into_iter().chain(countries.get(*country).map(|country| ("country", *country))).collect()
                })
                .collect();
            let named: Vec<&[(&str, &str)]> = named.iter().map(Vec::as_slice).collect();
            naming(observed(source(from), &seen), &named)
        },
    );
    let correction = (0..2_u128, 0..3_u128, 0..6_000_i64, -3..3_i64, proptest::option::of(-9..9_i64)).prop_map(
        |(from, id, minutes, count, value)| {
            let occurred_at = at("2026-10-23T20:00:00Z") + TimeDelta::minutes(minutes);
            let seen = (campaign(id), ObservationType::Conversion, occurred_at, count, value);
            corrected(source(from), ("c-1", "o-0", occurred_at + TimeDelta::days(1)), seen, (5 + count, value))
        },
    );
    let statement = (0..3_u128, 24..28_u32, 0..4_i64, proptest::collection::vec((0..3_usize, 0..9_i64), 1..3));
    let statements = (2..4_u128, proptest::collection::vec(statement, 1..4)).prop_map(|(from, statements)| {
        let rows: Vec<_> = statements
            .iter()
            .map(|(id, day, said, measures)| {
                let named = [Measure::Clicks, Measure::Spend, Measure::Impressions];
                let measures: Vec<_> = measures.iter().map(|(index, value)| (named[*index], *value)).collect();
                (
                    campaign(*id),
                    Bucket::Day(date(&format!("2026-10-{day}"))),
                    at("2026-10-29T00:00:00Z") + TimeDelta::hours(*said),
                    measures,
                )
            })
            .collect();
        let rows: Vec<_> =
            rows.iter().map(|(id, day, said, measures)| (*id, *day, *said, measures.as_slice())).collect();
        stated(source(from), Grain::Day, "Europe/Berlin", &rows)
    });
    let sync = any_sync();
    let change = (0..3_u128, 0..6_usize, 1..28_u32).prop_map(|(id, kind, day)| {
        let at = at("2026-10-21T00:00:00Z");
        let starts_on = date(&format!("2026-11-{day:02}"));
        changed(
            campaign(id),
            match kind {
                0 => CampaignEvent::CampaignRenamed { name: format!("Name {day}"), at },
                1 => CampaignEvent::CampaignRescheduled { starts_on, ends_on: None, at },
                2 => CampaignEvent::CampaignTimeZoneChanged { time_zone: "Asia/Kathmandu".parse().unwrap(), at },
                3 => CampaignEvent::CampaignBudgetSet { budget: None, at },
                4 => CampaignEvent::CampaignLaunched { at },
                5 => CampaignEvent::CampaignArchived { at },
                6 => CampaignEvent::CampaignUnarchived { state: CampaignState::Draft, at },
                _ => CampaignEvent::CampaignPaused { at },
            },
        )
    });
    prop_oneof![4 => observations, 2 => correction, 4 => statements, 3 => sync, 2 => change]
}

/// So few values of a dimension that most logs have more.
async fn keep_few_values(admin: &PgPool) {
    sqlx::query("INSERT INTO read.dimension_limits VALUES ('campaign_model', 2)").execute(admin).await.unwrap();
}

/// A whole log, with the time at which each event is recorded.
pub(crate) fn log(happenings: Vec<TestEvent>) -> Vec<(TestEvent, DateTime<Utc>)> {
    let mut events = vec![opened()];
    events.extend((0..3).map(|n| created(campaign(n))));
    events.extend((0..2).map(|n| registered(source(n), SourceKind::Push)));
    events.extend((2..4).map(|n| registered(source(n), SourceKind::Pull)));
    events.extend(happenings);
    events.into_iter().zip(1..).map(|(event, position)| (event, recorded_at(position))).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rows_do_not_depend_on_batches(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    keep_few_values(&admin).await;
    let mut runner = TestRunner::deterministic();
    let cases = (proptest::collection::vec(happening(), 1..80), proptest::collection::vec(any::<Index>(), 0..6));
    for case in 0..CASES {
        let (happenings, cuts) = cases.new_tree(&mut runner).unwrap().current();
        let events = log(happenings);

        let mut whole = Log::empty(&admin).await;
        let mut cut = Log::empty(&admin).await;
        let mut single = Log::empty(&admin).await;
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(events.len())).collect();
        cuts.sort_unstable();
        let mut rest = events.as_slice();
        for index in &cuts {
            let done = events.len() - rest.len();
            let (next, later) = rest.split_at((*index).max(done) - done);
            cut.append_timed(next.to_vec()).await;
            catch_up(&pool).await.unwrap();
            rest = later;
        }
        cut.append_timed(rest.to_vec()).await;
        if case < SINGLE_CASES {
            for event in &events {
                single.append_timed([event.clone()]).await;
                catch_up(&pool).await.unwrap();
            }
        }
        whole.append_timed(events.clone()).await;
        catch_up(&pool).await.unwrap();

        let expected = live_rows(&admin, whole.workspace).await;
        assert_eq!(live_rows(&admin, cut.workspace).await, expected, "case {case}, cut after {cuts:?}: {events:#?}");
        if case < SINGLE_CASES {
            assert_eq!(live_rows(&admin, single.workspace).await, expected, "case {case}, one by one: {events:#?}");
        }
    }
}

/// Events of a log that a replay does not leave to the switch, and has to fill.
const LONG: usize = 1_100;

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rows_do_not_depend_on_parallel_segments(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    keep_few_values(&admin).await;
    let mut runner = TestRunner::deterministic();
    let happenings = proptest::collection::vec(happening(), LONG).new_tree(&mut runner).unwrap().current();
    let mut long = Log::empty(&admin).await;
    long.append_timed(log(happenings)).await;
    catch_up(&pool).await.unwrap();
    let expected = live_rows(&admin, long.workspace).await;
    // Each event by views of its own, in several transactions.
    for cut in [SegmentSize::default(), SegmentSize { page_events: 1, fold_events: 300 }] {
        rebuild_with(&pool, &ReplayOptions { cut, ..of_all() }).await.unwrap();
        assert_eq!(live_rows(&admin, long.workspace).await, expected, "{cut:?}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rows_do_not_depend_on_order_between_streams(options: PgPoolOptions, connect: PgConnectOptions) {
    let (admin, pool) = pools(options, connect).await;
    keep_few_values(&admin).await;
    let mut runner = TestRunner::deterministic();
    let cases = (proptest::collection::vec(happening(), 1..50), proptest::collection::vec(any::<Index>(), 60));
    for case in 0..CASES {
        let (happenings, picks) = cases.new_tree(&mut runner).unwrap().current();
        let events = log(happenings);
        let (mut given, mut shuffled) = (Log::empty(&admin).await, Log::empty(&admin).await);
        given.append_timed(events.clone()).await;
        shuffled.append_timed(interleaved(&events, &picks)).await;
        catch_up(&pool).await.unwrap();
        // Positions are others, by the nature of the thing; all else is the same.
        let except = ["position", "scope_marks"];
        let epoch = live_epoch(&admin, given.workspace).await;
        assert_eq!(
            everything(&admin, given.workspace, epoch, &except).await,
            everything(&admin, shuffled.workspace, epoch, &except).await,
            "case {case}: {events:#?}"
        );
    }
}

/// The same streams, each in its own order, in another order between them.
fn interleaved(events: &[(TestEvent, DateTime<Utc>)], picks: &[Index]) -> Vec<(TestEvent, DateTime<Utc>)> {
    let mut streams: HashMap<_, Vec<(TestEvent, DateTime<Utc>)>> = HashMap::new();
    for event in events.iter().rev() {
        let key = (std::mem::discriminant(&event.0.event), event.0.stream);
        streams.entry(key).or_default().push(event.clone());
    }
    let mut streams: Vec<_> = streams.into_values().collect();
    streams.sort_by_key(|stream| stream.last().map(|(_, recorded_at)| *recorded_at));
    let mut all = Vec::new();
    for pick in picks.iter().cycle() {
        streams.retain(|stream| !stream.is_empty());
        if streams.is_empty() {
            break;
        }
        let index = pick.index(streams.len());
        all.extend(streams[index].pop());
    }
    all
}
