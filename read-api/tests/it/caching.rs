//! Results that a process keeps: told again while they hold, and never longer.

use domain::bucket::Grain;
use futures_util::future::join_all;
use http::StatusCode;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::statements::Statements;
use crate::support::given::{campaign, clicks, completed, created, pushing};
use crate::support::{World, send};

async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    let tracker = pushing(1, "tracker", "paid_search");
    let seen = clicks(1, 1, "2026-11-20T10:00:00Z", 5);
    world.given([created(1, "Shoes", &["paid_search"]), created(2, "Hats", &["email"]), tracker, seen]).await;
    world
}

fn metrics(n: u128) -> String {
    format!("/v1/campaigns/{}/metrics?date_from=2026-11-20&date_to=2026-11-22&time_zone=UTC", campaign(n))
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn unchanged_result_is_not_computed_again(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let path = metrics(1);
    let first = world.get(&path).await.ok();
    assert_eq!(first.header("cache-status"), "highwater; fwd=miss");
    let again = world.get(&path).await.ok();
    assert_eq!(again.header("cache-status"), "highwater; hit");
    assert_eq!(again.text, first.text);
    assert!(again.header("server-timing").starts_with("total;dur="), "{again}");

    // An event that it does not show: its version is read, and is the same.
    world.given([clicks(1, 2, "2026-11-20T10:00:00Z", 1)]).await;
    let later = world.get(&path).await.ok();
    assert_eq!(later.header("cache-status"), "highwater; fwd=stale; fwd-status=304");
    assert_eq!((later.etag(), &later.text), (first.etag(), &first.text));
    assert_ne!(later.header("data-position"), first.header("data-position"));
    assert_eq!(world.get(&path).await.ok().header("cache-status"), "highwater; hit");

    // One that it does show.
    world.given([clicks(1, 1, "2026-11-20T10:00:00Z", 1)]).await;
    let changed = world.get(&path).await.ok();
    assert_eq!(changed.header("cache-status"), "highwater; fwd=miss");
    assert_ne!(changed.text, first.text);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn returns_304_from_the_cache(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let first = send(world.fresh.clone(), "GET", &metrics(1), &[], None).await.ok();
    for status in ["highwater; fwd=stale; fwd-status=304", "highwater; hit"] {
        let held = world.get_with(&metrics(1), &[("if-none-match", first.etag())]).await;
        assert_eq!(held.status, StatusCode::NOT_MODIFIED);
        assert_eq!(held.header("cache-status"), status);
        assert_eq!(held.header("data-position"), first.header("data-position"));
    }
    // Only its version is kept so far: whoever does not have the result gets it computed.
    let whole = world.get(&metrics(1)).await.ok();
    assert_eq!((whole.header("cache-status"), &whole.text), ("highwater; fwd=miss", &first.text));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn clock_boundary_ends_a_cached_result(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world.given([completed(1, "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z", Grain::Hour)]).await;
    let path = metrics(1);
    let first = world.get(&path).await.ok();
    // It is late an hour's grain and an hour's delay after what it completed.
    world.set_clock("2026-11-22T13:59:59.999Z");
    let quiet = world.get(&path).await.ok();
    assert_eq!((quiet.header("cache-status"), quiet.etag()), ("highwater; hit", first.etag()));
    world.set_clock("2026-11-22T14:00:00Z");
    let late = world.get(&path).await.ok();
    assert_eq!(late.header("cache-status"), "highwater; fwd=miss");
    assert_ne!(late.etag(), first.etag());
    // A clock that was set back asks again, too.
    world.set_clock("2026-11-22T13:59:59.999Z");
    let back = world.get(&path).await.ok();
    assert_eq!((back.etag(), &back.text), (first.etag(), &first.text));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn concurrent_equal_requests_cost_one_computation(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    for round in 0..3 {
        world.given([clicks(1, 1, "2026-11-20T10:00:00Z", 1)]).await;
        let path = metrics(1);
        let asking = (0..40).map(|_| world.get(&path));
        let replies = join_all(asking).await;
        let computed = replies.iter().filter(|reply| reply.header("cache-status") == "highwater; fwd=miss").count();
        assert_eq!(computed, 1, "round {round}");
        let expected = serde_json::json!([6 + round]);
        for reply in replies {
            assert_eq!(serde_json::json!(reply.ok().column("clicks")), expected);
        }
    }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn concurrent_requests_share_one_lookup(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let paths = [metrics(1), metrics(2), format!("/v1/campaigns/{}", campaign(1))];
    for path in &paths {
        world.get(path).await.ok();
    }
    let statements = Statements::count();
    let replies = join_all((0..60).map(|n| world.get(&paths[n % paths.len()]))).await;
    for reply in replies {
        assert_eq!(reply.ok().header("cache-status"), "highwater; hit");
    }
    // How far the workspace is, for all of them.
    assert_eq!(statements.so_far(), 1);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn cached_result_never_precedes_the_token(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    let kept = world.get(&metrics(1)).await.ok();
    let head = world.append(world.workspace, [clicks(1, 1, "2026-11-20T10:00:00Z", 1)]).await;
    let path = format!("{}&min_position={head}", metrics(1));
    let early = world.get(&path).await.ok();
    assert!(early.header("data-freshness").contains("satisfied=?0"), "{early}");
    assert_eq!(early.text, kept.text);
    let refused = world.get(&format!("{path}&on_timeout=error")).await;
    assert_eq!(refused.problem(503), "not-yet-visible");
    world.project().await;
    let seen = world.get(&path).await.ok();
    assert!(seen.header("data-freshness").contains("satisfied=?1"), "{seen}");
    assert_eq!(seen.column("clicks"), [serde_json::json!(6)]);
}

/// No copy may be shown for longer than it can be trusted, however final its numbers are.
#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn answers_have_cache_policies(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = world(options, connect).await;
    world.given([completed(1, "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z", Grain::Hour)]).await;
    let past = metrics(1).replace("2026-11-20", "2026-11-18").replace("2026-11-22", "2026-11-18");
    let settled = world.get(&past).await.ok();
    assert!(settled.header("data-freshness").starts_with("state=final"), "{settled}");
    let token = settled.header("consistency-token");
    let (again, ask_first, none) = ("private, max-age=0, stale-while-revalidate=5", "private, no-cache", "no-store");
    assert_eq!(settled.header("cache-control"), again);
    for (path, headers, caching) in [
        (metrics(1), vec![], again),
        (metrics(1), vec![("if-none-match", "*")], again),
        (format!("{}&on_timeout=error", metrics(1)), vec![("prefer", "wait=1")], again),
        (metrics(1), vec![("consistency-token", token)], ask_first),
        (metrics(1), vec![("consistency-token", token), ("if-none-match", "*")], ask_first),
        (format!("{}&max_staleness=5s", metrics(1)), vec![], ask_first),
        (format!("{}&min_position=1", metrics(1)), vec![], ask_first),
        (metrics(1), vec![("accept", "text/csv")], ask_first),
        (metrics(1), vec![("accept", "text/csv"), ("if-none-match", "*")], ask_first),
        ("/v1/measures".to_owned(), vec![], "private, max-age=300"),
        ("/v1/freshness".to_owned(), vec![], none),
        (metrics(7), vec![], none),
        ("/v1/campaigns?limit=0".to_owned(), vec![], none),
    ] {
        let reply = world.get_with(&path, &headers).await;
        assert_eq!(reply.header("cache-control"), caching, "{path} {headers:?}: {reply}");
    }
    let reply = world.report(&serde_json::json!({})).await.ok();
    assert_eq!(reply.header("cache-control"), none);
    let headers = [("content-type", "application/json"), ("accept", "text/csv")];
    let file = send(world.router.clone(), "POST", "/v1/reports", &headers, Some("{}".to_owned())).await.ok();
    assert_eq!(file.header("cache-control"), none);
    // A copy for nobody's token is none for somebody's.
    assert!(settled.header("vary").contains("Consistency-Token"), "{settled}");
}
