//! Reading one's own writes, and bounds on staleness.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use http_edge::consistency::ConsistencyToken;
use projections::{PROJECTIONS, ProjectorConfig};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::given::{campaign, clicks, created, opened, pushing};
use crate::support::{World, send};

/// The token of a position whose event was recorded when the world began.
fn token(workspace: i32, position: i64) -> String {
    token_of(workspace, position, "2026-11-22T12:00:00Z")
}

fn token_of(workspace: i32, position: i64, recorded_at: &str) -> String {
    let recorded_at: DateTime<Utc> = recorded_at.parse().unwrap();
    ConsistencyToken { workspace, position, recorded_at: recorded_at.timestamp_micros() }.encode()
}

fn path() -> String {
    format!("/v1/campaigns/{}", campaign(1))
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn read_waits_for_its_own_write(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let workspace = world.workspace;
    let head = world.append(workspace, [created(1, "Shoes", &["email"])]).await;
    assert_eq!(world.get(&path()).await.problem(404), "not-found");

    let stop = CancellationToken::new();
    let projector = tokio::spawn(projections::run(
        world.projector.clone(),
        ProjectorConfig::new(PROJECTIONS, Uuid::now_v7(), "test".to_owned()),
        stop.clone(),
    ));
    let token = token(workspace, head);
    let headers = [("consistency-token", token.as_str()), ("prefer", "respond-async, wait=20")];
    let reply = world.get_with(&path(), &headers).await.ok();
    assert_eq!(reply.body["data"]["name"], json!("Shoes"));
    assert_eq!(reply.header("preference-applied"), "wait=20");
    assert!(reply.header("data-freshness").ends_with("satisfied=?1"));
    assert_eq!(reply.header("consistency-token"), token);

    // Many readers, each of its own write, woken while the projector goes on.
    let mut readers = Vec::new();
    for n in 2..20 {
        let head = world.append(workspace, [created(n, "More", &["email"])]).await;
        let router = world.router.clone();
        readers.push(tokio::spawn(async move {
            let path = format!("/v1/campaigns/{}?min_position={head}", campaign(n));
            send(router, "GET", &path, &[("prefer", "wait=20")], None).await.ok()
        }));
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap().header("preference-applied"), "wait=20");
    }
    stop.cancel();
    projector.await.unwrap().unwrap();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn slow_poll_finds_unannounced_commits(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let head = world.append(world.workspace, [created(1, "Shoes", &["email"])]).await;
    let router = world.router.clone();
    let waiting = tokio::spawn(async move {
        let path = format!("/v1/campaigns/{}?min_position={head}", campaign(1));
        send(router, "GET", &path, &[("prefer", "wait=25")], None).await.ok()
    });
    // Rows and checkpoint come from elsewhere: nothing is announced.
    let epoch = 1;
    sqlx::query("UPDATE read.checkpoints SET position = $1 WHERE epoch = $2")
        .bind(head)
        .bind(epoch)
        .execute(&world.admin)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO read.campaigns (epoch, workspace, campaign_id, version, position, name, state, channels, currency, time_zone,
                                     starts_on, starts_at, external_ids, attributes, created_at, changed_at)
         VALUES (1, $1, $2, 1, 2, 'Shoes', 'draft', '{email}', 'EUR', 'UTC', '2026-12-01', '2026-12-01', '[]', '{}', now(), now())",
    )
    .bind(world.workspace)
    .bind(campaign(1).0)
    .execute(&world.admin)
    .await
    .unwrap();
    assert_eq!(waiting.await.unwrap().body["data"]["name"], json!("Shoes"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn timed_out_wait_is_reported(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shoes", &["email"])]).await;
    let head = world.append(world.workspace, [created(2, "Hats", &["email"])]).await;
    let started = Instant::now();
    let wished = format!("{}?min_position={head}", path());
    let reply = world.get_with(&wished, &[("prefer", "wait=1")]).await.ok();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert!(reply.header("data-freshness").ends_with("satisfied=?0"), "{reply}");
    assert!(!reply.headers.contains_key("preference-applied"));
    // Without a wish to wait, at once.
    assert!(world.get(&wished).await.ok().header("data-freshness").ends_with("satisfied=?0"));

    let refused = world.get(&format!("{wished}&on_timeout=error")).await;
    assert_eq!(refused.problem(503), "not-yet-visible");
    assert_eq!(refused.header("retry-after"), "1");
    let told = format!("Position {head} is required, and the log is applied up to {}.", head - 1);
    assert_eq!(refused.body["detail"], json!(told));
    assert_eq!((&refused.body["asked"], &refused.body["applied"]), (&json!(head), &json!(head - 1)));

    // The campaign itself is not there yet: 404, with what it rests on.
    let absent = world.get(&format!("/v1/campaigns/{}?min_position={head}", campaign(2))).await;
    assert_eq!(absent.problem(404), "not-found");
    assert!(absent.header("data-freshness").ends_with("satisfied=?0"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn nothing_is_answered_before_the_first_event_is_applied(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::empty(options, connect).await;
    let head = world.append(world.workspace, [opened("Asia/Tokyo"), created(1, "Shoes", &["email"])]).await;
    // Not an empty list in another time zone than the workspace's.
    for path in ["/v1/campaigns".to_owned(), format!("/v1/campaigns?min_position={head}")] {
        let refused = world.get(&path).await;
        assert_eq!((refused.problem(503), refused.header("retry-after")), ("building", "10"));
    }
    assert_eq!(world.get("/v1/freshness").await.ok().body["data"]["head"], json!(head));
    world.project().await;
    assert_eq!(world.get("/v1/campaigns").await.ok().body["data"][0]["name"], json!("Shoes"));
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_invalid_tokens(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let head = world.given([created(1, "Shoes", &["email"])]).await;
    let other = world.open("other", "hw_other").await;
    let with = async |token: &str| world.get_with(&path(), &[("consistency-token", token)]).await;
    with(&token(world.workspace, head)).await.ok();
    assert_eq!(with(&token(other, 1)).await.problem(400), "invalid-consistency-token");
    assert_eq!(with("not base64url!").await.problem(400), "invalid-consistency-token");
    let ahead = world.get(&format!("{}?min_position={}", path(), head + 1)).await;
    assert_eq!(ahead.problem(400), "unknown-position");
    let told = format!("Position {} is required, and the log's last position is {head}.", head + 1);
    assert_eq!(ahead.body["detail"], json!(told));
    assert_eq!((&ahead.body["asked"], &ahead.body["head"]), (&json!(head + 1), &json!(head)));
    let ahead = world.get_with(&format!("{}?min_position={}", path(), i64::MAX), &[("prefer", "wait=30")]).await;
    assert_eq!(ahead.problem(400), "unknown-position");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn token_of_a_lost_event_is_a_reset(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    let first = world.given([created(1, "Shoes", &["email"])]).await;
    let head = world.given([created(2, "Hats", &["email"])]).await;
    let with = async |token: &str| world.get_with(&path(), &[("consistency-token", token)]).await;
    // Of an event of this log, the last one or an earlier one.
    for position in [first, head] {
        let reply = with(&token(world.workspace, position)).await.ok();
        assert!(reply.header("data-freshness").ends_with("satisfied=?1"), "{reply}");
    }
    // Of an event that was at the same position before a restore, and of one that is past the head since.
    let before = "2026-11-22T11:59:59.999999Z";
    for (position, recorded_at) in [(head, before), (first, before), (head + 1, before), (0, before)] {
        let refused = with(&token_of(world.workspace, position, recorded_at)).await;
        if position == 0 {
            refused.ok();
            continue;
        }
        assert_eq!(refused.problem(410), "log-restored", "{refused}");
        assert_eq!((&refused.body["reset"], &refused.body["asked"]), (&json!("restored"), &json!(position)));
    }
    // The same when the answer is kept, or the caller would wait.
    let headers = [("consistency-token", token_of(world.workspace, head, before)), ("prefer", "wait=20".to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(world.get_with(&path(), &headers).await.problem(410), "log-restored");
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn rejects_answers_beyond_the_staleness_bound(options: PgPoolOptions, connect: PgConnectOptions) {
    let mut world = World::new(options, connect).await;
    world.given([created(1, "Shoes", &["email"]), pushing(1, "tracker", "email")]).await;
    let bounded = format!("{}?max_staleness=5s", path());
    world.set_clock("2026-11-23T12:00:00Z");
    // Nothing happened for a day, and everything is applied.
    world.get(&bounded).await.ok();
    // The oldest unapplied event counts, not the newest.
    world.append(world.workspace, [clicks(1, 1, "2026-11-23T12:00:00Z", 1)]).await;
    world.set_clock("2026-11-23T12:00:05Z");
    world.append(world.workspace, [clicks(1, 1, "2026-11-23T12:00:00Z", 1)]).await;
    world.get(&bounded).await.ok();
    world.set_clock("2026-11-23T12:00:05.001Z");
    let refused = world.get(&bounded).await;
    assert_eq!(refused.problem(503), "staleness-bound-unmet");
    assert_eq!(refused.body["lag_ms"], json!(5001));
    assert_eq!(refused.header("retry-after"), "1");

    // Whoever would rather wait is answered once it is applied.
    let router = world.router.clone();
    let waiting = tokio::spawn(async move { send(router, "GET", &bounded, &[("prefer", "wait=20")], None).await.ok() });
    world.project().await;
    assert_eq!(waiting.await.unwrap().header("preference-applied"), "wait=20");
}
