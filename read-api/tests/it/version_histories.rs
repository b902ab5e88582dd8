//! Tags over random histories: a tag that comes again stands for the same body, to the byte, whatever happens to campaigns,
//! numbers and runs, in whatever order.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::bucket::Grain;
use domain::campaign::CampaignEvent;
use domain::measure::Measure;
use domain::source::{Horizon, Horizons, SourceKind};
use domain::sync::{Coverage, FinalThrough, SyncEvent};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::given::{
    Given, at, campaign, changed, clicks, completed, created, days, definition, failed, pulled, pushing, registered,
    source, started, stated, sync_event,
};
use crate::support::{World, report_path, send};
use crate::versions::{metrics, world};

/// How long the sources may restate, in days: some numbers of the range are final, all, or none.
const HORIZONS: [(u128, i64); 3] = [(2, 1), (3, 9), (4, 40)];

fn report(more: &Value) -> String {
    let mut query = json!({
        "date_from": "2026-11-01", "date_to": "2026-11-20", "granularity": "day", "time_zone": "Europe/Berlin",
        "measures": ["clicks", "spend", "revenue"]
    });
    query.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    report_path(&query)
}

async fn accounts(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    let mut given = vec![
        created(1, "Shoes", &["paid_search"]),
        created(2, "Hats", &["email"]),
        pushing(1, "tracker", "paid_search"),
    ];
    for (n, horizon) in HORIZONS {
        let mut definition = definition(&format!("ads_{horizon}"), "paid_search", SourceKind::Pull);
        definition.horizons = Horizons::uniform(Horizon::Seconds(horizon * 86_400));
        given.push(registered(n, definition));
        given.push(days(n, 1, &[("2026-11-05", &[(Measure::Clicks, 4), (Measure::Spend, 1_000_000)])]));
    }
    given.push(clicks(1, 1, "2026-11-20T10:00:00Z", 5));
    world.given(given).await;
    world
}

fn run(random: &mut StdRng, n: u128, now: DateTime<Utc>) -> Given {
    let hours = |random: &mut StdRng, upto: i64| TimeDelta::hours(random.random_range(0..upto));
    let horizon = HORIZONS.iter().find(|(id, _)| *id == n).map_or(3, |(_, days)| *days);
    let covers = (random.random_range(0..4) == 0).then(|| {
        let to = at("2026-11-21T00:00:00Z") - hours(random, 400);
        Coverage { from: to - hours(random, 200) - TimeDelta::hours(1), to }
    });
    let says_final = random.random_range(0..12) == 0;
    let final_through = says_final.then(|| now - TimeDelta::days(2) - hours(random, 500));
    sync_event(
        n,
        SyncEvent::SyncCompleted {
            source: source(n),
            at: now,
            complete_through: (random.random_range(0..5) > 0).then(|| now - hours(random, 30)),
            grain: Grain::Hour,
            covers,
            lookback_s: horizon * 86_400,
            final_through: FinalThrough { delivery: final_through, conversions: None },
        },
    )
}

/// What may happen of which some is shown of closed days, and most is not.
fn anything_of_runs(random: &mut StdRng, now: DateTime<Utc>) -> Given {
    let n = random.random_range(1..5);
    let told = now.to_rfc3339();
    match random.random_range(0..20) {
        0..9 => run(random, n, now),
        9..12 => started(n, &told),
        12..14 => failed(n, &told, "quota"),
        14 => {
            let through = at("2026-11-01T00:00:00Z") + TimeDelta::hours(random.random_range(0..700));
            sync_event(n, SyncEvent::SyncReopened { source: source(n), at: now, complete_through: through.min(now) })
        }
        15..17 => clicks(1, random.random_range(1..3), &told, 1),
        17 => days(n.max(2), 2, &[("2026-11-23", &[(Measure::Clicks, random.random_range(0..9))])]),
        18 => days(n.max(2), 1, &[("2026-11-07", &[(Measure::Revenue, random.random_range(0..9) * 1_000_000)])]),
        _ => changed(2, CampaignEvent::CampaignRenamed { name: format!("Hats {told}"), at: now }),
    }
}

/// Runs start, fail, end, read again and are taken back, of sources of which all, some or no numbers are final.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn tag_that_comes_again_has_the_same_body(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = accounts(options, connect).await;
    let mut random = StdRng::seed_from_u64(6);
    let paths = [
        report(&json!({})),
        report(&json!({"filters": {"source": ["ads_9"]}, "measures": ["spend"], "group_by": ["source"]})),
        report(&json!({"filters": {"source": ["ads_40", "tracker"]}, "measures": ["clicks", "cpc"]})),
        report(&json!({"group_by": ["campaign"], "granularity": "week", "compare_to": "previous_period"})),
    ];
    let mut told: HashMap<(usize, String), String> = HashMap::new();
    let (mut tags, mut bodies) = (0, 0);
    let mut now = at("2026-11-21T09:00:00Z");
    let mut last = vec![(String::new(), String::new()); paths.len()];
    for step in 0..180 {
        now += TimeDelta::minutes(random.random_range(1..240));
        world.clock.set(now);
        let event = anything_of_runs(&mut random, now);
        let said = format!("{event:?}");
        world.given([event]).await;
        for (index, path) in paths.iter().enumerate() {
            let reply = world.get(path).await.ok();
            let (tag, body) = (reply.etag().to_owned(), without_version(&reply.body));
            let known = told.entry((index, tag.clone())).or_insert_with(|| reply.text.clone());
            assert_eq!(*known, reply.text, "step {step}, {said}: {path}");
            if last[index].0 != tag {
                tags += 1;
            }
            if last[index].1 != body {
                bodies += 1;
            }
            last[index] = (tag, body);
        }
    }
    // Most of what happens is not shown of closed days, and few tags move needlessly.
    assert!(bodies <= tags && tags < bodies * 2, "{tags} tags of {bodies} bodies");
}

/// The body without what names its version.
fn without_version(body: &Value) -> String {
    let mut body = body.clone();
    let meta = body["meta"].as_object_mut().unwrap();
    meta.remove("version");
    meta.remove("last_changed_at");
    body.to_string()
}

/// What is kept is also told only where it holds.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn body_depends_on_its_version_only(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let one = json!([campaign(1).to_string()]);
    let paths = [
        metrics(),
        format!("/v1/campaigns/{}/metrics?granularity=hour&date_from=2026-11-20&date_to=2026-11-25", campaign(1)),
        format!(
            "/v1/campaigns/{}/metrics?granularity=all&date_from=2026-11-22&date_to=2026-11-22&group_by=source",
            campaign(2)
        ),
        report_path(&json!({"date_from": "2026-10-31", "date_to": "2026-11-26", "filters": {"status": ["active"]}})),
        report_path(
            &json!({"date_from": "2026-11-01", "date_to": "2026-12-01", "granularity": "week", "group_by": ["campaign", "channel"]}),
        ),
        report_path(
            &json!({"date_from": "2026-11-20", "date_to": "2026-11-22", "filters": {"source": ["late_comer"], "campaign_id": one}}),
        ),
        report_path(&json!({"range": "last_7_days", "granularity": "week", "compare_to": "previous_month"})),
        report_path(&json!({"range": "this_week", "compare_to": "previous_period", "compare_elapsed": true})),
        format!("/v1/campaigns/{}/metrics?range=today&granularity=hour&time_zone=America/New_York", campaign(1)),
        report_path(&json!({"date_from": "2026-11-18", "date_to": "2026-11-22", "group_by": ["source"]})),
        report_path(
            &json!({"date_from": "2026-11-18", "date_to": "2026-11-30", "measures": ["cpc", "roas", "clicks"]}),
        ),
        "/v1/pacing".to_owned(),
        "/v1/campaigns?status=active,paused".to_owned(),
        "/v1/campaigns?source=google_ads,late_comer".to_owned(),
        format!("/v1/campaigns/{}", campaign(1)),
        format!("/v1/campaigns/{}/pacing", campaign(1)),
        format!("/v1/campaigns/{}/activity", campaign(2)),
    ];
    let mut random = StdRng::seed_from_u64(7);
    let mut told = HashMap::new();
    let mut moved = 0;
    for step in 0..60_i64 {
        world.clock.set(at("2026-11-22T12:00:00Z") + TimeDelta::minutes(step * 149));
        if step % 3 != 2 {
            let event = anything(&mut random, step);
            world.given([event]).await;
        }
        for path in &paths {
            let reply = world.get(path).await.ok();
            let known = told.entry((path, reply.etag().to_owned())).or_insert_with(|| {
                moved += 1;
                reply.text.clone()
            });
            assert_eq!(*known, reply.text, "{path} at step {step}");
            if reply.header("cache-status") == "highwater; fwd=miss" {
                continue;
            }
            // What is kept is never told where it no longer holds.
            let fresh = send(world.fresh.clone(), "GET", path, &[], None).await.ok();
            for name in ["etag", "data-position", "data-freshness", "consistency-token"] {
                assert_eq!(reply.header(name), fresh.header(name), "{path} at step {step}");
            }
            assert_eq!(reply.text, fresh.text, "{path} at step {step}");
        }
    }
    // Neither always the same, nor always another.
    assert!((14..45).contains(&(moved / paths.len())), "{moved} of {}", 60 * paths.len());
}

/// Any event that changes an answer, or should not.
fn anything(random: &mut StdRng, step: i64) -> Given {
    let now = (at("2026-11-22T12:00:00Z") + TimeDelta::minutes(step * 149)).to_rfc3339();
    // The third source is registered late.
    if step == 12 {
        return pulled(3, "late_comer", "affiliate");
    }
    let known = if step > 12 { 4 } else { 3 };
    let (from, of) = (random.random_range(1..known), random.random_range(1..3));
    let month = random.random_range(10..13);
    let day = random.random_range(1..31);
    let date = format!("2026-{month}-{day:02}");
    let zone = ["UTC", "Europe/Berlin", "Pacific/Kiritimati", "Pacific/Pago_Pago"][random.random_range(0..4)];
    match random.random_range(0..12) {
        0..3 => clicks(from, of, &format!("{date}T{:02}:40:00Z", random.random_range(0..24)), step + 1),
        3..6 => stated(
            from,
            of,
            Grain::Day,
            zone,
            &[(&date, &[(Measure::Clicks, step), (Measure::Spend, step * 1_000_000)])],
        ),
        6 => completed(from, &now, &format!("2026-11-{day:02}T00:00:00Z"), Grain::Day),
        7 => failed(from, &now, "quota"),
        8..10 => changed(of, CampaignEvent::CampaignLaunched { at: at(&now) }),
        10 => changed(of, CampaignEvent::CampaignPaused { at: at(&now) }),
        _ => changed(
            of,
            CampaignEvent::CampaignRescheduled {
                starts_on: format!("2026-11-{day:02}").parse().unwrap(),
                ends_on: None,
                at: at(&now),
            },
        ),
    }
}
