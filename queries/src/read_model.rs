//! The read model: what every query works with.

use std::sync::Arc;

use platform::clock::SharedClock;
use sqlx::PgPool;

use crate::batch_loader::BatchLoader;
use crate::cache::ResultCache;
use crate::campaign::{CampaignAtHeadKey, LoadedCampaign, load_campaigns_at_head};
use crate::defaults::WorkspaceDefaultsCache;
use crate::model_head::{self, ModelHead};
use crate::progress::Progress;

/// What every query works with. Clones share it.
#[derive(Debug, Clone)]
pub struct ReadModel(Arc<Parts>);

#[derive(Debug)]
pub struct Parts {
    pub(crate) pool: PgPool,
    pub(crate) clock: SharedClock,
    pub(crate) progress: Progress,
    pub(crate) defaults: WorkspaceDefaultsCache,
    pub(crate) heads: BatchLoader<i32, ModelHead>,
    pub(crate) campaigns: BatchLoader<CampaignAtHeadKey, LoadedCampaign>,
    pub(crate) results: ResultCache,
}

impl ReadModel {
    /// `pool` acts as the read role; `progress` was started on the same database. The cache keeps results of `results_bytes`.
    pub fn new(pool: PgPool, clock: SharedClock, progress: Progress, results_bytes: usize) -> Self {
        Self(Arc::new(Parts {
            heads: BatchLoader::new(pool.clone(), model_head::read),
            campaigns: BatchLoader::new(pool.clone(), load_campaigns_at_head),
            results: ResultCache::new(results_bytes),
            defaults: WorkspaceDefaultsCache::default(),
            pool,
            clock,
            progress,
        }))
    }

    /// How many reads may hold a connection at a time.
    pub fn max_connections(&self) -> u32 {
        self.0.pool.options().get_max_connections()
    }
}

impl std::ops::Deref for ReadModel {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
