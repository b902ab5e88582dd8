//! A report among many campaigns, and of many observations, has the same rows as one of few, and the right sums. How
//! long each took is told.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use highwater::system::SystemConfig;
use platform::clock::Clock as _;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, Fill, Soak, TestSystem};

const NOW: &str = "2026-11-20T10:00:00Z";
/// The days of the report.
const DAYS: u64 = 30;

#[derive(Debug, Clone, Copy)]
struct Size {
    /// Campaigns that have numbers in the range, in each workspace, and all that it has: a few, or many.
    counted: usize,
    few: usize,
    many: usize,
    /// How many observations stand behind a number, where there are many.
    behind: u64,
    requests: usize,
}

impl Size {
    /// Small, or in `make soak` as large as is promised.
    fn of_environment() -> Self {
        if Soak::of_environment(0).rounds > 1 {
            Self { counted: 300, few: 1_000, many: 100_000, behind: 20, requests: 500 }
        } else {
            Self { counted: 10, few: 20, many: 200, behind: 3, requests: 3 }
        }
    }

    /// So many that each campaign has all measures on each day.
    fn observations(self) -> u64 {
        self.counted as u64 * DAYS * 4
    }
}

/// A workspace, the report that it is asked for, and how long each answer took.
struct Asked {
    name: String,
    caller: Caller,
    query: Value,
    took: Vec<Duration>,
    data: Value,
}

impl Asked {
    /// A workspace in which so many observations stand behind each number. Two sources share its campaigns.
    async fn open(system: &TestSystem, pool: &PgPool, size: Size, (all, behind): (usize, u64)) -> Self {
        let name = format!("{all} campaigns, {behind} observations behind a number");
        let caller = system.workspace(&name).await;
        let mut campaigns = Vec::new();
        for _ in 0..size.counted {
            campaigns.push(caller.campaign("Winter").await);
        }
        let now = system.clock.now();
        for (source, campaigns) in ["tracker", "mailer"].into_iter().zip(campaigns.chunks(size.counted / 2)) {
            caller.push_source(source).await;
            let between = (now - TimeDelta::days(29), now);
            Fill { source, campaigns, observations: size.observations() * behind / 2, per_event: 500, between }
                .append(pool, &caller)
                .await;
        }
        caller.caught_up_within(Duration::from_mins(10)).await;
        let query = json!({"date_from": "2026-10-22", "date_to": "2026-11-20", "time_zone": "UTC", "group_by": ["channel"],
                           "measures": ["impressions", "clicks", "ctr"], "granularity": "day"});
        let asked = Self { name, caller, query, took: Vec::new(), data: Value::Null };
        asked.grow(pool, i32::try_from(all - size.counted).unwrap()).await;
        asked
    }

    /// Adds campaigns whose numbers are from before the range.
    async fn grow(&self, pool: &PgPool, others: i32) {
        let epoch = "(SELECT epoch FROM read.live_epochs WHERE workspace = $1)";
        let month =
            format!("SELECT read.prepare_months({epoch}, ARRAY['rollup_daily'], ARRAY['2026-06-01']::timestamptz[])");
        sqlx::query(&month).bind(self.caller.workspace()).execute(pool).await.unwrap();
        let like_one = |table: &str, what: &str| {
            format!(
                "INSERT INTO read.{table}
                 SELECT (jsonb_populate_record(NULL::read.{table}, to_jsonb(o) || jsonb_build_object('campaign_id', md5($1 || ' ' || n)) || {what})).*
                 FROM (SELECT * FROM read.{table} WHERE workspace = $1 LIMIT 1) o, generate_series(1, $2) n"
            )
        };
        for (table, what) in [
            ("campaigns", "'{}'"),
            ("campaign_sources", "'{}'"),
            ("rollup_daily", r#"'{"bucket": "2026-06-15T00:00:00Z"}'"#),
        ] {
            sqlx::query(&like_one(table, what)).bind(self.caller.workspace()).bind(others).execute(pool).await.unwrap();
        }
    }

    async fn ask(&mut self) {
        let begun = Instant::now();
        let answer = self.caller.post_read("/v1/reports", &self.query).await.expect(200);
        self.took.push(begun.elapsed());
        self.data = answer.body["data"].clone();
    }

    /// So many of a hundred answers took no longer.
    fn percentile(&self, percent: usize) -> Duration {
        let mut took = self.took.clone();
        took.sort_unstable();
        took[(took.len() * percent).div_ceil(100).max(1) - 1]
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn large_reports_equal_the_sum_of_small_ones(pool: PgPool) {
    let size = Size::of_environment();
    // Each is computed: no result is kept.
    let system = TestSystem::start_as(&pool, NOW, |config| SystemConfig { results_bytes: 0, ..config }).await;
    let few = Asked::open(&system, &pool, size, (size.few, 1)).await;
    let many = Asked::open(&system, &pool, size, (size.many, 1)).await;
    let dense = Asked::open(&system, &pool, size, (size.few, size.behind)).await;
    sqlx::query("ANALYZE").execute(&pool).await.unwrap();

    // In turns, so that whatever else the machine does is shared.
    let mut all = [few, many, dense];
    for _ in 0..size.requests {
        for asked in &mut all {
            asked.ask().await;
        }
    }
    for asked in &all {
        let [median, last] = [50, 99].map(|percent| asked.percentile(percent));
        println!("{}: median {median:.2?}, p99 {last:.2?}", asked.name);
    }
    let [few, many, dense] = &all;
    assert_eq!(few.data.as_array().unwrap().len(), usize::try_from(DAYS).unwrap());
    assert_eq!(few.data, many.data);
    let clicks =
        |asked: &Asked| asked.data.as_array().unwrap().iter().map(|row| row["clicks"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(clicks(dense), clicks(few) * size.behind);
    system.stop().await;
}
