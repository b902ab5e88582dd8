//! Runs any projection.
//!
//! A [`Projection`] is a name, a version, the tables that it fills and its views. They share one checkpoint per log and
//! epoch, because they are read together.
//!
//! # What the engine promises
//!
//! 1. A batch starts right after the checkpoint and has no hole; this is asserted before anything is filtered.
//! 2. The checkpoint moves by compare-and-set in the transaction that writes the rows: no event is applied twice, by
//!    whatever number of projectors, and none is half applied.
//! 3. An event that is refused is [`parked`] with the smallest part that it names, and shows; everything else goes on. An event
//!    that is missing stops its log's projection right before it and shows (`read.stopped_logs`, log, metric,
//!    [`status::status`]); other logs go on. Nothing is ever skipped but by an operator. Failures of the database or of the way to it are retried
//!    for ever, and park nothing.
//! 4. One transaction may carry the batches of many logs; what fails in company is tried alone before it is judged.
//! 5. An epoch is followed only by code of the version that built it. What a newer version lacks is built in the background
//!    ([`epoch_maintenance`]).
//! 6. Projectors on one database divide the logs among them; those of one that is gone are taken over
//!    ([`event_store::follow`]).
//!
//! docs/adding-a-view.md says how to add one, and what a view must hold.

pub mod event; // a decoded event, and why one is refused
pub mod retention; // what is kept of tables that are partitioned by month

pub(crate) mod announce; // tells readers that rows moved
pub(crate) mod apply; // the one transaction: checkpoint, rows
pub(crate) mod batch; // folds pages of a log
pub(crate) mod checkpoint; // epochs and checkpoints that must exist, what is pending, the compare-and-set
pub(crate) mod commit_group; // batches that share a transaction, split to find out what fails
pub(crate) mod difference; // what a comparison of rows may find
pub(crate) mod epoch_maintenance; // builds and drops epochs
pub(crate) mod error; // why rows were not written, or an epoch not rebuilt
pub(crate) mod follow; // keeps every log's rows up to date
pub(crate) mod lag; // measures the lag, whoever does the work
pub(crate) mod locks; // advisory locks, and short waits for locks of tables
pub mod parked; // events that cannot be applied, and what waits behind them
pub(crate) mod parked_index; // what of a log waits, and what is left out
pub(crate) mod poll; // one round over the logs that are behind
pub(crate) mod projectors; // who shares the logs of each projection
pub(crate) mod rebuild; // fills an epoch from the log
pub(crate) mod replay; // rebuilds beside the live rows
pub(crate) mod status; // lag against the true head
pub(crate) mod stop; // logs that cannot go on
pub(crate) mod verify; // compares the live rows with a rebuild

use std::any::Any;

use futures_util::future::BoxFuture;
use sqlx::PgConnection;

pub use error::WriteError;
pub use event::{ApplyError, EventEnvelope, RejectedEvent, RequestMetadata};

/// The projections that a program runs. The engine is given them and knows none by itself.
pub type Registry = &'static [&'static Projection];

/// Tables that share one checkpoint, and the views that fill them.
#[derive(Debug)]
pub struct Projection {
    /// Its name in `read.epochs` and on the command line.
    pub name: &'static str,
    /// Raised whenever its rows would come out otherwise than before.
    pub version: i32,
    /// Its tables in schema `read`, partitioned by epoch.
    pub tables: &'static [&'static str],
    /// Fresh views, which have absorbed nothing.
    pub views: fn() -> Vec<Box<dyn View>>,
}

impl Projection {
    /// The kind of consumer that it is: only projectors with the same version of it share its logs.
    pub(crate) fn consumer(&self) -> String {
        format!("{PROJECTION_CONSUMER} {} {}", self.name, self.version)
    }
}

/// How the names of projections as consumers of logs begin.
pub(crate) const PROJECTION_CONSUMER: &str = "projection";

/// One read model: folds events into row changes, then writes them.
pub trait View: Any + Send + Sync {
    /// Takes in one event. Events of one workspace come in order of position.
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError>;

    /// Takes in what another one of its kind ([`downcast`]) absorbed, as if it had absorbed those events itself, right after its
    /// own: segments of a log are folded at the same time.
    fn merge(&mut self, later: Box<dyn View>);

    /// Called before a rebuild folds a part of a log: `before` is the fold of the events right before it, which is written
    /// first. `None`: the epoch has nothing of this log yet. A view on which it is not called must expect any stored rows. The
    /// views of sums use it to write certainly new rows faster.
    fn resume_after(&mut self, _before: Option<&dyn View>) {}

    /// How many rows are waiting to be written: bounds what a fold may hold.
    fn pending_rows(&self) -> usize;

    /// Writes what was absorbed to one epoch, inside the transaction that moves the checkpoint.
    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>>;
}

/// A view as what it is: the same kind as the one that asks. The views of a projection stand in one order.
pub(crate) fn downcast<V: View>(view: Box<dyn View>) -> V {
    let view: Box<dyn Any> = view;
    *view.downcast().expect("views are merged with those of their own kind")
}

/// A view as what it is, if it is of this kind.
pub(crate) fn downcast_ref<V: View>(view: &dyn View) -> Option<&V> {
    let view: &dyn Any = view;
    view.downcast_ref()
}
