//! Days and hours of any zone.

use chrono::{DateTime, Days, TimeDelta, Utc};
use domain::bucket::{Grain, local_date};
use domain::measure::Measure;
use domain::observation::ObservationType;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::World;
use crate::support::given::{at, campaign, clicks, created, date, days, observed, pulled, pushing, stated};

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world
        .given([
            created(1, "Shoes", &["paid_search"]),
            pushing(1, "tracker", "paid_search"),
            pulled(2, "google_ads", "paid_search"),
        ])
        .await;
    world
}

fn metrics(query: &str) -> String {
    format!("/v1/campaigns/{}/metrics?measures=clicks&{query}", campaign(1))
}

/// Buckets and clicks, as pairs.
fn cells(reply: &crate::support::Reply) -> Vec<(Value, Value)> {
    reply.column("bucket").into_iter().zip(reply.column("clicks")).collect()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn kathmandus_days_begin_at_a_quarter_past(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    // Midnight in Kathmandu is 18:15 UTC.
    world.given([clicks(1, 1, "2026-11-20T18:14:59Z", 1), clicks(1, 1, "2026-11-20T18:15:00Z", 10)]).await;
    let range = "date_from=2026-11-20&date_to=2026-11-21&time_zone=Asia/Kathmandu";
    let by_day = world.get(&metrics(range)).await.ok();
    assert_eq!(cells(&by_day), [(json!("2026-11-20"), json!(1)), (json!("2026-11-21"), json!(10))]);
    let by_hour = world.get(&metrics(&format!("{range}&granularity=hour"))).await.ok();
    assert_eq!(
        cells(&by_hour),
        [(json!("2026-11-20T17:15:00Z"), json!(1)), (json!("2026-11-20T18:15:00Z"), json!(10))]
    );
    let utc = world.get(&metrics("date_from=2026-11-20&date_to=2026-11-20&time_zone=UTC")).await.ok();
    assert_eq!(cells(&utc), [(json!("2026-11-20"), json!(11))]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn every_granularity_has_the_same_sum(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    // Clocks change in Lord Howe on 2026-10-04 (30 minutes) and in Berlin on 2026-10-25.
    let start = at("2026-10-01T00:07:00Z");
    let seen = (0..30 * 24).map(|hours| {
        let when = (start + TimeDelta::hours(hours)).to_rfc3339();
        clicks(1, 1, &when, hours + 1)
    });
    world.given(seen).await;
    let all: i64 = (1..=30 * 24).sum();
    for zone in ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Chatham", "America/St_Johns"]
    {
        for granularity in ["hour", "day", "week", "month", "all"] {
            let query = json!({"date_from": "2026-09-29", "date_to": "2026-11-01", "time_zone": zone,
                               "granularity": granularity, "measures": ["clicks"], "limit": 1000});
            let rows = world.report(&query).await.ok().column("clicks");
            let sum: i64 = rows.iter().map(|clicks| clicks.as_i64().unwrap()).sum();
            assert_eq!(sum, all, "{zone} by {granularity}");
        }
    }
}

/// Rows of hours and days are read from tables of hours and days where these fit; they say what their quarters say.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn hours_and_days_are_the_sums_of_their_quarters(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    // Around days on which clocks move, or that a zone skipped.
    let days = [
        ("UTC", "2026-03-08"),
        ("America/New_York", "2026-03-08"),
        ("America/New_York", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-10-04"),
        ("Asia/Kathmandu", "2026-03-08"),
        ("Pacific/Apia", "2011-12-31"),
    ];
    for day in ["2011-12-30", "2026-03-08", "2026-10-04", "2026-11-01"] {
        let start = at(&format!("{day}T00:00:00Z")) - TimeDelta::days(2);
        let seen: Vec<_> = (0..4 * 24 * 4)
            .map(|quarter| ((start + TimeDelta::minutes(15 * quarter + 7)).to_rfc3339(), quarter * quarter % 97 + 1))
            .collect();
        let seen: Vec<_> =
            seen.iter().map(|(when, count)| (ObservationType::Click, when.as_str(), *count, None)).collect();
        world.given([observed(1, 1, &seen)]).await;
    }
    for (zone, day) in days {
        let day = date(day);
        let (from, to) = (day - Days::new(1), day + Days::new(1));
        let by = async |granularity: &str| {
            let query = json!({"date_from": from, "date_to": to, "time_zone": zone, "granularity": granularity,
                               "measures": ["clicks"], "limit": 1000});
            world.report(&query).await.ok()
        };
        let quarters = by("15m").await;
        let quarters: Vec<_> = cells(&quarters)
            .into_iter()
            .map(|(bucket, clicks)| (at(bucket.as_str().unwrap()), clicks.as_i64().unwrap()))
            .collect();
        let sum_of = |is_in: &dyn Fn(DateTime<Utc>) -> bool| -> i64 {
            quarters.iter().filter(|(start, _)| is_in(*start)).map(|(_, clicks)| clicks).sum()
        };

        assert_eq!(by("all").await.column("clicks"), [json!(sum_of(&|_| true))], "{zone} around {day}");
        let told = by("day").await;
        assert!(told.column("bucket").len() > 1, "{zone} around {day}: {told}");
        for (bucket, clicks) in cells(&told) {
            let expected = sum_of(&|start| local_date(start, zone.parse().unwrap()) == date(bucket.as_str().unwrap()));
            assert_eq!(clicks, json!(expected), "{zone} on {bucket}");
        }
        let told = cells(&by("hour").await);
        let mut edges: Vec<_> = told.iter().map(|(bucket, _)| at(bucket.as_str().unwrap())).collect();
        edges.push(DateTime::<Utc>::MAX_UTC);
        for ((bucket, clicks), edges) in told.iter().zip(edges.windows(2)) {
            assert_eq!(*clicks, json!(sum_of(&|start| edges[0] <= start && start < edges[1])), "{zone} from {bucket}");
        }
    }
}

/// Days whose first instants and ends were looked up by hand.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn days_on_which_clocks_change_are_the_sums_of_their_quarter_hours(
    options: PgPoolOptions,
    connect: PgConnectOptions,
) {
    let days = [
        ("Asia/Kathmandu", "2026-03-08", "2026-03-07T18:15:00Z", "2026-03-08T18:15:00Z"),
        // 23 and 25 hours.
        ("America/New_York", "2026-03-08", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
        // 23 and a half, and 24 and a half.
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z"),
        // The last day before the one that was skipped, the one behind it, and one in which clocks move.
        ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
        ("Pacific/Apia", "2011-09-24", "2011-09-24T11:00:00Z", "2011-09-25T10:00:00Z"),
    ];
    let mut world = world(options, connect).await;
    let mut seen: Vec<(DateTime<Utc>, i64)> = Vec::new();
    for (_, _, start, _) in days {
        let first = at(start) - TimeDelta::hours(3);
        let quarters = (0..4 * 32_i64).map(|quarter| (first + TimeDelta::minutes(15 * quarter + 14), quarter % 13 + 1));
        for one in quarters.filter(|(when, _)| !seen.iter().any(|(other, _)| other == when)).collect::<Vec<_>>() {
            seen.push(one);
        }
    }
    let texts: Vec<_> = seen.iter().map(|(when, count)| (when.to_rfc3339(), *count)).collect();
    let batch: Vec<_> =
        texts.iter().map(|(when, count)| (ObservationType::Click, when.as_str(), *count, None)).collect();
    world.given([observed(1, 1, &batch)]).await;
    for (zone, day, start, end) in days {
        let expected: i64 =
            seen.iter().filter(|(when, _)| at(start) <= *when && *when < at(end)).map(|(_, count)| count).sum();
        let told = world.get(&metrics(&format!("date_from={day}&date_to={day}&time_zone={zone}"))).await.ok();
        assert_eq!(cells(&told), [(json!(day), json!(expected))], "{zone}");
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn days_stated_in_the_querys_zone_are_exact(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world
        .given([stated(
            2,
            1,
            Grain::Day,
            "Europe/Berlin",
            &[
                ("2026-10-24", &[(Measure::Clicks, 1)]),
                ("2026-10-25", &[(Measure::Clicks, 10)]),
                ("2026-10-31", &[(Measure::Clicks, 100)]),
            ],
        )])
        .await;
    let by = async |query: &str| {
        let reply = world.get(&metrics(&format!("date_from=2026-10-01&date_to=2026-10-31&{query}"))).await.ok();
        let warnings = reply.warnings().join(",");
        (cells(&reply), warnings)
    };
    let berlin = [(json!("2026-10-24"), json!(1)), (json!("2026-10-25"), json!(10)), (json!("2026-10-31"), json!(100))];
    assert_eq!(by("time_zone=Europe/Berlin").await, (berlin.to_vec(), String::new()));
    // The same instants under another name.
    assert_eq!(by("time_zone=Europe/Paris").await, (berlin.to_vec(), String::new()));
    // Under their own date, and said to be.
    assert_eq!(by("time_zone=America/New_York").await, (berlin.to_vec(), "grain_mismatch".to_owned()));
    let months = by("time_zone=Asia/Tokyo&granularity=month").await;
    assert_eq!(months, (vec![(json!("2026-10-01"), json!(111))], "grain_mismatch".to_owned()));
    // Lagos has Berlin's winter time all year: only the days before the change differ.
    let winter = world.get(&metrics("date_from=2026-10-26&date_to=2026-10-31&time_zone=Africa/Lagos")).await.ok();
    assert_eq!((cells(&winter), winter.warnings().len()), (vec![(json!("2026-10-31"), json!(100))], 0));
    assert_eq!(by("time_zone=Africa/Lagos").await.1, "grain_mismatch");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn coarse_statements_are_left_out_of_finer_rows_and_named(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world
        .given([
            clicks(1, 1, "2026-11-20T10:20:00Z", 7),
            days(2, 1, &[("2026-11-20", &[(Measure::Clicks, 40), (Measure::Spend, 5_000_000)])]),
        ])
        .await;
    let reply =
        world.get(&metrics("date_from=2026-11-20&date_to=2026-11-20&time_zone=UTC&granularity=hour")).await.ok();
    assert_eq!(cells(&reply), [(json!("2026-11-20T10:00:00Z"), json!(7))]);
    assert_eq!(
        reply.body["meta"]["warnings"],
        json!([{
            "code": "grain_mismatch",
            "detail": "google_ads states its totals per day of UTC: they are too coarse for hour and in none of the rows.",
            "sources": ["google_ads"],
            "measures": ["clicks"],
        }])
    );
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn hours_across_an_edge_count_where_they_begin(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let hours: &[(&str, &[(Measure, i64)])] =
        &[("2026-11-20T17:00:00Z", &[(Measure::Clicks, 1)]), ("2026-11-20T18:00:00Z", &[(Measure::Clicks, 10)])];
    world.given([stated(2, 1, Grain::Hour, "UTC", hours)]).await;
    let range = "date_from=2026-11-20&date_to=2026-11-21";
    let kathmandu = world.get(&metrics(&format!("{range}&time_zone=Asia/Kathmandu"))).await.ok();
    assert_eq!(cells(&kathmandu), [(json!("2026-11-20"), json!(11))]);
    assert_eq!(kathmandu.warnings(), ["grain_mismatch"]);
    let berlin = world.get(&metrics(&format!("{range}&time_zone=Europe/Berlin&granularity=hour"))).await.ok();
    assert_eq!(cells(&berlin).len(), 2);
    assert_eq!(berlin.warnings(), [""; 0]);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn skipped_date_belongs_to_the_day_before(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    // Apia went from the 29th to the 31st; the source's zone did not.
    world
        .given([days(2, 1, &[("2011-12-29", &[(Measure::Clicks, 1)]), ("2011-12-30", &[(Measure::Clicks, 10)])])])
        .await;
    let reply = world.get(&metrics("date_from=2011-12-29&date_to=2011-12-31&time_zone=Pacific/Apia")).await.ok();
    assert_eq!(cells(&reply), [(json!("2011-12-29"), json!(11))]);
    assert_eq!(reply.warnings(), ["grain_mismatch"]);
    let skipped = world.get(&metrics("date_from=2011-12-30&date_to=2011-12-30&time_zone=Pacific/Apia")).await.ok();
    assert_eq!(skipped.body["data"], json!([]));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn ranges_and_zones_have_defaults(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    // Already the 23rd in Kiritimati.
    let reply = world.get(&metrics("time_zone=Pacific/Kiritimati")).await.ok();
    let query = &reply.body["meta"]["query"];
    assert_eq!((&query["date_from"], &query["date_to"]), (&json!("2026-10-25"), &json!("2026-11-23")));
    let reply = world.get(&format!("/v1/campaigns/{}/metrics?date_to=2026-03-01", campaign(1))).await.ok();
    assert_eq!(
        reply.body["meta"]["query"],
        json!({
            "measures": ["impressions", "clicks", "conversions", "revenue", "spend"],
            "date_from": (date("2026-03-01") - Days::new(29)).to_string(),
            "date_to": "2026-03-01",
            "granularity": "day",
            "time_zone": "Europe/Berlin",
            "group_by": [],
            "filters": {"campaign_id": [campaign(1).to_string()]},
            "order_by": [],
            "data_state": "all",
            "limit": 100,
        })
    );
}
