//! Batches of observations for one or more workspaces, and senders that record them in process as fast as they can.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use domain::observation::ObservationsRecorded;
use event_store::{Appender, AppenderConfig};
use platform::database::{DatabaseRole, connect};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::load::Load;
use crate::recorder::{Ids, Recorder};
use crate::server::Database;
use crate::service::Service;
use crate::workspace::Workspace;

/// Over so many campaigns each workspace's observations are spread.
const CAMPAIGNS: u32 = 100;

/// How observations are sent.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Shape {
    /// How many observations each side records in a round.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) observations: u32,
    /// How many of them are sent at once.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(crate) batch: u32,
    /// How many batches are under way at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) senders: u16,
}

/// Where batches come from, and who writes them down.
pub(crate) struct Feed {
    shape: Shape,
    logs: Vec<(Load, Recorder)>,
    next: u32,
}

/// Batches, each with the number of its workspace.
pub(crate) struct Batches(pub(crate) Vec<(usize, ObservationsRecorded)>);

impl Feed {
    /// Opens so many workspaces for it.
    pub(crate) async fn open(database: &Database, workspaces: usize, shape: &Shape) -> Result<(Self, Vec<Workspace>)> {
        ensure!(workspaces > 0, "an observation is sent to a workspace");
        let pool = connect(&database.config, DatabaseRole::Command).await?;
        // The writers end with the last clone of the appender.
        let (appender, _writers) = Appender::start(pool.clone(), AppenderConfig::default(), CancellationToken::new());
        let service = Service::start(database, "command").await?;
        let (mut logs, mut opened) = (Vec::new(), Vec::new());
        for number in 0..workspaces {
            let workspace = Workspace::open(database, &format!("workspace {number}")).await?;
            let subjects = workspace.populate(&service, CAMPAIGNS).await?;
            let recorder = Recorder::new(&pool, appender.clone(), workspace.id, &subjects).await?;
            logs.push((Load::live(subjects.source, "EUR".parse()?, subjects.campaigns), recorder));
            opened.push(workspace);
        }
        service.stop().await?;
        Ok((Self { shape: shape.clone(), logs, next: 0 }, opened))
    }

    /// The next batches: as many observations as the shape says, spread over the workspaces in turn.
    pub(crate) fn batches(&mut self) -> Batches {
        let Shape { observations, batch, .. } = self.shape;
        let logs = self.logs.iter().map(|(load, _)| load).enumerate().cycle();
        let firsts = (0..observations).step_by(batch as usize).map(|number| self.next + number);
        let batches = firsts.zip(logs).map(|(first, (log, load))| (log, load.batch(first..first + batch))).collect();
        let batches = Batches(batches);
        self.next += batches.observations();
        batches
    }

    /// Records them, and returns when all are durable.
    pub(crate) async fn record(&self, batches: Batches, ids: Ids) -> Result<()> {
        let (batches, next) = (Arc::new(batches.0), Arc::new(AtomicUsize::new(0)));
        let recorders: Arc<[Recorder]> = self.logs.iter().map(|(_, recorder)| recorder.clone()).collect();
        let mut sending = JoinSet::new();
        for _ in 0..self.shape.senders {
            let (batches, next, recorders) = (Arc::clone(&batches), Arc::clone(&next), Arc::clone(&recorders));
            sending.spawn(async move {
                while let Some((log, batch)) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    recorders[*log].record(batch, ids).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        Ok(())
    }
}

impl Batches {
    pub(crate) fn observations(&self) -> u32 {
        self.0.iter().map(|(_, batch)| u32::try_from(batch.observations.len()).unwrap_or(u32::MAX)).sum()
    }
}
