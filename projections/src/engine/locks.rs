//! Locks in the database: a session's advisory lock, and statements that are retried when a lock does not come in time.

use std::time::Duration;

use event_store::follow::Backoff;
use sqlx::postgres::PgQueryResult;
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};

/// How long one try waits for a lock, and so how long other sessions may queue behind it.
const LOCK_TIMEOUT: &str = "50ms";

/// A session that holds advisory locks. They end with the session, also when this is dropped.
pub(crate) struct SessionLock(PgConnection);

impl SessionLock {
    /// Takes the lock of this name. `None` if another session holds it.
    pub(crate) async fn take(pool: &PgPool, name: &str) -> Result<Option<Self>, sqlx::Error> {
        let mut session = pool.acquire().await?.detach();
        let is_ours = sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock(hashtext($1)) AS "is_ours!""#, name)
            .fetch_one(&mut session)
            .await?;
        Ok(is_ours.then_some(Self(session)))
    }

    /// Takes another lock in the same session, and waits for it.
    pub(crate) async fn wait_for(&mut self, name: &str) -> Result<(), sqlx::Error> {
        sqlx::query!("SELECT pg_advisory_lock(hashtext($1))", name).execute(&mut self.0).await?;
        Ok(())
    }

    /// Releases the locks at once. Closing the session alone would release them only some time later.
    pub(crate) async fn release(mut self) {
        let unlocked = sqlx::query!("SELECT pg_advisory_unlock_all()").execute(&mut self.0).await;
        if let Err(error) = unlocked.and(self.0.close().await) {
            tracing::debug!(%error, "the locks of a session were lost before its end");
        }
    }
}

/// The tries of a statement that needs a strong lock. Each try waits only shortly, so that no session queues behind it
/// for long.
pub(crate) struct ShortLockWaits {
    left: u32,
    backoff: Backoff,
}

impl ShortLockWaits {
    pub(crate) fn new(attempts: u32) -> Self {
        Self { left: attempts, backoff: Backoff::up_to(Duration::from_secs(1)) }
    }

    /// Begins the transaction of the next try. `None` if no try is left.
    pub(crate) async fn begin(&mut self, pool: &PgPool) -> Result<Option<Transaction<'static, Postgres>>, sqlx::Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let mut tx = pool.begin().await?;
        sqlx::query_scalar!("SELECT set_config('lock_timeout', $1, true)", LOCK_TIMEOUT).fetch_one(&mut *tx).await?;
        Ok(Some(tx))
    }

    /// Commits a try. Returns `false` after a wait if the lock did not come in time, and the next try may begin.
    pub(crate) async fn finish(
        &mut self,
        tx: Transaction<'static, Postgres>,
        tried: Result<PgQueryResult, sqlx::Error>,
    ) -> Result<bool, sqlx::Error> {
        match tried {
            Ok(_) => tx.commit().await.map(|()| true),
            Err(error) if is_lock_timeout(&error) => {
                tx.rollback().await?;
                tokio::time::sleep(self.backoff.wait()).await;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a statement failed because it waited too long for a lock.
pub(crate) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "55P03")
}
