//! Every statement of a read goes by an index to the rows that it needs: none reads a table that grows from end to end, rows of
//! another workspace or epoch, or a month that nobody asked for. The plans are those of what the API really sends.

mod explain; // what the database did, and what of it it may not

use axum::Router;
use serde_json::{Value, json};
use sqlx::Executor;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use self::explain::{Allowed, Statements};
use crate::support::{World, send};

/// The epoch that the first workspace reads.
const LIVE: i32 = 2;
/// Its first campaign, which has numbers.
const CAMPAIGN: &str = "/v1/campaigns/ca000000-0000-0000-0001-000000000001";
/// As many rows as a page, one that tells of more, and the few that stand beside them.
const PAGE: u32 = 130;
/// The few things that are looked up one by one.
const FEW: u32 = 80;

/// A session whose statements are told. The tables are short here, so that the planner would read all of some; it does so
/// only where there is no other way.
macro_rules! told {
    ($plans:literal) => {
        concat!(
            "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_format = json; ",
            "SET auto_explain.log_analyze = on; SET auto_explain.log_timing = off; SET auto_explain.log_nested_statements = on; ",
            "SET client_min_messages = log; SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = ",
            $plans,
            "; SET ROLE highwater_read"
        )
    };
}
/// Plans that know what is asked for, as the first ones do; and plans that serve whatever is, as later ones may.
const SESSIONS: [&str; 2] = [told!("force_custom_plan"), told!("force_generic_plan")];

/// One request, and what its statements may read. Where a range is given, `monthly` is less than a month of the table has: a
/// statement that lost its dates is seen. Not so where the range is a month, and of the week by hours, which are all there are;
/// and what an index passes over within a campaign's or a workspace's month is not counted.
struct Asked {
    path: String,
    body: Option<Value>,
    months: &'static [&'static str],
    rows: u32,
    /// Of tables that are kept by month.
    monthly: u32,
}

fn get(path: impl Into<String>, rows: u32) -> Asked {
    Asked { path: path.into(), body: None, months: &[], rows, monthly: rows }
}

fn of_campaign(path: &str, months: &'static [&'static str], rows: u32) -> Asked {
    Asked { months, ..get(format!("{CAMPAIGN}/{path}"), rows) }
}

fn report(query: Value, months: &'static [&'static str], (rows, monthly): (u32, u32)) -> Asked {
    Asked { path: "/v1/reports".to_owned(), body: Some(query), months, rows, monthly }
}

/// The last 30 days: the 24th of October to the 22nd of November.
const MONTH: &[&str] = &["202610", "202611"];
const TODAY: &[&str] = &["202611"];

/// What a dashboard asks of campaigns. `rows` is what is there to answer it, not what else there is. What is little may be read
/// whole, if by an index.
fn of_campaigns() -> Vec<Asked> {
    let week = "date_from=2026-11-16&date_to=2026-11-22";
    let mut all = vec![
        get(CAMPAIGN, FEW),
        get("/v1/campaigns", PAGE),
        get("/v1/campaigns?status=active", 2 * PAGE),
        get("/v1/campaigns?channel=paid_search", PAGE),
        get("/v1/campaigns?source=source%202", 1_000),
        get("/v1/freshness", FEW),
        get("/v1/workspace", FEW),
        of_campaign("activity?limit=5", &[], PAGE),
        of_campaign("corrections?date_from=2026-11-20&date_to=2026-11-20&limit=5", &[], PAGE),
        of_campaign("pacing", &["202609", "202610", "202611"], 600),
        of_campaign("metrics?granularity=all", MONTH, FEW),
        of_campaign("metrics?granularity=day", MONTH, FEW),
        of_campaign("metrics?granularity=week&group_by=channel", MONTH, FEW),
        of_campaign("metrics?granularity=month&group_by=source&fill=zero", MONTH, FEW),
        of_campaign(&format!("metrics?granularity=hour&{week}"), TODAY, 250),
        of_campaign("metrics?granularity=15m&date_from=2026-11-22", TODAY, 100),
        of_campaign("metrics?granularity=day&time_zone=Asia/Kathmandu&date_from=2026-11-21", TODAY, 300),
        of_campaign("metrics?granularity=day&group_by=country&date_from=2026-11-10", TODAY, 40),
    ];
    for window in ["7d", "30d"] {
        // Ranks follow from the numbers of all campaigns.
        all.push(get(format!("/v1/leaderboard?measure=clicks&limit=10&window={window}"), 400));
    }
    for sort in ["name", "created_at", "changed_at", "starts_on"] {
        for sort in [sort.to_owned(), format!("-{sort}")] {
            all.push(get(format!("/v1/campaigns?sort={sort}&limit=10"), FEW));
        }
    }
    all
}

/// What it asks of many campaigns together, most of which are two counts of 60 campaigns and a spend of 400, on each of 30 days.
fn of_many() -> Vec<Asked> {
    /// Of 30 days: the spends, and the counts of the longer part.
    const ALL: (u32, u32) = (13_000, 2_700);
    let mut all = Vec::new();
    for key in ["channel", "source", "campaign", "country", "device"] {
        all.push(report(json!({"group_by": [key], "granularity": "week", "totals": true}), MONTH, ALL));
    }
    let ids: Vec<_> = (1..=3).map(|n| format!("ca000000-0000-0000-0001-{n:012}")).collect();
    all.extend([
        report(
            json!({"compare_to": {"date_from": "2026-11-01", "date_to": "2026-11-05"}, "date_from": "2026-11-18"}),
            TODAY,
            (4_000, 600),
        ),
        report(json!({"group_by": ["channel"], "date_from": "2026-11-22"}), TODAY, (1_300, 150)),
        report(json!({"group_by": ["channel"], "filters": {"campaign_id": ids}}), MONTH, (PAGE, 150)),
        report(json!({"filters": {"campaign_id": ids, "country": ["A"]}, "measures": ["clicks"]}), MONTH, (PAGE, PAGE)),
        report(json!({"filters": {"not": {"campaign_id": ids}}}), MONTH, ALL),
        report(json!({"filters": {"status": ["paused"]}, "granularity": "day"}), MONTH, ALL),
        Asked {
            path: "/v1/dashboards".to_owned(),
            body: Some(json!({"reports": {
                "today": {"date_from": "2026-11-22", "measures": ["clicks", "spend"], "totals": true},
                "by_channel": {"group_by": ["channel"], "measures": ["clicks", "ctr"]},
                "hours": {"date_from": "2026-11-21", "granularity": "hour"},
            }})),
            months: MONTH,
            rows: ALL.0,
            // The hours of two days.
            monthly: 4_500,
        },
    ]);
    all
}

impl Asked {
    /// Asks, and for the next page. Gives everything that the statements did and may not.
    async fn offences(&self, router: &Router, statements: &Statements) -> Vec<String> {
        let allowed = Allowed { epoch: LIVE, months: self.months, rows: self.rows, monthly: self.monthly };
        let mut found = Vec::new();
        let mut next = None;
        for _ in 0..2 {
            let headers = [("content-type", "application/json")];
            let (method, body) = self.body.as_ref().map_or(("GET", None), |body| ("POST", Some(body.to_string())));
            let path = next.take().unwrap_or_else(|| self.path.clone());
            let answer = send(router.clone(), method, &path, &headers, body).await.ok();
            let told = statements.take();
            assert!(told.len() > 1, "{path}");
            found.extend(
                told.iter().flat_map(|statement| statement.offences(allowed)).map(|why| format!("{path}: {why}")),
            );
            let Some(cursor) = answer.body["page"]["next_cursor"].as_str().filter(|_| method == "GET") else { break };
            next = Some(format!("{}{}cursor={cursor}", self.path, if self.path.contains('?') { '&' } else { '?' }));
        }
        found
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn every_statement_uses_an_index(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = World::new(options, connect.clone()).await;
    if let Err(error) = world.admin.execute("LOAD 'auto_explain'").await {
        println!("SKIPPED: PostgreSQL's auto_explain is not there: {error}");
        return;
    }
    sqlx::raw_sql(include_str!("fill.sql")).execute(&world.admin).await.unwrap();
    world.admin.execute("SET default_statistics_target = 20; ANALYZE").await.unwrap();
    projections::leaderboard::refresh(&world.projector, "2026-11-22T12:00:00Z".parse().unwrap()).await.unwrap();
    world.admin.execute("ANALYZE read.leaderboard").await.unwrap();
    // As any table is after a while: an index that holds all that is asked for is read by itself then.
    world.admin.execute("VACUUM").await.unwrap();

    let statements = Statements::listen();
    let mut found = Vec::new();
    // Sums are planned for their values whatever the session says; beside them, all reports ask the same.
    for (session, reports) in SESSIONS.into_iter().zip([usize::MAX, 3]) {
        let router = world.reading(&connect, session).await;
        for asked in of_campaigns().into_iter().chain(of_many().into_iter().take(reports)) {
            found.extend(asked.offences(&router, &statements).await);
        }
    }
    let router = world.reading(&connect, SESSIONS[0]).await;
    found.extend(while_waiting(&world, router.clone(), &statements).await);
    assert!(found.is_empty(), "{} offences\n\n{}", found.len(), found.join("\n\n"));

    // What an index is for is missed when it is gone.
    world.admin.execute("DROP INDEX read.campaigns_by_name").await.unwrap();
    let missed = get("/v1/campaigns", PAGE).offences(&router, &statements).await;
    assert!(missed.iter().any(|why| why.contains("1000 rows are read") && why.contains("campaigns_e2")), "{missed:?}");
    world.admin.execute("DROP INDEX auth.keys_by_workspace").await.unwrap();
    let missed = of_campaign("activity", &[], PAGE).offences(&router, &statements).await;
    assert!(missed.iter().any(|why| why.contains("all of keys is read")), "{missed:?}");
}

/// What is asked on behalf of a request that waits for a position, until it is there.
async fn while_waiting(world: &World, router: Router, statements: &Statements) -> Vec<String> {
    let waits = [("prefer", "wait=20")];
    let request = tokio::spawn(async move {
        send(router, "GET", &format!("{CAMPAIGN}?min_position=5001&on_timeout=error"), &waits, None).await
    });
    while !statements.have("SELECT c.workspace, c.position FROM read.live_epochs") {
        assert!(!request.is_finished(), "answered without asking for the position");
        tokio::task::yield_now().await;
    }
    let applied =
        "UPDATE read.checkpoints SET position = 5001 WHERE workspace = 1 AND epoch = 2; NOTIFY highwater_read";
    world.admin.execute(applied).await.unwrap();
    request.await.unwrap().ok();
    let allowed = Allowed { epoch: LIVE, months: &[], rows: FEW, monthly: FEW };
    statements.take().iter().flat_map(|statement| statement.offences(allowed)).collect()
}
