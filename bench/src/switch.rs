//! What a switch of epochs costs those who write: commands of some callers while every workspace's readers are switched
//! to a new epoch, one workspace after the other, beside the same callers when nothing is switched.
//!
//! Only what is sent between the first switch and the last counts, so not what filling the epoch costs. A projector
//! keeps the live rows up to date all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use platform::clock::SystemClock;
use platform::database::{DatabaseRole, connect};
use projections::{ReplayOptions, ReplayOutcome, ReplayProgress};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::callers::{Caller as _, latencies, milliseconds, record};
use crate::commands::ours::{HighwaterCaller, HighwaterStore};
use crate::projector::Projector;
use crate::report::{Better, Contest, Report};
use crate::server::{Database, Server};
use crate::workspace::Workspace;

const LATENCY: Contest = Contest { scenario: "switch", other_name: "no switch", unit: "ms", better: Better::Less };

/// Commands of callers are spread over so many of the workspaces.
const WRITTEN: usize = 4;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SwitchArgs {
    /// How many workspaces are switched.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(1..))]
    workspaces: u16,
    /// How many campaigns each of them has.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    campaigns: u16,
    /// How many callers send commands meanwhile.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    callers: u16,
}

pub(crate) async fn run(server: &Server, options: &SwitchArgs, rounds: u32, report: &mut Report) -> Result<()> {
    let database = server.database("switch").await?;
    let ours = populate(&database, options).await.context("cannot fill the logs")?;
    let pool = connect(&database.config, DatabaseRole::Projector).await?;
    projections::catch_up(&pool).await?;
    let (mut switching, mut quiet) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        database.settle().await?;
        let projector = Projector::start(&pool);
        let load = Load::start(&ours, options.callers);
        let took = switch(&pool, options.workspaces, &load).await?;
        switching.push(load.stop().await?);

        // As long again, and with as much to do before.
        database.settle().await?;
        let load = Load::start(&ours, options.callers);
        load.count(true);
        tokio::time::sleep(took).await;
        load.count(false);
        quiet.push(load.stop().await?);
        projector.stop().await?;
    }
    check(&database, &ours).await?;
    pool.close().await;
    let figure = format!("commands of {} callers while {} workspaces switch", options.callers, options.workspaces);
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let of = |rounds: &[Histogram<u64>]| -> Vec<f64> {
            rounds.iter().map(|took| milliseconds(took, quantile)).collect()
        };
        report.add(LATENCY, &format!("{figure}, {name}"), &of(&switching), &of(&quiet))?;
    }
    Ok(())
}

/// Workspaces with some campaigns each.
async fn populate(database: &Database, options: &SwitchArgs) -> Result<Arc<HighwaterStore>> {
    let mut workspaces = Vec::new();
    for number in 0..options.workspaces {
        workspaces.push(Workspace::open(database, &format!("workspace {number}")).await?.id);
    }
    let count = workspaces.len();
    let ours = Arc::new(HighwaterStore::in_workspaces(database, workspaces).await?);
    for _ in 0..options.campaigns {
        let mut drafting = JoinSet::new();
        for mut caller in ours.callers(count, count) {
            drafting.spawn(async move { caller.call().await });
        }
        while let Some(drafted) = drafting.join_next().await {
            drafted??;
        }
    }
    Ok(ours)
}

/// Switches every workspace to a new epoch. Says how long that took from the first to the last.
async fn switch(pool: &PgPool, workspaces: u16, load: &Load) -> Result<Duration> {
    let (begun, counting) = (Instant::now(), &load.counting);
    let first = std::sync::OnceLock::new();
    let tell = |progress: ReplayProgress| {
        if progress.workspaces_done > 0 {
            first.get_or_init(|| begun.elapsed());
            counting.store(true, Ordering::Relaxed);
        }
    };
    let options = ReplayOptions::new(SystemClock::shared());
    let outcome =
        projections::replay(pool, projections::CAMPAIGN_MODEL.name, &options, &tell, CancellationToken::new()).await?;
    load.count(false);
    match outcome {
        ReplayOutcome::Completed { workspaces: switched, .. } => {
            ensure!(switched == usize::from(workspaces), "{switched} of {workspaces} workspaces switched");
        }
        ReplayOutcome::Interrupted { .. } => bail!("a replay that nobody interrupts was interrupted"),
    }
    Ok(begun.elapsed().saturating_sub(first.get().copied().unwrap_or_default()))
}

/// Every command that was answered is one event.
async fn check(database: &Database, ours: &HighwaterStore) -> Result<()> {
    let drafted = "SELECT count(*) FROM log.events WHERE event_type = 'CampaignCreated'";
    let drafted: i64 = sqlx::query_scalar(drafted).fetch_one(&database.admin).await?;
    ensure!(drafted == ours.drafted(), "{} campaigns were drafted, but {drafted} stored", ours.drafted());
    Ok(())
}

/// Callers who send one command after the other; some of which count.
struct Load {
    counting: Arc<AtomicBool>,
    stop: CancellationToken,
    calling: JoinSet<Result<Histogram<u64>>>,
}

impl Load {
    fn start(ours: &Arc<HighwaterStore>, callers: u16) -> Self {
        let (counting, stop, mut calling) = (Arc::<AtomicBool>::default(), CancellationToken::new(), JoinSet::new());
        for caller in ours.callers(callers.into(), WRITTEN) {
            calling.spawn(call_until(caller, Arc::clone(&counting), stop.clone()));
        }
        Self { counting, stop, calling }
    }

    /// Whether what is sent from now on counts.
    fn count(&self, counts: bool) {
        self.counting.store(counts, Ordering::Relaxed);
    }

    async fn stop(mut self) -> Result<Histogram<u64>> {
        self.stop.cancel();
        let mut took = latencies();
        while let Some(one) = self.calling.join_next().await {
            took.add(one??)?;
        }
        ensure!(!took.is_empty(), "no command was sent meanwhile: there must be more to switch");
        Ok(took)
    }
}

async fn call_until(
    mut caller: HighwaterCaller,
    counting: Arc<AtomicBool>,
    stop: CancellationToken,
) -> Result<Histogram<u64>> {
    let mut took = latencies();
    while !stop.is_cancelled() {
        let (began, counts) = (Instant::now(), counting.load(Ordering::Relaxed));
        caller.call().await?;
        if counts {
            record(&mut took, began.elapsed());
        }
    }
    Ok(took)
}
