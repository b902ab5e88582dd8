//! One request of very many lines: the process that takes it does not grow with it, and whoever stalls in the middle of
//! one is told where to go on.

use std::fmt::Write as _;
use std::time::Duration;

use highwater::system::SystemConfig;
use http_edge::HttpConfig;
use http_edge::config::LimitConfig;
use serde_json::{Value, json};
use sqlx::PgPool;
use tests::{Caller, Soak, TestSystem};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::memory::{alone, peak_memory};

const NOW: &str = "2026-11-20T10:00:00Z";

/// A request that is sent by hand.
struct Sending {
    to: OwnedWriteHalf,
    from: Lines<BufReader<OwnedReadHalf>>,
}

impl Sending {
    async fn begin(system: &TestSystem, acme: &Caller) -> Self {
        let connection = TcpStream::connect(system.command_url().trim_start_matches("http://")).await.unwrap();
        let (from, mut to) = connection.into_split();
        let head = format!(
            "POST /v1/observations?source=tracker HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n",
            acme.key()
        );
        to.write_all(head.as_bytes()).await.unwrap();
        Self { to, from: BufReader::new(from).lines() }
    }
}

async fn send(to: &mut OwnedWriteHalf, lines: &str) {
    to.write_all(format!("{:x}\r\n{lines}\r\n", lines.len()).as_bytes()).await.unwrap();
}

/// The next line of the answer that is JSON: what else comes is the head, and how long each piece is.
async fn next(from: &mut Lines<BufReader<OwnedReadHalf>>) -> Option<Value> {
    while let Some(line) = from.next_line().await.unwrap() {
        if line.starts_with('{') {
            return Some(serde_json::from_str(&line).unwrap());
        }
    }
    None
}

fn lines(ids: std::ops::Range<usize>) -> String {
    let mut lines = String::new();
    for id in ids {
        // Writing to a string cannot fail.
        let _ = writeln!(
            lines,
            r#"{{"id": "order-{id}", "external_campaign_id": "winter", "type": "click", "occurred_at": "2026-11-20T09:05:00Z", "dimensions": {{"country": "DE"}}}}"#
        );
    }
    lines
}

async fn prepared(system: &TestSystem) -> Caller {
    let acme = system.workspace("acme").await;
    acme.push_source("tracker").await;
    let campaign = acme.campaign("Winter").await;
    acme.patch(&format!("/v1/campaigns/{campaign}"), &json!({"external_ids": [{"id": "winter"}]})).await.expect(200);
    acme
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn million_lines_take_no_more_memory_than_a_few(pool: PgPool) {
    const AT_ONCE: usize = 500;
    // The whole million in `make soak`.
    let count = if Soak::of_environment(0).rounds > 1 { 1_000_000 } else { 30_000 };
    let _alone = alone().await;
    let system = TestSystem::start(&pool, NOW).await;
    let acme = prepared(&system).await;
    let Sending { mut to, mut from } = Sending::begin(&system, &acme).await;
    // What the first chunks take, caches and pools among it, is not the lines' doing.
    for first in (0..10_000).step_by(AT_ONCE) {
        send(&mut to, &lines(first..first + AT_ONCE)).await;
    }
    for chunk in 1..=9 {
        assert_eq!(next(&mut from).await.unwrap()["chunk"], chunk);
    }
    peak_memory();
    let before = peak_memory();
    let sending = async {
        for first in (10_000..count).step_by(AT_ONCE) {
            send(&mut to, &lines(first..first + AT_ONCE)).await;
        }
        to.write_all(b"0\r\n\r\n").await.unwrap();
    };
    let reading = async {
        loop {
            let line = next(&mut from).await.unwrap();
            if line["done"].is_boolean() {
                return line;
            }
        }
    };
    let ((), last) = tokio::join!(sending, reading);
    let grown = peak_memory().saturating_sub(before);
    assert_eq!((&last["done"], &last["accepted"], &last["lines"]), (&json!(true), &json!(count), &json!(count)));
    assert!(grown < 64 << 20, "{} MiB", grown >> 20);
    system.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn stalled_upload_is_told_where_to_resume(pool: PgPool) {
    let limits = LimitConfig { body_pause_s: 1, ..LimitConfig::default() };
    let command = HttpConfig { limits, ..HttpConfig::default() };
    let system = TestSystem::start_as(&pool, NOW, |config| SystemConfig { command, ..config }).await;
    let acme = prepared(&system).await;
    let Sending { mut to, mut from } = Sending::begin(&system, &acme).await;
    send(&mut to, &lines(0..1_200)).await;
    assert_eq!(next(&mut from).await.unwrap()["lines"], json!([1, 1_000]));
    let last = tokio::time::timeout(Duration::from_mins(1), next(&mut from)).await.unwrap().unwrap();
    assert_eq!((&last["done"], &last["resume_from"], &last["accepted"]), (&json!(false), &json!(1_001), &json!(1_000)));
    assert_eq!(last["problem"]["status"], 408, "{last}");
    assert!(next(&mut from).await.is_none());

    // What is sent from there on completes it.
    let Sending { mut to, mut from } = Sending::begin(&system, &acme).await;
    send(&mut to, &lines(1_000..1_200)).await;
    to.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(next(&mut from).await.unwrap()["accepted"], 200);
    assert_eq!(next(&mut from).await.unwrap()["done"], true);
    system.stop().await;
}
