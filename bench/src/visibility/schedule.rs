//! Open-loop load: things are done at their time, whether those before them are done or not.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::JoinSet;

/// Does `act` with each thing, one every so often from `start` on, and gives what came of all of them.
pub(super) async fn on_schedule<T, R, F>(
    things: Vec<T>,
    start: Instant,
    every: Duration,
    act: impl Fn(T, Instant) -> F,
) -> Result<Vec<R>>
where
    R: Send + 'static,
    F: Future<Output = Result<R>> + Send + 'static,
{
    let mut acting = JoinSet::new();
    for (thing, number) in things.into_iter().zip(0..) {
        let scheduled = start + every * number;
        tokio::time::sleep_until(scheduled.into()).await;
        acting.spawn(act(thing, scheduled));
    }
    let mut done = Vec::new();
    while let Some(one) = acting.join_next().await {
        done.push(one??);
    }
    Ok(done)
}
