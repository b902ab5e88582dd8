//! The read API: SELECTs from the read tables, answers over HTTP.
//!
//! A request is answered from one database snapshot ([`snapshot`]): the live epoch, its checkpoint, the log's head and the
//! rows. What it asks about freshness ([`consistency`]) is settled before that snapshot is taken. From the marks of the scopes
//! that it touches comes the version of its result ([`version`]), and from that its ETag; a caller who has that version
//! already gets a 304 before anything is computed ([`response`]). Every resource goes this way ([`pipeline`]), and where
//! nothing has moved since ([`model_head`]), a result that was kept goes out without any of it.
//!
//! To add a resource: a file in `routes/` with its parameters ([`pipeline::params`]), its wire shapes, what it is as a
//! [`pipeline::Resource`] and, if it has rows, as a [`pipeline::Table`], and a handler that hands it to the [`pipeline::ReadContext`]; and a
//! line in [`routes::all`]. Forms, freshness, pages, links, ETags and what is kept are the same for all, and not its business.

mod batch_loader; // questions of many requests, put as one
mod connection; // one that ends with the interest in its answer
mod consistency; // how fresh a caller wants its answer
mod cursor; // where a page ends, opaque to clients
mod defaults; // the zone and the currency of workspaces
mod error; // why a request is not answered, as problems
mod format; // JSON or CSV
mod model_head; // how far workspaces are
mod openapi; // the document beside the operations, with examples
mod parked; // what waits because it cannot be applied, and which answers lack it
mod pipeline; // from request to answer, and the results that are kept
mod problems; // the kinds of problems that only reads have
mod progress; // waiting for the projection
mod report; // numbers over ranges of days
mod response; // headers, ETags and the envelope around every result
mod routes; // one file per resource
mod snapshot; // the one database snapshot of a request
mod sources; // sources and how fresh they are
mod version; // what a result depends on, and the version that follows

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use http_edge::docs::ApiDocs;
use platform::authenticator::Authenticator;
use platform::clock::SharedClock;
use sqlx::PgPool;
use tokio::sync::Semaphore;

use batch_loader::BatchLoader;
use defaults::WorkspaceDefaultsCache;
use model_head::ModelHead;
use pipeline::ResultCache;
use routes::{CampaignAtHeadKey, LoadedCampaign};

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
    authenticator: Authenticator,
    clock: SharedClock,
    progress: Progress,
    tips: BatchLoader<i32, ModelHead>,
    defaults: WorkspaceDefaultsCache,
    campaigns: BatchLoader<CampaignAtHeadKey, LoadedCampaign>,
    results: ResultCache,
    /// How many callers may read rows as CSV at a time.
    exports: Arc<Semaphore>,
}

impl ApiState {
    /// `pool` acts as the read part; `progress` was started on the same database. Of results, `results_bytes` are kept.
    pub fn new(
        pool: PgPool,
        authenticator: Authenticator,
        clock: SharedClock,
        progress: Progress,
        results_bytes: usize,
    ) -> Self {
        let tips = BatchLoader::new(pool.clone(), model_head::read);
        let campaigns = BatchLoader::new(pool.clone(), routes::campaigns_at_tip);
        let exports = usize::try_from(pool.options().get_max_connections() / 2).unwrap_or(1).max(1);
        let (results, exports) = (ResultCache::new(results_bytes), Arc::new(Semaphore::new(exports)));
        let defaults = WorkspaceDefaultsCache::default();
        Self(Arc::new(ApiParts { pool, authenticator, clock, progress, tips, defaults, campaigns, results, exports }))
    }
}

impl Deref for ApiState {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0
    }
}

impl FromRef<ApiState> for Authenticator {
    fn from_ref(state: &ApiState) -> Self {
        state.authenticator.clone()
    }
}

/// Every route of the read API, with its OpenAPI description. The edge is put around it by whoever serves it.
pub fn router(state: ApiState) -> Router {
    let (router, description) = openapi::described(routes::all());
    router.merge(description.router()).with_state(state)
}

/// What `/openapi.json` and `/docs` say.
pub fn description() -> ApiDocs {
    openapi::described(routes::all()).1
}
