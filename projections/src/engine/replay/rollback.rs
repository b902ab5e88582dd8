//! Rollback: each workspace switches to the newest older epoch that is kept applied for it, by the same switch as
//! forward.

use std::collections::BTreeMap;
use std::time::Duration;

use event_store::follow::Backoff;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::super::error::ReplayError;
use super::super::rebuild::{PendingWorkspace, ProgressTracker, Rebuild};
use super::super::{Projection, checkpoint};
use super::switch_guard::SwitchPolicy;
use super::{ReplayOptions, epochs, lock, logs, require_workspaces};

/// The attempts before an epoch that only another version's projector applies counts as behind.
const ATTEMPTS: u32 = 10;

/// A workspace that was switched back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolledBack {
    /// The workspace.
    pub workspace: i32,
    /// The epoch before the rollback.
    pub from: i32,
    /// The epoch after it.
    pub to: i32,
}

/// Switches workspaces back to the epoch before. The epoch that they leave is kept for `options.keep_old`. All of them
/// switch, or none if one has no older epoch. Without named workspaces, those that have none stay.
pub(crate) async fn rollback(
    pool: &PgPool,
    projection: &'static Projection,
    options: &ReplayOptions,
    shutdown: CancellationToken,
) -> Result<Vec<RolledBack>, ReplayError> {
    let lock = lock(pool, projection).await?;
    let rolled_back = rollback_alone(pool, projection, options, shutdown).await;
    lock.release().await;
    rolled_back
}

async fn rollback_alone(
    pool: &PgPool,
    projection: &'static Projection,
    options: &ReplayOptions,
    shutdown: CancellationToken,
) -> Result<Vec<RolledBack>, ReplayError> {
    if let Some(wanted) = &options.workspaces {
        require_workspaces(pool, wanted).await?;
    }
    let plans = rollback_plans(pool, projection, options.workspaces.as_deref()).await?;
    let mut by_epoch: BTreeMap<(i32, i32), Vec<i32>> = BTreeMap::new();
    for plan in &plans {
        by_epoch.entry((plan.to, plan.version)).or_default().push(plan.workspace);
    }
    // An operator has a reason for a rollback, so nothing is compared with the live rows.
    let allowed = SwitchPolicy { parked: true, differences: true, proof: None };
    let mut rolled_back = Vec::new();
    for ((epoch, version), workspaces) in by_epoch {
        let tally = ProgressTracker::new(&|_| {});
        let rebuild = Rebuild::new((pool, projection), epoch, (options.memory, options.cut), tally, shutdown.clone());
        if version != projection.version {
            for &workspace in &workspaces {
                wait_until_caught_up(&rebuild, workspace, version).await?;
            }
        }
        let elsewhere = epochs::live_elsewhere(pool, projection, epoch, Some(&workspaces)).await?;
        if logs::fill_and_switch_all(&rebuild, &elsewhere, allowed).await?.is_none() {
            break;
        }
        rolled_back.extend(plans.iter().filter(|plan| plan.to == epoch).map(|plan| RolledBack {
            workspace: plan.workspace,
            from: plan.from,
            to: epoch,
        }));
    }
    date_unread_epochs(pool, projection, options).await?;
    Ok(rolled_back)
}

/// The rollback of one workspace.
struct RollbackPlan {
    workspace: i32,
    from: i32,
    to: i32,
    version: i32,
}

async fn rollback_plans(
    pool: &PgPool,
    projection: &Projection,
    only: Option<&[i32]>,
) -> Result<Vec<RollbackPlan>, ReplayError> {
    let found = sqlx::query!(
        r#"SELECT l.workspace, l.epoch AS "from", back.epoch AS "to?", back.version AS "version?"
           FROM read.live_epochs l
           LEFT JOIN LATERAL (
               SELECT e.epoch, e.version FROM read.checkpoints c JOIN read.epochs e USING (projection, epoch)
               WHERE c.projection = $1 AND c.workspace = l.workspace AND c.following AND e.state = 'applied'
                   AND e.epoch < l.epoch
               ORDER BY e.epoch DESC LIMIT 1
           ) back ON true
           WHERE l.projection = $1 AND ($2::integer[] IS NULL OR l.workspace = ANY($2))
           ORDER BY l.workspace"#,
        projection.name,
        only
    )
    .fetch_all(pool)
    .await?;
    let without_plan = found.iter().find(|plan| plan.to.is_none()).map(|plan| plan.workspace);
    let plans: Vec<RollbackPlan> = found
        .into_iter()
        .filter_map(|plan| {
            let (to, version) = plan.to.zip(plan.version)?;
            Some(RollbackPlan { workspace: plan.workspace, from: plan.from, to, version })
        })
        .collect();
    match without_plan {
        Some(workspace) if only.is_some() || plans.is_empty() => Err(ReplayError::NoWayBack(workspace)),
        _ => Ok(plans),
    }
}

/// Waits shortly for an epoch that this program cannot apply, because a projector of its version may do so.
async fn wait_until_caught_up(rebuild: &Rebuild<'_>, workspace: i32, version: i32) -> Result<(), ReplayError> {
    let mut backoff = Backoff::up_to(Duration::from_millis(500));
    let mut log = rebuild.gap(workspace).await?;
    for _ in 0..ATTEMPTS {
        if log.filled >= log.live {
            return Ok(());
        }
        tokio::time::sleep(backoff.wait()).await;
        log = rebuild.gap(workspace).await?;
    }
    Err(behind(rebuild, log, version))
}

fn behind(rebuild: &Rebuild<'_>, log: PendingWorkspace, version: i32) -> ReplayError {
    ReplayError::OldVersionBehind {
        workspace: log.workspace,
        epoch: rebuild.epoch,
        version,
        position: log.filled,
        live: log.live,
    }
}

/// Sets the drop dates of epochs that no workspace reads any more. An epoch that was rolled back from stays as it is:
/// the next replay fills a new one.
async fn date_unread_epochs(
    pool: &PgPool,
    projection: &Projection,
    options: &ReplayOptions,
) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    checkpoint::lock_epochs(&mut tx).await?;
    sqlx::query!(
        "UPDATE read.epochs e SET state = 'applied'
         WHERE e.projection = $1 AND e.state = 'building' AND EXISTS (
             SELECT FROM read.checkpoints c WHERE c.projection = $1 AND c.epoch = e.epoch AND c.following)",
        projection.name
    )
    .execute(&mut *tx)
    .await?;
    let keep_old_s = i64::try_from(options.keep_old.as_secs()).unwrap_or(i64::MAX);
    epochs::set_drop_dates(&mut tx, projection.name, keep_old_s, options.clock.now()).await?;
    tx.commit().await
}
