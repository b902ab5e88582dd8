//! The traffic of the demo's sources: each sends what is due, once a second, and reports its runs.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::source::SourceKind;
use platform::clock::SharedClock;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::observations::Pusher;
use super::scenario::{DemoSource, SOURCES};
use super::schedule::{MessageKind, messages_between};
use super::setup::{self, BATCH};
use super::wire;
use crate::client::{ApiClient, ClientError};

/// How often a source sends.
const TICK: Duration = Duration::from_secs(1);
/// How far back a starting source reports its runs.
const LOOKS_BACK: TimeDelta = TimeDelta::minutes(40);
/// How far back a pull source states again at each run, because platforms correct the last days.
const STATED_AGAIN: TimeDelta = TimeDelta::hours(30);

/// Sets the workspace up and sends `rate` observations a second until `stop`.
pub async fn run(
    client: ApiClient,
    opened_at: DateTime<Utc>,
    rate: u32,
    clock: SharedClock,
    stop: CancellationToken,
) -> Result<(), ClientError> {
    let set_up = stop.run_until_cancelled(setup::run(&client, opened_at, clock.now(), rate)).await;
    match set_up {
        None => return Ok(()),
        Some(done) => done?,
    }
    info!(rate, "the demo workspace is set up; traffic begins");
    let mut sources = tokio::task::JoinSet::new();
    for source in SOURCES {
        sources.spawn(follow(client.clone(), source, rate, clock.clone(), stop.clone()));
    }
    sources.join_all().await;
    Ok(())
}

/// Runs one source. What cannot be sent is lost, as with any integration without a queue, and shows as a gap.
async fn follow(
    client: ApiClient,
    source: &'static DemoSource,
    rate: u32,
    clock: SharedClock,
    stop: CancellationToken,
) {
    let mut pusher = Pusher::new(source, rate, rand::random());
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent_until = clock.now();
    let mut said_until = sent_until - LOOKS_BACK;
    let mut well = true;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let now = clock.now();
        let span = Span { sent_until, said_until, now };
        let Some(sent) = stop.run_until_cancelled(send(&client, source, &mut pusher, span, rate)).await else { return };
        match &sent {
            Err(error) if well => {
                warn!(source = source.name, error = error as &dyn std::error::Error, "traffic is refused");
            }
            Ok(()) if !well => info!(source = source.name, "traffic goes on"),
            Ok(()) | Err(_) => {}
        }
        well = sent.is_ok();
        (sent_until, said_until) = (now, now);
    }
}

#[derive(Debug, Clone, Copy)]
struct Span {
    sent_until: DateTime<Utc>,
    said_until: DateTime<Utc>,
    now: DateTime<Utc>,
}

async fn send(
    client: &ApiClient,
    source: &DemoSource,
    pusher: &mut Pusher,
    span: Span,
    rate: u32,
) -> Result<(), ClientError> {
    if source.kind == SourceKind::Push {
        let drafts = pusher.between(span.sent_until, span.now);
        for batch in drafts.chunks(BATCH) {
            setup::push(client, source, batch).await?;
        }
    }
    for message in messages_between(source, span.said_until, span.now) {
        if source.kind == SourceKind::Pull && matches!(message.kind, MessageKind::Completed { .. }) {
            setup::state(client, source, span.now - STATED_AGAIN, span.now, rate).await?;
        }
        client
            .post(&["v1", "sources", source.name, "syncs"], &wire::sync(source, &message.kind), None)
            .await?
            .accepted()?;
    }
    Ok(())
}
