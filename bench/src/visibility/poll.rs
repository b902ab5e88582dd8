//! The other: a page that asks for its numbers every 100 ms.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use http::StatusCode;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::applied;
use crate::connection::Pool;

const EVERY: Duration = Duration::from_millis(100);

pub(super) struct Poller {
    /// It stops when an answer goes up to this.
    until: watch::Sender<i64>,
    polling: JoinHandle<Result<PolledPositions>>,
}

/// When answers came, and up to which position they went; both only grow.
#[derive(Debug, Default)]
pub(super) struct PolledPositions(Vec<(Instant, i64)>);

impl Poller {
    pub(super) fn start(connections: Arc<Pool>, numbers: String, start: Instant) -> Self {
        let (until, watched) = watch::channel(i64::MAX);
        Self { until, polling: tokio::spawn(poll(connections, numbers, start, watched)) }
    }

    /// Goes on until an answer goes up to `position`, and gives all of them.
    pub(super) async fn stop_after(self, position: i64) -> Result<PolledPositions> {
        self.until.send_replace(position);
        self.polling.await?
    }
}

async fn poll(
    connections: Arc<Pool>,
    numbers: String,
    start: Instant,
    until: watch::Receiver<i64>,
) -> Result<PolledPositions> {
    let mut seen = PolledPositions::default();
    let mut due = start;
    loop {
        tokio::time::sleep_until(due.into()).await;
        let answer = connections.take().await?.get(&numbers, &[]).await?.expect(StatusCode::OK)?;
        let applied = applied(&answer)?;
        seen.0.push((Instant::now(), applied));
        if applied >= *until.borrow() {
            return Ok(seen);
        }
        due += EVERY;
    }
}

impl PolledPositions {
    /// The first answer after `instant` that goes up to `position`.
    pub(super) fn first_after(&self, instant: Instant, position: i64) -> Option<Instant> {
        let Self(answers) = self;
        let late_enough = |&(at, applied): &(Instant, i64)| at >= instant && applied >= position;
        let first = answers.partition_point(|answer| !late_enough(answer));
        answers.get(first).map(|(at, _)| *at)
    }
}
