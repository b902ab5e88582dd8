//! Keeps this process's row alive, on connections of its own: what the work does to the pool must not look like death.

use std::collections::BTreeMap;
use std::time::Duration;

use platform::notifications::NotificationListener;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::Registry;
use super::registry::{self, LiveProjectors, PROJECTORS_CHANNEL};
use super::{LeaseConfig, LeaseState, Leases, follows};

/// Renews the lease until shutdown; gives it back once the followers have ended.
pub(crate) async fn keep(
    pool: &PgPool,
    name: &str,
    leases: &Leases,
    shutdown: CancellationToken,
    followers_ended: CancellationToken,
) {
    let config = leases.config();
    let mut keeper = Keeper { pool: own_pool(pool, config), session: None, name, leases };
    let mut wakeups = NotificationListener::new(keeper.pool.clone(), PROJECTORS_CHANNEL, config.renew_every);
    let mut is_well = true;
    while !shutdown.is_cancelled() {
        let renewed = keeper.renew(config).await;
        match &renewed {
            Ok(()) if !is_well => tracing::info!("this projector has its share of the logs again"),
            Err(reason) if is_well => {
                tracing::warn!(reason, "the lease of this projector is not renewed: others take its logs over");
            }
            Ok(()) | Err(_) => {}
        }
        is_well = renewed.is_ok();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = wakeups.changed() => {}
        }
    }
    leases.give_up();
    followers_ended.cancelled().await;
    keeper.leave().await;
}

struct Keeper<'a> {
    pool: PgPool,
    session: Option<PgConnection>,
    name: &'a str,
    leases: &'a Leases,
}

impl Keeper<'_> {
    /// Renews the lease, unless the work stands still: somebody else may get on.
    async fn renew(&mut self, config: &LeaseConfig) -> Result<(), String> {
        let silence = self.leases.stalled_for();
        if silence > config.standstill {
            return Err(format!("no round was completed for {} s", silence.as_secs()));
        }
        // Counted from before the database counts, and shorter: this process stops before another begins.
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
        self.leases.renewed(LeaseState { until: Some(until), living: by_projection(self.leases.registry(), &living) });
        Ok(())
    }

    async fn try_renew(&mut self, config: &LeaseConfig) -> Result<Vec<LiveProjectors>, sqlx::Error> {
        let session = match self.session.take() {
            Some(session) => self.session.insert(session),
            None => self.session.insert(open(&self.pool).await?),
        };
        registry::renew(session, self.leases.registry(), self.leases.projector(), self.name, config).await
    }

    async fn leave(mut self) {
        let Some(mut session) = self.session.take() else { return };
        let left = async {
            registry::leave(&mut session, self.leases.projector()).await?;
            session.close().await
        };
        // Whatever is in the way of it ends with the session.
        if !matches!(tokio::time::timeout(Duration::from_secs(2), left).await, Ok(Ok(()))) {
            tracing::debug!("the lease could not be given back: it ends by itself");
        }
    }
}

/// A session that is asked nothing but this. A lease need not survive a crash, so its commits do not wait for the disk.
async fn open(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    let mut session = pool.acquire().await?.detach();
    sqlx::query_scalar!("SELECT set_config('synchronous_commit', 'off', false)").fetch_one(&mut session).await?;
    Ok(session)
}

/// Like the pool of the work, but never too busy, and its sessions live as long as the process.
fn own_pool(pool: &PgPool, config: &LeaseConfig) -> PgPool {
    let options: PgPoolOptions = pool.options().clone();
    options
        .max_connections(2)
        .min_connections(0)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(config.lasts)
        .connect_lazy_with(pool.connect_options().as_ref().clone())
}

fn by_projection(projections: Registry, living: &[LiveProjectors]) -> BTreeMap<&'static str, Vec<uuid::Uuid>> {
    let sharers = projections.iter().map(|projection| {
        let follows = follows(projection);
        let mut sharers: Vec<_> =
            living.iter().filter(|other| other.follows.contains(&follows)).map(|other| other.projector).collect();
        sharers.sort();
        (projection.name, sharers)
    });
    sharers.collect()
}
