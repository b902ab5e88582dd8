//! What the size of the log costs, and what an observation takes of the disk.
//!
//! Two databases, one with many events in the log and one with few, carry out the same commands and record the same
//! batches in turn; the other is the small one. Bytes are what the log's tables grow by, indexes and all; the other is
//! COPY of one row per observation.

mod bytes; // on disk, per observation
mod fill; // events that are there already

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use platform::database::{DatabaseRole, connect};
use sqlx::PgPool;

use crate::callers::pace;
use crate::commands::ours::HighwaterStore;
use crate::feed::{Feed, Shape};
use crate::projector::{Projector, wait_until_applied};
use crate::recorder::Ids;
use crate::report::{Better, Contest, Report};
use crate::server::{Database, Server};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SizeArgs {
    /// How many events are in the large log.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    events: u32,
    /// How many events are in the small log.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    few: u32,
    /// How many callers send commands at once.
    #[arg(long, default_value_t = 64)]
    callers: usize,
    /// How long commands are measured in a round, in seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    #[command(flatten)]
    shape: Shape,
}

const COMMANDS: Contest =
    Contest { scenario: "size", other_name: "the small log", unit: "commands/s", better: Better::More };
const OBSERVATIONS: Contest = Contest { unit: "observations/s", ..COMMANDS };

pub(crate) async fn run(server: &Server, options: &SizeArgs, rounds: u32, report: &mut Report) -> Result<()> {
    bytes::run(&server.database("size_bytes").await?, &options.shape, report).await?;

    let mut large = Side::open(server.database("size_large").await?, options.events, options).await?;
    let mut small = Side::open(server.database("size_small").await?, options.few, options).await?;
    for _ in 0..rounds {
        for side in [&mut large, &mut small] {
            side.round(options).await?;
        }
    }
    let figure = format!("{} events in the log beside {}", options.events, options.few);
    report.add(COMMANDS, &format!("commands, {figure}"), &large.commands, &small.commands)?;
    report.add(OBSERVATIONS, &format!("observations, {figure}"), &large.observations, &small.observations)
}

/// A log of one size.
struct Side {
    database: Database,
    projector: PgPool,
    ours: Arc<HighwaterStore>,
    feed: Feed,
    commands: Vec<f64>,
    observations: Vec<f64>,
}

impl Side {
    async fn open(database: Database, events: u32, options: &SizeArgs) -> Result<Self> {
        let (feed, workspaces) = Feed::open(&database, 1, &options.shape).await?;
        let workspace = workspaces.first().context("no workspace")?.id;
        let ours = Arc::new(HighwaterStore::in_workspaces(&database, vec![workspace]).await?);
        let projector = connect(&database.config, DatabaseRole::Projector).await?;
        projections::catch_up(&projector).await?;
        fill::log(&database, workspace.0, events).await.context("cannot fill the log")?;
        Ok(Self { database, projector, ours, feed, commands: Vec::new(), observations: Vec::new() })
    }

    async fn round(&mut self, options: &SizeArgs) -> Result<()> {
        let before = self.events().await?;
        self.database.settle().await?;
        let callers = self.ours.callers(options.callers, 1);
        let drafted = self.ours.drafted();
        let paced = pace(callers, Duration::from_secs(options.seconds)).await?;
        self.commands.push(paced.per_second);
        let appended = self.events().await? - before;
        ensure!(appended == self.ours.drafted() - drafted, "{appended} events came of the commands");

        projections::catch_up(&self.projector).await?;
        let batches = self.feed.batches();
        let sent = batches.observations();
        self.database.settle().await?;
        let projector = Projector::start(&self.projector);
        let began = Instant::now();
        self.feed.record(batches, Ids::Kept).await?;
        wait_until_applied(&self.database.admin).await?;
        self.observations.push(f64::from(sent) / began.elapsed().as_secs_f64());
        projector.stop().await
    }

    async fn events(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT sum(position)::bigint FROM log.heads").fetch_one(&self.database.admin).await?)
    }
}
