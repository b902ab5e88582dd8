//! Other observations of the same workspace, sent meanwhile at a steady rate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::StatusCode;

use super::schedule::on_schedule;
use crate::connection::Pool;
use crate::load::Load;
use crate::wire::{self, BatchAnswer};

pub(super) struct Background {
    batches: Vec<Bytes>,
    batch: u32,
    every: Duration,
}

impl Background {
    /// So many observations a second, counted on from the observation `next`.
    pub(super) fn of(load: &Load, next: &mut u32, per_second: u32, batch: u32, length: Duration) -> Self {
        let seconds = u32::try_from(length.as_secs()).unwrap_or(u32::MAX);
        let firsts = (0..per_second * seconds).step_by(batch as usize).map(|number| *next + number);
        let batches: Vec<_> = firsts.map(|first| wire::batch(&load.batch(first..first + batch))).collect();
        *next += u32::try_from(batches.len()).unwrap_or(u32::MAX) * batch;
        let every = length / u32::try_from(batches.len().max(1)).unwrap_or(u32::MAX);
        Self { batches, batch, every }
    }

    pub(super) fn observations(&self) -> i64 {
        i64::try_from(self.batches.len()).unwrap_or(i64::MAX) * i64::from(self.batch)
    }

    pub(super) async fn send(self, connections: Arc<Pool>, start: Instant) -> Result<()> {
        let Self { batches, batch, every } = self;
        on_schedule(batches, start, every, move |body, _| send(Arc::clone(&connections), body, batch)).await?;
        Ok(())
    }
}

async fn send(connections: Arc<Pool>, body: Bytes, batch: u32) -> Result<()> {
    let answer = connections.take().await?.post("/v1/observations", body, &[]).await?.expect(StatusCode::OK)?;
    let BatchAnswer { accepted, .. } = answer.json()?;
    ensure!(accepted == batch as usize, "{accepted} of {batch} were accepted");
    Ok(())
}
