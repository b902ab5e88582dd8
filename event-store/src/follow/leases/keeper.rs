//! Renews this process's leases, on its own connections, so that a busy pool does not let them expire.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::rows::{self, LiveLease};
use super::{LeaseConfig, LeaseState, Leases, Shared};

/// Renews a process's leases until shutdown, and releases them once its consumers have ended.
///
/// `pool` is a [`lease_pool`]. `name` describes the process for operators. `wakeups` come when [`LEASES_CHANNEL`] is
/// notified.
///
/// [`LEASES_CHANNEL`]: super::LEASES_CHANNEL
pub async fn keep_leases(
    pool: PgPool,
    name: &str,
    leases: &Leases,
    wakeups: &Notify,
    shutdown: &CancellationToken,
    consumers_ended: &CancellationToken,
) {
    let config = &leases.0.config;
    let mut keeper = Keeper { pool, session: None, name, leases };
    let mut is_well = true;
    while !shutdown.is_cancelled() {
        let renewed = keeper.renew(config).await;
        match &renewed {
            Ok(()) if !is_well => tracing::info!(name, "this process has its share of the logs again"),
            Err(reason) if is_well => {
                tracing::warn!(name, reason, "the leases of this process are not renewed: others take its logs over");
            }
            Ok(()) | Err(_) => {}
        }
        is_well = renewed.is_ok();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = wakeups.notified() => {}
            () = tokio::time::sleep(config.renew_every) => {}
        }
    }
    leases.give_up();
    consumers_ended.cancelled().await;
    keeper.leave().await;
}

struct Keeper<'a> {
    pool: PgPool,
    session: Option<PgConnection>,
    name: &'a str,
    leases: &'a Leases,
}

impl Keeper<'_> {
    /// Renews the lease, unless the work stands still: then another process should take over.
    async fn renew(&mut self, config: &LeaseConfig) -> Result<(), String> {
        let silence = self.leases.stalled_for();
        if silence > config.standstill {
            return Err(format!("no round was completed for {} s", silence.as_secs()));
        }
        // The time starts before the database's and is shorter, so this process stops before another begins.
        let until = Instant::now() + config.lasts.mul_f64(0.8);
        let renewed = tokio::time::timeout(config.lasts.mul_f64(0.4), self.try_renew(config)).await;
        let living = match renewed {
            Ok(Ok(living)) => living,
            Ok(Err(error)) => {
                self.session = None;
                return Err(error.to_string());
            }
            Err(_elapsed) => {
                self.session = None;
                return Err("the database does not answer".to_owned());
            }
        };
        self.leases.renewed(LeaseState { until: Some(until), living: by_consumer(living) });
        Ok(())
    }

    async fn try_renew(&mut self, config: &LeaseConfig) -> Result<Vec<LiveLease>, sqlx::Error> {
        let session = match self.session.take() {
            Some(session) => self.session.insert(session),
            None => self.session.insert(open(&self.pool).await?),
        };
        let Shared { holder, consumers, .. } = &*self.leases.0;
        rows::renew(session, *holder, self.name, consumers, config).await
    }

    async fn leave(mut self) {
        let Some(mut session) = self.session.take() else { return };
        let left = async {
            rows::leave(&mut session, self.leases.0.holder).await?;
            session.close().await
        };
        // A statement that blocks ends with the session.
        if !matches!(tokio::time::timeout(Duration::from_secs(2), left).await, Ok(Ok(()))) {
            tracing::debug!("the lease could not be released and expires by itself");
        }
    }
}

/// A session for leases only. A lease need not survive a crash, so its commits do not wait for the disk.
async fn open(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    let mut session = pool.acquire().await?.detach();
    sqlx::query_scalar!("SELECT set_config('synchronous_commit', 'off', false)").fetch_one(&mut session).await?;
    Ok(session)
}

/// A pool for leases. It is like the pool of the work, but never busy, and its sessions live as long as the process. It
/// has room for the keeper and for a listener.
pub fn lease_pool(pool: &PgPool, config: &LeaseConfig) -> PgPool {
    let options: PgPoolOptions = pool.options().clone();
    options
        .max_connections(2)
        .min_connections(0)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(config.lasts)
        .connect_lazy_with(pool.connect_options().as_ref().clone())
}

/// The holders that share the logs of each consumer, in the same order for every process.
fn by_consumer(living: Vec<LiveLease>) -> BTreeMap<String, Vec<Uuid>> {
    let mut sharers = BTreeMap::<String, Vec<Uuid>>::new();
    for lease in living {
        sharers.entry(lease.consumer).or_default().push(lease.holder);
    }
    for holders in sharers.values_mut() {
        holders.sort();
    }
    sharers
}
