//! The read model: the state that all reads of a process share.

use std::sync::Arc;

use platform::clock::SharedClock;
use sqlx::PgPool;

use super::cache::ResultCache;
use crate::campaign::{CampaignAtHeadKey, LoadedCampaign, load_campaigns_at_head};
use crate::database::Database;
use crate::database::batch_loader::BatchLoader;
use crate::database::defaults::WorkspaceDefaultsCache;
use crate::database::model_head::{self, ModelHead};
use crate::database::progress::Progress;

/// The database, the loaders of heads and campaigns, and the cached results. Clones share them.
#[derive(Debug, Clone)]
pub struct ReadModel(Arc<Parts>);

#[derive(Debug)]
pub struct Parts {
    pub(crate) database: Database,
    pub(crate) heads: BatchLoader<i32, ModelHead>,
    pub(crate) campaigns: BatchLoader<CampaignAtHeadKey, LoadedCampaign>,
    pub(crate) results: ResultCache,
}

impl ReadModel {
    /// `pool` acts as the read role; `progress` was started on the same database. The cache keeps results of
    /// `results_bytes`.
    pub fn new(pool: PgPool, clock: SharedClock, progress: Progress, results_bytes: usize) -> Self {
        Self(Arc::new(Parts {
            heads: BatchLoader::new(pool.clone(), model_head::read),
            campaigns: BatchLoader::new(pool.clone(), load_campaigns_at_head),
            results: ResultCache::new(results_bytes),
            database: Database { pool, clock, defaults: WorkspaceDefaultsCache::default(), progress },
        }))
    }

    /// How many reads may hold a connection at the same time.
    pub fn max_connections(&self) -> u32 {
        self.database.pool.options().get_max_connections()
    }
}

impl std::ops::Deref for ReadModel {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
