//! The lifecycle of a process: start, drain, stop.
//!
//! Tasks belong to a stage. The drain begins with the first signal, or when a task ends before it was stopped. The
//! stages stop one after the other, so an accepted request can still use the log, and the log its database. A second
//! signal or the deadline drops the remaining tasks.

use std::error::Error;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, Stream, StreamExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The order in which tasks stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Tasks that accept work from outside: servers, traffic.
    Edge,
    /// Tasks that do the work: appender, projector.
    Core,
    /// Tasks that the others need: a private database.
    Base,
}

type Cause = Box<dyn Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum LifecycleError {
    #[error("`{task}` failed")]
    Failed { task: &'static str, source: Cause },
    #[error("`{task}` panicked")]
    Panicked { task: &'static str },
    #[error("`{task}` ended before its stage stopped")]
    Ended { task: &'static str },
    #[error("dropped before they had finished: {}", tasks.join(", "))]
    Dropped { tasks: Vec<&'static str> },
}

/// The tasks of a process.
#[derive(Debug)]
pub struct Lifecycle {
    stages: [StageTasks; 3],
    deaths: mpsc::UnboundedSender<LifecycleError>,
    died: mpsc::UnboundedReceiver<LifecycleError>,
}

#[derive(Debug, Default)]
struct StageTasks {
    stop: CancellationToken,
    abort: CancellationToken,
    tracker: TaskTracker,
    alive: Arc<Mutex<Vec<&'static str>>>,
}

/// The signals that stop a process: SIGINT and SIGTERM, each by its name.
pub fn signals() -> io::Result<BoxStream<'static, &'static str>> {
    let interrupt = signal(SignalKind::interrupt())?;
    let terminate = signal(SignalKind::terminate())?;
    Ok(stream::unfold((interrupt, terminate), |(mut interrupt, mut terminate)| async {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        Some((name, (interrupt, terminate)))
    })
    .boxed())
}

impl Default for Lifecycle {
    fn default() -> Self {
        let (deaths, died) = mpsc::unbounded_channel();
        Self { stages: Default::default(), deaths, died }
    }
}

impl Lifecycle {
    pub fn new() -> Self {
        Self::default()
    }

    /// The token that is cancelled when the tasks of `stage` must finish and end.
    pub fn token(&self, stage: Stage) -> CancellationToken {
        self.stage(stage).stop.clone()
    }

    fn stage(&self, stage: Stage) -> &StageTasks {
        match stage {
            Stage::Edge => &self.stages[0],
            Stage::Core => &self.stages[1],
            Stage::Base => &self.stages[2],
        }
    }

    /// Runs a task until its stage stops.
    pub fn spawn<F, E>(&self, stage: Stage, task: &'static str, work: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Cause>,
    {
        let of_stage = self.stage(stage);
        let alive = TaskGuard::enter(task, of_stage.alive.clone());
        let (stop, dropped, deaths) = (of_stage.stop.clone(), of_stage.abort.clone(), self.deaths.clone());
        of_stage.tracker.spawn(async move {
            let _alive = alive;
            let ended = tokio::select! {
                biased;
                () = dropped.cancelled() => return,
                ended = AssertUnwindSafe(work).catch_unwind() => ended,
            };
            let death = match ended {
                Ok(Ok(())) if stop.is_cancelled() => return,
                Ok(Ok(())) => LifecycleError::Ended { task },
                Ok(Err(error)) => LifecycleError::Failed { task, source: error.into() },
                Err(_panic) => LifecycleError::Panicked { task },
            };
            // The receiver is gone once the lifecycle is over.
            let _ = deaths.send(death);
        });
    }

    /// Waits for the first of `stops`, or for a task that ends. Then it drains for at most `grace`. The error is the
    /// first failure, or the tasks that had to be dropped; the process exits with it.
    pub async fn run(mut self, stops: impl Stream<Item = &'static str>, grace: Duration) -> Result<(), LifecycleError> {
        let stops = stops.chain(stream::pending());
        tokio::pin!(stops);
        let mut failure = None;
        tokio::select! {
            Some(signal) = stops.next() => tracing::info!(signal, "draining: a second signal drops what is left"),
            Some(death) = self.died.recv() => {
                log(&death);
                failure = Some(death);
            }
        }

        let [edge, core, base] = &self.stages;
        let drained = async {
            edge.finish().await;
            core.finish().await;
        };
        let in_time = tokio::select! {
            () = drained => true,
            _ = stops.next() => false,
            () = tokio::time::sleep(grace) => false,
        };
        let mut left = Vec::new();
        if !in_time {
            left.extend(edge.drop_tasks().await);
            left.extend(core.drop_tasks().await);
        }
        // The base stage is always stopped, even after the others were dropped: a database that is not stopped has to
        // recover.
        let in_time = tokio::select! {
            () = base.finish() => true,
            _ = stops.next() => false,
            () = tokio::time::sleep(grace) => false,
        };
        if !in_time {
            left.extend(base.drop_tasks().await);
        }

        while let Ok(death) = self.died.try_recv() {
            log(&death);
            failure.get_or_insert(death);
        }
        match failure {
            Some(failure) => Err(failure),
            None if left.is_empty() => Ok(()),
            None => Err(LifecycleError::Dropped { tasks: left }),
        }
    }
}

fn log(death: &LifecycleError) {
    match death {
        LifecycleError::Failed { task, source } => tracing::error!(task, error = source.as_ref(), "task failed"),
        LifecycleError::Panicked { task } => tracing::error!(task, "task panicked"),
        LifecycleError::Ended { task } => tracing::error!(task, "task ended before its stage stopped"),
        LifecycleError::Dropped { tasks } => tracing::error!(?tasks, "tasks dropped"),
    }
}

impl StageTasks {
    async fn finish(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Drops the remaining tasks and returns their names.
    async fn drop_tasks(&self) -> Vec<&'static str> {
        let left = self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.stop.cancel();
        self.abort.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        if !left.is_empty() {
            tracing::warn!(tasks = ?left, "dropped");
        }
        left
    }
}

/// Registers a task's name while the task runs.
struct TaskGuard {
    task: &'static str,
    among: Arc<Mutex<Vec<&'static str>>>,
}

impl TaskGuard {
    fn enter(task: &'static str, among: Arc<Mutex<Vec<&'static str>>>) -> Self {
        among.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        Self { task, among }
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let mut among = self.among.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = among.iter().position(|task| *task == self.task) {
            among.swap_remove(place);
        }
    }
}

#[cfg(test)]
mod tests;
