//! A lane: collects waiting requests, writes them in one transaction and answers each caller.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::NaiveDate;
use metrics::Gauge;
use sqlx::PgPool;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::config::AppenderConfig;
use super::session::{BatchError, ServerKnowledge, Session};
use crate::append::AppendOutcome;
use crate::error::AppendError;
use crate::validated_request::ValidatedRequest;

/// A request in a queue.
pub(super) struct QueuedRequest {
    pub(super) prepared: ValidatedRequest,
    pub(super) answer: oneshot::Sender<Result<AppendOutcome, AppendError>>,
    /// Its share of the bytes that may wait. It is released with the answer.
    pub(super) _room: OwnedSemaphorePermit,
}

pub(super) struct Lane {
    session: Session,
    config: AppenderConfig,
    waiting: mpsc::Receiver<QueuedRequest>,
    depth: Gauge,
    committed: watch::Sender<()>,
    /// A request that did not fit into the last batch. It comes first in the next one.
    carried: Option<QueuedRequest>,
}

impl Lane {
    pub(super) fn new(
        pool: PgPool,
        config: AppenderConfig,
        waiting: mpsc::Receiver<QueuedRequest>,
        depth: Gauge,
        server: ServerKnowledge,
        committed: watch::Sender<()>,
    ) -> Self {
        Self { session: Session::new(pool, config, server), config, waiting, depth, committed, carried: None }
    }

    /// Runs until the queue is closed, by the last appender or by `stop`, and empty.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while let Some(first) = self.next(&stop).await {
            let batch = self.collect_batch(first);
            self.write(batch).await;
        }
    }

    async fn next(&mut self, stop: &CancellationToken) -> Option<QueuedRequest> {
        if let Some(carried) = self.carried.take() {
            return Some(carried);
        }
        let queued = tokio::select! {
            biased;
            () = stop.cancelled() => {
                self.waiting.close();
                self.waiting.recv().await
            }
            queued = self.waiting.recv() => queued,
        }?;
        self.depth.decrement(1);
        Some(queued)
    }

    /// Collects a batch of the waiting requests. The batch ends before a request that does not fit, or that shares an
    /// item id with an earlier one, so that the order of arrival is kept.
    fn collect_batch(&mut self, first: QueuedRequest) -> Vec<QueuedRequest> {
        let mut rows = first.prepared.rows();
        let mut bytes = first.prepared.bytes;
        let mut ids = HashSet::new();
        ids.extend(item_ids(&first.prepared));
        let mut batch = vec![first];
        while batch.len() < self.config.batch_requests {
            let Ok(queued) = self.waiting.try_recv() else { break };
            self.depth.decrement(1);
            rows += queued.prepared.rows();
            bytes += queued.prepared.bytes;
            let fits = rows <= self.config.batch_rows && bytes <= self.config.batch_bytes;
            if !fits || item_ids(&queued.prepared).any(|id| ids.contains(&id)) {
                self.carried = Some(queued);
                break;
            }
            ids.extend(item_ids(&queued.prepared));
            batch.push(queued);
        }
        batch
    }

    #[tracing::instrument(level = "debug", name = "append_batch", skip_all, fields(requests = batch.len()))]
    async fn write(&mut self, batch: Vec<QueuedRequest>) {
        let requests: Vec<&ValidatedRequest> = batch.iter().map(|queued| &queued.prepared).collect();
        match self.session.append(&requests).await {
            Ok(answers) => self.answer(batch.into_iter().zip(answers)),
            Err(BatchError::Content(error)) => {
                tracing::warn!(
                    %error,
                    requests = batch.len(),
                    "a batch was refused for its content: writing its requests one by one"
                );
                self.write_one_by_one(batch).await;
            }
            Err(BatchError::Database(error)) => {
                tracing::error!(%error, requests = batch.len(), "a batch failed");
                let unavailable =
                    batch.iter().map(|_| Err(AppendError::Unavailable(Arc::clone(&error)))).collect::<Vec<_>>();
                self.answer(batch.into_iter().zip(unavailable));
            }
        }
    }

    async fn write_one_by_one(&mut self, batch: Vec<QueuedRequest>) {
        for queued in batch {
            let answer = match self.session.append(&[&queued.prepared]).await {
                Ok(answers) => answers
                    .into_iter()
                    .next()
                    .unwrap_or(Err(AppendError::Unavailable(Arc::new(sqlx::Error::RowNotFound)))),
                Err(failure) => {
                    tracing::error!(error = %failure.error(), stream = queued.prepared.stream_id, "a request failed");
                    Err(failure.into_answer())
                }
            };
            self.answer([(queued, answer)]);
        }
    }

    fn answer(&self, answered: impl IntoIterator<Item = (QueuedRequest, Result<AppendOutcome, AppendError>)>) {
        let mut wrote = false;
        for (queued, answer) in answered {
            match &answer {
                Ok(appended) if appended.replayed => count("replayed"),
                Ok(_) => {
                    wrote |= !queued.prepared.events.is_empty();
                    count("ok");
                }
                Err(error) => {
                    wrote |= matches!(error, AppendError::Unconfirmed);
                    count_refusal(error);
                }
            }
            // A caller that went away has dropped the receiver.
            drop(queued.answer.send(answer));
        }
        if wrote {
            self.committed.send_replace(());
        }
    }
}

fn item_ids(prepared: &ValidatedRequest) -> impl Iterator<Item = (i32, NaiveDate, Uuid)> {
    prepared.keys.iter().map(|key| (prepared.workspace, key.day, key.id))
}

/// Counts a request that was not appended.
pub(super) fn count_refusal(error: &AppendError) {
    count(match error {
        AppendError::Version { .. } => "version",
        AppendError::Claim { .. } => "claim",
        AppendError::Item => "item",
        AppendError::ServerStartedAnew => "server_started_anew",
        AppendError::ReceiptMismatch => "receipt_mismatch",
        AppendError::Invalid(_) => "invalid",
        AppendError::Overloaded => "overloaded",
        AppendError::ShuttingDown => "shutting_down",
        AppendError::Unconfirmed => "unconfirmed",
        AppendError::Unavailable(_) => "unavailable",
    });
}

fn count(outcome: &'static str) {
    metrics::counter!("highwater_append_requests_total", "outcome" => outcome).increment(1);
}
