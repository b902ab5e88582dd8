//! The other: postgres-es as its documentation says.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Result, ensure};
use domain::campaign::Campaign;
use domain::ids::CampaignId;
use platform::clock::{Clock, SystemClock};
use postgres_es::{PostgresCqrs, default_postgress_pool, postgres_cqrs};
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::create;
use crate::callers;
use crate::load::metadata;
use crate::server::Database;

/// The events table of postgres-es, from its `db/init.sql`.
const TABLE: &str = "CREATE TABLE events
(
    aggregate_type text                         NOT NULL,
    aggregate_id   text                         NOT NULL,
    sequence       bigint CHECK (sequence >= 0) NOT NULL,
    event_type     text                         NOT NULL,
    event_version  text                         NOT NULL,
    payload        json                         NOT NULL,
    metadata       json                         NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";

pub(super) struct PostgresEsStore {
    cqrs: PostgresCqrs<Campaign>,
    drafted: AtomicI64,
}

impl PostgresEsStore {
    pub(super) async fn start(database: &Database) -> Result<Self> {
        sqlx::query(TABLE).execute(&database.admin).await?;
        let pool = default_postgress_pool(database.config.url.expose_secret()).await;
        Ok(Self { cqrs: postgres_cqrs(pool, Vec::new(), ()), drafted: AtomicI64::new(0) })
    }

    pub(super) fn callers(self: &Arc<Self>, callers: usize) -> Vec<PostgresEsCaller> {
        (0..callers).map(|_| PostgresEsCaller(Arc::clone(self))).collect()
    }

    /// Every command that was answered is one event.
    pub(super) async fn check(&self, database: &Database) -> Result<()> {
        let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&database.admin).await?;
        let drafted = self.drafted.load(Ordering::Relaxed);
        ensure!(stored == drafted, "{drafted} campaigns were drafted with postgres-es, but {stored} stored");
        Ok(())
    }
}

pub(super) struct PostgresEsCaller(Arc<PostgresEsStore>);

impl callers::Caller for PostgresEsCaller {
    async fn call(&mut self) -> Result<()> {
        let Self(other) = self;
        let at = SystemClock.now();
        let id = CampaignId(Uuid::now_v7());
        let metadata = metadata(at).into_iter().collect();
        other.cqrs.execute_with_metadata(&id.to_string(), create(id, at)?, metadata).await?;
        other.drafted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
