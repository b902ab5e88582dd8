//! The read API: SELECTs from the read tables, answers over HTTP.
//!
//! A request is answered from one database snapshot ([`snapshot`]): the live epoch, its checkpoint, the log's head and the
//! rows. What it asks about freshness ([`consistency`]) is settled before that snapshot is taken. From the marks of the scopes
//! that it touches comes the version of its result ([`version`]), and from that its ETag; a caller who has that version
//! already gets a 304 before anything is computed ([`answer`]). Every resource goes this way ([`serve`]), and where
//! nothing has moved since ([`tip`]), a result that was kept goes out without any of it.
//!
//! To add a resource: a file in `routes/` with its parameters ([`serve::params`]), its wire shapes, what it is as a
//! [`serve::Resource`] and, if it has rows, as a [`serve::Table`], and a handler that hands it to the [`serve::Caller`]; and a
//! line in [`routes::all`]. Forms, freshness, pages, links, ETags and what is kept are the same for all, and not its business.

mod answer; // headers, ETags and the envelope around every result
mod connection; // one that ends with the interest in its answer
mod consistency; // how fresh a caller wants its answer
mod cursor; // where a page ends, opaque to clients
mod defaults; // the zone and the currency of workspaces
mod format; // JSON or CSV
mod openapi; // the document beside the operations, with examples
mod parked; // what waits because it cannot be applied, and which answers lack it
mod problems; // the kinds of problems that only reads have
mod progress; // waiting for the projection
mod refusal; // why a request is not answered, as problems
mod report; // numbers over ranges of days
mod routes; // one file per resource
mod serve; // from request to answer, and the results that are kept
mod snapshot; // the one database snapshot of a request
mod sources; // sources and how fresh they are
mod tip; // how far workspaces are
mod together; // questions of many requests, put as one
mod version; // what a result depends on, and the version that follows

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use http_edge::docs::Description;
use platform::clock::SharedClock;
use platform::keys::Keys;
use sqlx::PgPool;
use tokio::sync::Semaphore;

use defaults::KnownDefaults;
use routes::{CampaignAt, CampaignAtTip};
use serve::Results;
use tip::Tip;
use together::Together;

pub use progress::{Progress, READ_CHANNEL};

/// The projection that everything here is read from.
const MODEL: &str = "campaign_model";

/// What every handler works with. Each request has a clone of its own, which is one pointer.
#[derive(Debug, Clone)]
pub struct ApiState(Arc<ApiParts>);

/// The parts of [`ApiState`].
#[derive(Debug)]
pub struct ApiParts {
    pool: PgPool,
    keys: Keys,
    clock: SharedClock,
    progress: Progress,
    tips: Together<i32, Tip>,
    defaults: KnownDefaults,
    campaigns: Together<CampaignAt, CampaignAtTip>,
    results: Results,
    /// How many callers may read rows as CSV at a time.
    exports: Arc<Semaphore>,
}

impl ApiState {
    /// `pool` acts as the read part; `progress` was started on the same database. Of results, `results_bytes` are kept.
    pub fn new(pool: PgPool, keys: Keys, clock: SharedClock, progress: Progress, results_bytes: usize) -> Self {
        let tips = Together::new(pool.clone(), tip::read);
        let campaigns = Together::new(pool.clone(), routes::campaigns_at_tip);
        let exports = usize::try_from(pool.options().get_max_connections() / 2).unwrap_or(1).max(1);
        let (results, exports) = (Results::new(results_bytes), Arc::new(Semaphore::new(exports)));
        let defaults = KnownDefaults::default();
        Self(Arc::new(ApiParts { pool, keys, clock, progress, tips, defaults, campaigns, results, exports }))
    }
}

impl Deref for ApiState {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0
    }
}

impl FromRef<ApiState> for Keys {
    fn from_ref(state: &ApiState) -> Self {
        state.keys.clone()
    }
}

/// Every route of the read API, with its OpenAPI description. The edge is put around it by whoever serves it.
pub fn router(state: ApiState) -> Router {
    let (router, description) = openapi::described(routes::all());
    router.merge(description.router()).with_state(state)
}

/// What `/openapi.json` and `/docs` say.
pub fn description() -> Description {
    openapi::described(routes::all()).1
}
