//! Who reads slowly holds up nobody else: only so many files are read at a time, and one that nobody reads on is let go.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, BodyDataStream};
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use http::{Request, StatusCode, header};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tower::ServiceExt;

use crate::support::given::created;
use crate::support::{CSV, KEY, World, send};

/// Half of the connections that the reader's pool has.
const AT_A_TIME: usize = 6;
/// How long a file waits for whoever reads it.
const PATIENCE: Duration = Duration::from_secs(30);
/// What has not come by then never comes, on any machine.
const HANGS: Duration = Duration::from_mins(5);

/// A workspace of which a file takes several pages: whoever reads it keeps a snapshot.
async fn world(options: PgPoolOptions, connect: PgConnectOptions) -> World {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shop", &["email"])]).await;
    world.many_campaigns(3_500).await;
    world
}

/// Begins to read a file, as far as its head.
async fn begun(router: &Router) -> Result<BodyDataStream, StatusCode> {
    let request = Request::get("/v1/campaigns?fields=name").header(CSV.0, CSV.1);
    let request = request.header(header::AUTHORIZATION, format!("Bearer {KEY}")).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    if response.status() == 200 { Ok(response.into_body().into_data_stream()) } else { Err(response.status()) }
}

/// How many snapshots are open for files, whether a page is read or waited with.
async fn snapshots(world: &World) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND state IN ('active', 'idle in transaction')
           AND query LIKE '%read.campaigns%'",
    )
    .fetch_one(&world.admin)
    .await
    .unwrap()
}

/// Looks until there are so many.
async fn until(world: &World, wanted: i64) {
    let begun = Instant::now();
    while snapshots(world).await != wanted {
        assert!(begun.elapsed() < HANGS, "there never are {wanted} snapshots");
        tokio::task::yield_now().await;
    }
}

/// Since when the one snapshot has been waited with. None while a page is read.
async fn waiting_since(world: &World) -> Option<DateTime<Utc>> {
    sqlx::query_scalar(
        "SELECT state_change FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'
           AND query LIKE '%read.campaigns%'",
    )
    .fetch_optional(&world.admin)
    .await
    .unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn exports_use_at_most_half_of_the_connections(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let mut reading = Vec::new();
    for _ in 0..AT_A_TIME {
        reading.push(begun(&world.router).await.unwrap());
    }
    until(&world, 6).await;

    let refused = world.get_with("/v1/campaigns", &[CSV]).await;
    assert_eq!(refused.problem(503), "overloaded");
    assert_eq!(refused.header("retry-after"), "1");
    // What is short is answered meanwhile, also where nothing is kept.
    let page = send(world.fresh.clone(), "GET", "/v1/campaigns?limit=5", &[], None).await.ok();
    assert_eq!(page.column("name").len(), 5);

    // One that goes away makes room, and so does one that has read all.
    drop(reading.pop());
    until(&world, 5).await;
    let file = world.get_with("/v1/campaigns?fields=name", &[CSV]).await.ok();
    assert_eq!(file.text.lines().count(), 3_501);
    let whole: Vec<_> = reading.pop().unwrap().collect().await;
    assert!(whole.iter().all(Result::is_ok));
    until(&world, 4).await;
    for _ in 0..2 {
        reading.push(begun(&world.router).await.unwrap());
    }
    assert_eq!(begun(&world.router).await.unwrap_err(), StatusCode::SERVICE_UNAVAILABLE);
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn abandoned_export_releases_its_snapshot(options: PgPoolOptions, connect: PgConnectOptions) {
    let world = world(options, connect).await;
    let mut stalled = begun(&world.router).await.unwrap();
    // From here on only this test moves the clock, so that it does not matter how long anything takes.
    tokio::time::pause();
    let (still, released) = std::sync::mpsc::channel::<()>();
    // The runtime does not move it either while a thread is blocked.
    tokio::task::spawn_blocking(move || released.recv());
    let first = stalled.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"name\r\nShop"));
    // The rows that are read ahead wait to be taken when no more are asked for.
    let (begun, mut since) = (Instant::now(), None);
    while since.is_none() || waiting_since(&world).await != since {
        assert!(begun.elapsed() < HANGS, "nothing is waited with");
        since = waiting_since(&world).await;
    }
    // Not at once: a caller may be slow.
    tokio::time::advance(PATIENCE * 9 / 10).await;
    assert_eq!(snapshots(&world).await, 1);

    let begun = Instant::now();
    while snapshots(&world).await > 0 {
        assert!(begun.elapsed() < HANGS, "the snapshot is never let go");
        tokio::time::advance(PATIENCE * 2).await;
    }
    drop(still);
    tokio::time::resume();
    // Whoever reads on after all is told that the file has no end.
    let rest: Vec<_> = stalled.collect().await;
    assert!(rest.last().unwrap().is_err());
    assert!(rest.len() < 4, "{}", rest.len());
    world.get_with("/v1/campaigns", &[CSV]).await.ok();
}
