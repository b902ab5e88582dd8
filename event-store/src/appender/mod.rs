//! The appender. Requests wait in bounded queues, and a writer commits all waiting ones at once.
//!
//! One transaction per request would be expensive, while a batch costs little more than one request. A workspace always
//! uses the same lane of a process, so its requests are decided in the order of arrival. Lanes never wait for each
//! other. Several processes may write the same log, because its head row orders them.
//!
//! A caller that goes away changes nothing: queued requests are written. A full queue rejects at once. During shutdown,
//! the lanes reject new requests and write the queued ones.

mod announce;
mod batch;
mod columns;
mod config;
mod fast_path;
mod lane;
mod session;
mod warnings;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use metrics::Gauge;
use sqlx::PgPool;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

pub use config::AppenderConfig;

use crate::append::{AppendOutcome, AppendRequest, ExpectedVersion, Metadata};
use crate::error::AppendError;
use crate::server_start::{CurrentServer, ServerStart};
use crate::validated_request::{ValidatedRequest, prepare};
use lane::{Lane, QueuedRequest};
use session::ServerKnowledge;

/// The outcome of one request.
type AppendResult = Result<AppendOutcome, AppendError>;

/// The appender of logs. It is cheap to clone; all clones share the queues.
#[derive(Clone)]
pub struct Appender {
    entrances: Arc<[LaneSender]>,
    server: CurrentServer,
    stop: CancellationToken,
    request_bytes: usize,
    request_rows: usize,
    #[cfg(feature = "fault-injection")]
    injector: Option<crate::fault_injection::FaultInjector>,
}

/// The queue of a lane.
struct LaneSender {
    queue: mpsc::Sender<QueuedRequest>,
    room: Arc<Semaphore>,
    depth: Gauge,
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appender").field("lanes", &self.entrances.len()).finish_non_exhaustive()
    }
}

impl Appender {
    /// Starts the writers. They stop when `shutdown` is cancelled or the last clone of the appender is dropped, after
    /// each has written its queue. The handle ends after that, or panics if a writer did.
    #[expect(clippy::needless_pass_by_value, reason = "a token is a handle, given away like the pool")]
    pub fn start(pool: PgPool, config: AppenderConfig, shutdown: CancellationToken) -> (Self, JoinHandle<()>) {
        describe_metrics();
        let config = config.normalized();
        let stop = shutdown.child_token();
        let (committed, commits) = watch::channel(());
        let known = ServerKnowledge::default();
        let mut writers = JoinSet::new();
        let entrances = (0..config.lanes)
            .map(|number| {
                let (queue, waiting) = mpsc::channel(config.queue_requests);
                let depth = metrics::gauge!("highwater_append_queue_depth", "lane" => number.to_string());
                writers.spawn(
                    Lane::new(pool.clone(), config, waiting, depth.clone(), known.clone(), committed.clone())
                        .run(stop.clone()),
                );
                LaneSender { queue, room: Arc::new(Semaphore::new(config.queue_bytes)), depth }
            })
            .collect();
        #[cfg(feature = "fault-injection")]
        let injector = config.injected_fault.map(|plan| crate::fault_injection::FaultInjector::new(plan, pool.clone()));
        // The announcer ends with the last lane, which holds the last sender.
        drop(committed);
        writers.spawn(announce::notify_commits(pool, commits, config.notify_pause));
        let appender = Self {
            #[cfg(feature = "fault-injection")]
            injector,
            entrances,
            server: known.current,
            stop: stop.clone(),
            request_bytes: config.request_bytes,
            request_rows: config.request_rows,
        };
        (appender, tokio::spawn(supervise(writers, stop)))
    }

    /// The database server that its connections met last. A decision takes it before it looks anything up.
    pub fn server(&self) -> ServerStart {
        self.server.get()
    }

    /// Appends a request that rests on nothing that was read before. See [`append_judged`](Self::append_judged).
    pub async fn append(&self, request: AppendRequest) -> AppendResult {
        self.append_judged(request, ServerStart::UNKNOWN).await
    }

    /// Appends a request whose preconditions were read from this server, and returns when it is on disk or rejected. It
    /// is rejected if the server has started anew since. Dropping the future does not cancel the request.
    pub async fn append_judged(&self, request: AppendRequest, judged_on: ServerStart) -> AppendResult {
        #[cfg(feature = "fault-injection")]
        if let Some(injector) = &self.injector {
            let mut request = request;
            let lost = injector.tamper(&mut request).await?;
            let mut outcome = self.append_unfaulted(request, judged_on).await?;
            outcome.version += lost;
            outcome.position += lost;
            return Ok(outcome);
        }
        self.append_unfaulted(request, judged_on).await
    }

    /// Waits until what the log of a workspace shows is as durable as what an append acknowledges. Where commits wait
    /// for a standby, a commit whose wait was ended is seen, and may not be there yet.
    pub async fn confirm(&self, workspace: i32, now: DateTime<Utc>) -> Result<(), AppendError> {
        // It changes nothing, but its own commit is behind everything that is seen.
        let nothing = AppendRequest {
            workspace,
            stream_type: "confirmation",
            stream_id: format!("{workspace}/confirmation"),
            expected: ExpectedVersion::Any,
            events: Vec::new(),
            metadata: Metadata::default(),
            claims: Vec::new(),
            item_preconditions: Vec::new(),
            receipt: None,
            recorded_at: now,
        };
        self.append_unfaulted(nothing, ServerStart::UNKNOWN).await.map(|_| ())
    }

    async fn append_unfaulted(&self, request: AppendRequest, judged_on: ServerStart) -> AppendResult {
        let answer = self.enqueue(request, judged_on).inspect_err(lane::count_refusal)?;
        answer
            .await
            .unwrap_or_else(|_writer_is_gone| Err(AppendError::Unavailable(Arc::new(sqlx::Error::WorkerCrashed))))
    }

    /// Rejects, like an append, if the queue of a workspace's lane is full. It is for a caller with many lookups before
    /// its append.
    pub fn check_capacity(&self, workspace: i32) -> Result<(), AppendError> {
        let entrance = self.lane_for(workspace);
        if entrance.queue.capacity() == 0 || entrance.room.available_permits() == 0 {
            lane::count_refusal(&AppendError::Overloaded);
            return Err(AppendError::Overloaded);
        }
        Ok(())
    }

    fn lane_for(&self, workspace: i32) -> &LaneSender {
        let lane = usize::try_from(workspace.unsigned_abs()).unwrap_or(0) % self.entrances.len();
        &self.entrances[lane]
    }

    fn enqueue(
        &self,
        request: AppendRequest,
        judged_on: ServerStart,
    ) -> Result<oneshot::Receiver<AppendResult>, AppendError> {
        let prepared = ValidatedRequest { judged_on, ..prepare(request)? };
        if prepared.bytes > self.request_bytes {
            return Err(AppendError::Invalid(format!("{} bytes, at most {}", prepared.bytes, self.request_bytes)));
        }
        if prepared.rows() > self.request_rows {
            return Err(AppendError::Invalid(format!(
                "{} events, items and claims, at most {}",
                prepared.rows(),
                self.request_rows
            )));
        }
        let entrance = self.lane_for(prepared.workspace);
        if self.stop.is_cancelled() {
            return Err(AppendError::ShuttingDown);
        }
        let bytes = u32::try_from(prepared.bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&entrance.room).try_acquire_many_owned(bytes).map_err(|_full| AppendError::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        entrance.queue.try_send(QueuedRequest { prepared, answer, _room: room }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => AppendError::ShuttingDown,
        })?;
        entrance.depth.increment(1);
        Ok(answered)
    }
}

/// Waits for all writers. If one panics, the others finish and the panic is resumed.
async fn supervise(mut writers: JoinSet<()>, stop: CancellationToken) {
    let mut died = None;
    while let Some(ended) = writers.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a writer of the log died");
            stop.cancel();
            died = Some(error);
        }
    }
    if let Some(panic) = died.and_then(|error| error.try_into_panic().ok()) {
        std::panic::resume_unwind(panic);
    }
}

fn describe_metrics() {
    metrics::describe_counter!("highwater_append_batches_total", "transactions that appended to the log");
    metrics::describe_histogram!("highwater_append_batch_size", "requests in one transaction");
    metrics::describe_counter!("highwater_append_requests_total", "requests to append, by outcome");
    metrics::describe_gauge!("highwater_append_queue_depth", "requests that wait, by lane");
    metrics::describe_histogram!(
        "highwater_append_seconds",
        metrics::Unit::Seconds,
        "from the start of a transaction that appends to its commit"
    );
}
