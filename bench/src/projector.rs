//! The projector in this process, and how far the read tables are.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use projections::{PROJECTIONS, ProjectorConfig, ProjectorError};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often the checkpoint is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);
const APPLIED_WITHIN: Duration = Duration::from_mins(10);

pub(crate) struct Projector {
    stop: CancellationToken,
    running: JoinHandle<Result<(), ProjectorError>>,
}

impl Projector {
    /// `pool` must act as the projector.
    pub(crate) fn start(pool: &PgPool) -> Self {
        let stop = CancellationToken::new();
        let config = ProjectorConfig::new(PROJECTIONS, Uuid::now_v7(), "bench".to_owned());
        Self { running: tokio::spawn(projections::run(pool.clone(), config, stop.clone())), stop }
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.running.await??)
    }
}

/// Waits until readers see everything that is in the logs now.
pub(crate) async fn wait_until_applied(admin: &PgPool) -> Result<()> {
    let deadline = Instant::now() + APPLIED_WITHIN;
    loop {
        let behind: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM log.heads AS head
             LEFT JOIN read.live_epochs AS live USING (workspace)
             LEFT JOIN read.checkpoints AS done USING (projection, epoch, workspace)
             WHERE head.position > coalesce(done.position, 0)",
        )
        .fetch_one(admin)
        .await?;
        if behind == 0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{behind} logs were not applied in time");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
