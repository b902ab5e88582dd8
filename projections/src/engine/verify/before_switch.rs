//! Verification of an epoch before its switch. It is the comparison of every verify, with the new epoch in the place of
//! the shadow epoch. It precedes the switch, so that no reader sees rows that differ, and the old ones stay.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use platform::clock::SharedClock;
use sqlx::PgPool;

use super::super::Projection;
use super::super::difference::Difference;
use super::super::error::{ReplayError, SwitchBlocked};
use super::super::rebuild::Rebuild;
use super::shape::TableSchema;
use super::{Problem, Verification, VerifyObserver, VerifyRequest, VerifyRun, record, shadow_epoch};

/// The verifier of a replay. A verified workspace stays verified, because later events are applied to both epochs by
/// the same code. Comparing again might never end under a high event rate.
#[derive(Debug)]
pub(in super::super) struct SwitchVerifier {
    shapes: Vec<TableSchema>,
    clock: SharedClock,
    proved: Mutex<BTreeSet<i32>>,
}

impl SwitchVerifier {
    pub(in super::super) async fn prepare(
        pool: &PgPool,
        projection: &Projection,
        clock: SharedClock,
    ) -> Result<Self, sqlx::Error> {
        Ok(Self { shapes: TableSchema::of_all(pool, projection).await?, clock, proved: Mutex::default() })
    }

    /// Compares the new epoch of a workspace with the live one, at one position. Returns `false` if shutdown came
    /// first.
    pub(in super::super) async fn holds(&self, rebuild: &Rebuild<'_>, workspace: i32) -> Result<bool, ReplayError> {
        if self.proved().contains(&workspace) {
            return Ok(true);
        }
        let Some(live) = live_epoch(rebuild, workspace).await? else { return Ok(true) };
        let Some(compared) = rebuild.shutdown.run_until_cancelled(self.compare(rebuild, workspace, live)).await else {
            return Ok(false);
        };
        compared?;
        self.proved().insert(workspace);
        Ok(true)
    }

    async fn compare(&self, rebuild: &Rebuild<'_>, workspace: i32, live: i32) -> Result<(), ReplayError> {
        let Rebuild { pool, projection, .. } = *rebuild;
        let filled = shadow_epoch::filled(rebuild, workspace).await?;
        let request = VerifyRequest::default();
        let first: Mutex<Option<Difference>> = Mutex::default();
        let note = |difference: &Difference| {
            first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| difference.clone());
        };
        let bench = VerifyRun {
            rebuild: rebuild.without_progress(),
            baseline_epoch: live,
            shapes: &self.shapes,
            request: &request,
            clock: &self.clock,
            watch: VerifyObserver { progress: &|_| {}, difference: &note },
        };
        let mut verification = Verification::of(workspace);
        let problem = bench.verify_one(&mut verification).await.err();
        let position = shadow_epoch::filled(rebuild, workspace).await?;
        rebuild.tally.applied(workspace, filled, position.max(filled));
        let unlike = match (first.into_inner().unwrap_or_else(PoisonError::into_inner), problem) {
            (Some(first), problem) => {
                verification.problem = problem;
                SwitchBlocked::Differs { rows: verification.differences(), first: Box::new(first) }
            }
            (None, Some(problem)) => return Err(refusal(workspace, problem)),
            (None, None) => {
                record::store(pool, projection, false, &verification, self.clock.now()).await?;
                return Ok(());
            }
        };
        record::store(pool, projection, false, &verification, self.clock.now()).await?;
        Err(ReplayError::SwitchBlocked { workspace, reason: unlike })
    }

    fn proved(&self) -> std::sync::MutexGuard<'_, BTreeSet<i32>> {
        // A set of numbers stays valid when a holder of the lock panics.
        self.proved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The live epoch of a workspace, if its rows can be compared. `None` if there is none yet.
async fn live_epoch(rebuild: &Rebuild<'_>, workspace: i32) -> Result<Option<i32>, ReplayError> {
    let Rebuild { pool, projection, epoch, .. } = *rebuild;
    let live = sqlx::query!(
        "SELECT l.epoch, e.version FROM read.live_epochs l JOIN read.epochs e USING (projection, epoch)
         WHERE l.projection = $1 AND l.workspace = $2",
        projection.name,
        workspace
    )
    .fetch_optional(pool)
    .await?;
    let Some(live) = live else { return Ok(None) };
    let unverified =
        |reason: String| ReplayError::SwitchBlocked { workspace, reason: SwitchBlocked::Unverified { reason } };
    if live.version != projection.version {
        return Err(unverified(format!("version {} of the projection built the live rows", live.version)));
    }
    if !shadow_epoch::have_same_inputs(pool, projection, [live.epoch, epoch]).await? {
        return Err(unverified("the live rows keep another number of values of a dimension".to_owned()));
    }
    Ok(Some(live.epoch))
}

/// Converts a problem of the comparison to the error of the switch.
fn refusal(workspace: i32, problem: Problem) -> ReplayError {
    match problem {
        Problem::Log(refused) => ReplayError::Stopped(refused),
        Problem::Rebuild(error) => error,
        Problem::Database(error) => ReplayError::Database(error),
        Problem::Stopped { .. }
        | Problem::Version { .. }
        | Problem::WentBack { .. }
        | Problem::Switched { .. }
        | Problem::LeftOut
        | Problem::Order(_) => {
            ReplayError::SwitchBlocked { workspace, reason: SwitchBlocked::Unverified { reason: problem.full_text() } }
        }
    }
}
