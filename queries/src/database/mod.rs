//! The database as reads see it: its connections, how far the model is applied in it, and snapshots of it.

pub(crate) mod batch_loader; // keys of many requests, loaded by one statement
pub(crate) mod connection; // a connection that is closed when its caller goes away
pub(crate) mod defaults; // the time zone and the currency of workspaces
pub(crate) mod model_head; // how far the model of a workspace is applied
pub(crate) mod progress; // waiting for the projection
pub(crate) mod snapshot; // the one database snapshot of a read

use platform::clock::SharedClock;
use sqlx::PgPool;

use self::defaults::WorkspaceDefaultsCache;
use self::progress::Progress;

/// The database of the read role, with the clock of the process.
#[derive(Debug)]
pub struct Database {
    pub(crate) pool: PgPool,
    pub(crate) clock: SharedClock,
    pub(crate) defaults: WorkspaceDefaultsCache,
    pub(crate) progress: Progress,
}
