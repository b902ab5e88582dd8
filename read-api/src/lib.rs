//! The read API: SELECTs from the read tables, answers over HTTP.
//!
//! A request is answered from one database snapshot ([`snapshot`]): the live epoch, its checkpoint, the log's head and the
//! rows. What it asks about freshness ([`consistency`]) is settled before that snapshot is taken. From the marks of the scopes
//! that it touches comes the version of its result ([`version`]), and from that its ETag; a caller who has that version
//! already gets a 304 before anything is computed ([`answer`]).
//!
//! To add a resource: a file in `routes/` with its parameters, its handler and its wire shapes, and a line in [`router`].

mod answer; // headers, ETags and the envelope around every result
mod consistency; // how fresh a caller wants its answer
mod cursor; // where a page ends, opaque to clients
mod parked; // what waits because it cannot be applied, and which answers lack it
mod progress; // waiting for the projection
mod refusal; // why a request is not answered, as problems
mod report; // numbers over ranges of days
mod routes; // one file per resource
mod snapshot; // the one database snapshot of a request
mod sources; // sources and how fresh they are
mod version; // what a result depends on, and the version that follows

use axum::Router;
use axum::extract::FromRef;
use platform::clock::SharedClock;
use platform::keys::Keys;
use sqlx::PgPool;

pub use progress::{Progress, READ_CHANNEL};

/// The projection that everything here is read from.
const MODEL: &str = "campaign_model";

/// What every handler works with.
#[derive(Debug, Clone)]
pub struct ApiState {
    pool: PgPool,
    keys: Keys,
    clock: SharedClock,
    progress: Progress,
}

impl ApiState {
    /// `pool` acts as the read part; `progress` was started on the same database.
    pub fn new(pool: PgPool, keys: Keys, clock: SharedClock, progress: Progress) -> Self {
        Self { pool, keys, clock, progress }
    }
}

impl FromRef<ApiState> for Keys {
    fn from_ref(state: &ApiState) -> Self {
        state.keys.clone()
    }
}

/// Every route of the read API, with its OpenAPI description. The edge is put around it by whoever serves it.
pub fn router(state: ApiState) -> Router {
    routes::router(state)
}
