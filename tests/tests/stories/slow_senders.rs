//! Whoever holds a connection and sends nothing, or next to nothing, is let go of; the others do not notice.

use std::time::Duration;

use highwater::system::SystemConfig;
use http_edge::HttpConfig;
use http_edge::config::LimitConfig;
use sqlx::PgPool;
use tests::{Caller, TestSystem};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const NOW: &str = "2026-11-20T10:00:00Z";
const PATIENCE: Duration = Duration::from_mins(1);

async fn system(pool: &PgPool, limits: LimitConfig) -> TestSystem {
    let http = HttpConfig { limits, ..HttpConfig::default() };
    TestSystem::start_as(pool, NOW, |config| SystemConfig { command: http, ..config }).await
}

async fn connect(system: &TestSystem) -> TcpStream {
    TcpStream::connect(system.command_url().trim_start_matches("http://")).await.unwrap()
}

/// Says something and then nothing more; gives what came back until the server closed.
async fn say(mut connection: TcpStream, said: String) -> String {
    connection.write_all(said.as_bytes()).await.unwrap();
    let mut came = Vec::new();
    // However the server closes, it has closed.
    let _ = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut came)).await.expect("it is still open");
    String::from_utf8_lossy(&came).into_owned()
}

/// A metric of the command API, which is told however much there is to do.
async fn metric(system: &TestSystem, line: &str) -> f64 {
    let url = format!("{}/metrics", system.command_url());
    let text = loop {
        // While all places are taken there is none for this either.
        match reqwest::get(&url).await {
            Ok(answer) => break answer.text().await.unwrap(),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let value =
        text.lines().find_map(|found| found.strip_prefix(line)).unwrap_or_else(|| panic!("no {line} in {text}"));
    value.trim().parse().unwrap()
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn partial_request_releases_its_permit(pool: PgPool) {
    let limits = LimitConfig {
        max_connections: 64,
        max_requests_in_flight: 8,
        head_timeout_s: 1,
        body_pause_s: 1,
        ..LimitConfig::default()
    };
    let system = system(&pool, limits).await;
    let acme = system.workspace("acme").await;
    let begun = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n",
            acme.key()
        )
    };
    let mut silent = JoinSet::new();
    for _ in 0..40 {
        silent.spawn(say(connect(&system).await, begun("/v1/sources")));
    }
    let mut stalled = JoinSet::new();
    for _ in 0..8 {
        let said = format!("{}content-length: 100\r\n\r\n{{\"name\":", begun("/v1/sources"));
        stalled.spawn(say(connect(&system).await, said));
    }
    // The others are served, some of them after they were told to come again.
    while acme.post("/v1/sources", &serde_json::json!({})).await.status == 503 {
        tokio::task::yield_now().await;
    }
    for answer in silent.join_all().await {
        assert_eq!(answer, "");
    }
    for answer in stalled.join_all().await {
        let told = answer.starts_with("HTTP/1.1 408 ") || answer.starts_with("HTTP/1.1 503 ");
        assert!(told && answer.to_lowercase().contains("connection: close"), "{answer}");
    }
    assert!(metric(&system, "highwater_http_refused_total{api=\"command\",cause=\"slow_body\"}").await >= 1.0);
    assert_free(&system, &acme).await;
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn closes_connections_beyond_the_limit(pool: PgPool) {
    let system = system(&pool, LimitConfig { max_connections: 4, ..LimitConfig::default() }).await;
    let held = [connect(&system).await, connect(&system).await, connect(&system).await, connect(&system).await];
    let refused = say(connect(&system).await, String::new()).await;
    assert_eq!(refused, "");
    drop(held);
    assert!(metric(&system, "highwater_http_refused_total{api=\"command\",cause=\"connections\"}").await >= 1.0);
    system.stop().await;
}

/// Nothing of what was begun is held any more, and requests are served as before.
async fn assert_free(system: &TestSystem, caller: &Caller) {
    for held in ["requests", "body_bytes"] {
        // A server notices a moment after its caller that a connection is over.
        while metric(system, &format!("highwater_http_{held}_in_flight{{api=\"command\"}}")).await != 0.0 {
            tokio::task::yield_now().await;
        }
    }
    caller.push_source("tracker").await;
}
