//! The program as its users run it, sent more at once than it may hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Body, Client};
use serde_json::json;
use tests::Program;
use tokio::task::JoinSet;

/// Callers who all send at once, and how long what each sends is: together far more than the program has room for.
const CALLERS: usize = 400;
const BODY_BYTES: usize = 1 << 20;
/// What the program may grow by, in MiB: its room for bodies, which is 64, and what it needs to work on them.
const MOST: u64 = 256;
/// Refusals after which it has been enough.
const REFUSALS: usize = 400;

#[tokio::test]
async fn bounds_memory_under_a_flood_of_large_bodies() {
    let mut program = Program::start().await;
    let Some(before) = program.resident_mib() else { return program.stop().await };
    let client = tests::client(Duration::from_mins(2));
    let source = json!({
        "name": "tracker", "channel": "paid_search", "kind": "push", "role": "primary", "time_zone": "UTC",
        "currency": "EUR", "expected_delay_s": 60, "restatement_horizon_s": 3_600
    });
    assert_eq!(post(&client, &program, "/v1/sources", source.to_string().into()).await, 201);

    // Blanks, so that what is let in is soon done.
    let sync: &'static str = format!("{}{}", json!({ "status": "started" }), " ".repeat(BODY_BYTES)).leak();
    let refused = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, url, refused) = (client.clone(), program.command_url(), refused.clone());
        callers.spawn(async move {
            let mut taken = 0;
            while refused.load(Ordering::Relaxed) < REFUSALS {
                match send(&client, &format!("{url}/v1/sources/tracker/syncs"), sync.into()).await {
                    200 => taken += 1,
                    503 => drop(refused.fetch_add(1, Ordering::Relaxed)),
                    status => panic!("{status}"),
                }
            }
            taken
        });
    }
    let mut most = before;
    let mut taken = 0_u32;
    let mut look = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            caller = callers.join_next() => match caller {
                Some(answered) => taken += answered.unwrap(),
                None => break,
            },
            _ = look.tick() => most = most.max(program.resident_mib().unwrap()),
        }
    }
    assert!(taken > 0, "nothing was let in");
    assert!(most < before + MOST, "{before} MiB grew to {most} MiB");
    assert_eq!(post(&client, &program, "/v1/sources", source.to_string().into()).await, 200);
    program.stop().await;
}

async fn post(client: &Client, program: &Program, path: &str, body: Body) -> u16 {
    send(client, &format!("{}{path}", program.command_url()), body).await
}

async fn send(client: &Client, url: &str, body: Body) -> u16 {
    let request = client.post(url).bearer_auth(Program::KEY).header("content-type", "application/json").body(body);
    let answer = request.send().await.unwrap();
    if answer.status() == 503 {
        assert_eq!(answer.headers()["retry-after"], "1");
    }
    answer.status().as_u16()
}
