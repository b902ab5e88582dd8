//! The engine, which runs any projection.
//!
//! A [`Projection`] is a name, a version, the tables that it fills and its views. They share one checkpoint per log and
//! epoch, because they are read together.
//!
//! # What the engine guarantees
//!
//! 1. A batch starts right after the checkpoint and has no hole. This is asserted before anything is filtered.
//! 2. The checkpoint moves by compare-and-set in the transaction that writes the rows. So no event is applied twice or
//!    by halves, whatever the number of projectors.
//! 3. A refused event is [`parked`] with the smallest part that it names, and is reported. Everything else continues. A
//!    missing event stops its log's projection right before it, and is reported (`read.stopped_logs`, log, metric,
//!    [`status::status`]). Other logs continue. Only an operator can skip an event. Failures of the database, or of the
//!    connection to it, are retried without end and park nothing.
//! 4. One transaction may carry the batches of many logs. What fails in a group is tried alone before it is parked.
//! 5. An epoch is followed only by code of the version that built it. What a newer version lacks is built in the
//!    background ([`epoch_maintenance`]).
//! 6. Projectors on one database divide the logs among them, and take over the logs of one that is gone
//!    ([`event_store::follow`]).
//!
//! docs/adding-a-view.md describes how to add a view, and what it must guarantee.

pub mod event; // a decoded event, and the reasons to refuse one
pub mod retention; // how many months the tables of numbers keep

pub(crate) mod announce; // notifies readers of new rows
pub(crate) mod apply; // the one transaction: checkpoint, rows
pub(crate) mod batch; // folds pages of a log
pub(crate) mod checkpoint; // creates epochs and checkpoints, finds lagging logs, moves checkpoints
pub(crate) mod commit_group; // batches that share a transaction, split to isolate a failure
pub(crate) mod difference; // the differences that a comparison of rows finds
pub(crate) mod epoch_maintenance; // builds and drops epochs
pub(crate) mod error; // errors of writes and of rebuilds
pub(crate) mod follow; // keeps every log's rows up to date
pub(crate) mod lag; // measures the lag in every process
pub(crate) mod locks; // advisory locks, and short waits for table locks
pub mod parked; // events that cannot be applied, and those behind them
pub(crate) mod parked_index; // what of a log is parked or skipped
pub(crate) mod poll; // one round over the logs that are behind
pub(crate) mod projectors; // the projectors that share the logs
pub(crate) mod rebuild; // fills an epoch from the log
pub(crate) mod replay; // rebuilds beside the live rows
pub(crate) mod status; // the lag behind the true heads
pub(crate) mod stop; // stopped logs and their retries
pub(crate) mod verify; // compares the live rows with a rebuild

use std::any::Any;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;

pub use error::WriteError;
pub use event::{ApplyError, EventEnvelope, RejectedEvent, RequestMetadata};

/// The projections that a program runs. The engine receives them and knows none by itself.
pub type Registry = &'static [&'static Projection];

/// Tables that share one checkpoint, and the views that fill them.
#[derive(Debug)]
pub struct Projection {
    /// The name in `read.epochs` and on the command line.
    pub name: &'static str,
    /// The version, which is raised whenever the same events give other rows than before.
    pub version: i32,
    /// The tables in schema `read`, partitioned by epoch.
    pub tables: &'static [&'static str],
    /// Creates the views, which have applied nothing yet.
    pub views: fn() -> Vec<Box<dyn View>>,
}

impl Projection {
    /// The consumer name of this projection and version. Only projectors of the same version share its logs.
    pub(crate) fn consumer(&self) -> String {
        format!("{PROJECTION_CONSUMER} {} {}", self.name, self.version)
    }
}

/// The prefix of the consumer names of projections.
pub(crate) const PROJECTION_CONSUMER: &str = "projection";

/// One read model: folds events into row changes, then writes them.
pub trait View: Any + Send + Sync {
    /// Applies one event. Events of one workspace come in order of position.
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError>;

    /// Adds the fold of another view of its type ([`downcast`]), which applied the events right after its own. A replay
    /// folds segments of a log in parallel.
    fn merge(&mut self, later: Box<dyn View>);

    /// Called before a rebuild folds a part of a log. `before` is the fold of the events right before it, which is
    /// written first. With `None`, the epoch has no event of this log yet. Without this call, a view must expect any
    /// stored rows. Views of sums use it to insert rows that are certainly new.
    fn resume_after(&mut self, _before: Option<&dyn View>) {}

    /// The number of rows to write. It bounds what a fold may hold.
    fn pending_rows(&self) -> usize;

    /// Writes the rows to one epoch, inside the transaction that moves the checkpoint.
    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>>;
}

/// Converts a view to its own type, which is the caller's: the views of a projection are always in the same order.
pub(crate) fn downcast<V: View>(view: Box<dyn View>) -> V {
    let view: Box<dyn Any> = view;
    *view.downcast().expect("views are merged with those of their own kind")
}

/// Converts a view to `V`, if it is one.
pub(crate) fn downcast_ref<V: View>(view: &dyn View) -> Option<&V> {
    let view: &dyn Any = view;
    view.downcast_ref()
}
