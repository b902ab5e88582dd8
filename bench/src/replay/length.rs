//! What the length of a log costs: as many observations a day, for one day and for ten. An observation should cost as
//! much in both, and the memory that a replay takes should be the same.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use platform::database::{DatabaseRole, connect};
use projections::ReplayOptions;
use sqlx::PgPool;

use super::{ReplayArgs, of_all, replay, seed};
use crate::memory::Memory;
use crate::processor::Processor;
use crate::report::{Better, Contest, Report};
use crate::server::{Database, Server};

const COST: Contest = contest("the short log", "us");
const MEMORY: Contest = contest("the short log", "MiB");

const fn contest(other_name: &'static str, unit: &'static str) -> Contest {
    Contest { scenario: "replay", other_name, unit, better: Better::Less }
}

/// Observations that are filled in with one statement.
const AT_ONCE: usize = 1_000_000;
const FILL: &str = include_str!("fill.sql");

/// A log, and what its replays took.
struct Log {
    database: Database,
    projector: PgPool,
    observations: u32,
    /// Microseconds an observation.
    waited: Vec<f64>,
    processor: Vec<f64>,
    /// The most that this process held at a time.
    memory: Vec<f64>,
}

pub(super) async fn run(server: &Server, options: &ReplayArgs, rounds: u32, report: &mut Report) -> Result<()> {
    let batch = options.long_batch;
    let short = options.long / 10 / batch * batch;
    let mut logs = Vec::new();
    for (name, observations) in [("replay_short", short), ("replay_long", 10 * short)] {
        let filled = Log::fill(server.database(name).await?, (observations, batch), short).await;
        logs.push(filled.with_context(|| format!("cannot fill {name}"))?);
    }
    for _ in 0..rounds {
        for log in &mut logs {
            log.replay().await?;
        }
    }
    for log in &logs {
        log.check().await?;
        log.projector.close().await;
    }
    if let [short, long] = logs.as_slice() {
        let figure = format!("{} beside {} in batches of {batch}", long.observations, short.observations);
        report.add(COST, &format!("an observation, {figure}"), &long.waited, &short.waited)?;
        report.add(COST, &format!("an observation, processor time, {figure}"), &long.processor, &short.processor)?;
        report.add(MEMORY, &format!("the most memory, {figure}"), &long.memory, &short.memory)?;
    }
    Ok(())
}

impl Log {
    async fn fill(database: Database, (observations, batch): (u32, u32), a_day: u32) -> Result<Self> {
        let workspace = seed::fill(&database, 0, batch).await?;
        let projector = connect(&database.config, DatabaseRole::Projector).await?;
        projections::catch_up(&projector).await?;
        let (all, a_day) = (usize::try_from(observations)?, i64::from(a_day));
        for first in (0..all).step_by(AT_ONCE) {
            let (first, last) = (i32::try_from(first)?, i32::try_from(all.min(first + AT_ONCE))?);
            sqlx::query(FILL)
                .bind(workspace)
                .bind(first)
                .bind(last)
                .bind(i32::try_from(batch)?)
                .bind(a_day)
                .execute(&database.admin)
                .await?;
            // The live rows count as up to date: nobody reads them.
            for moved in ["log.heads", "read.checkpoints"] {
                sqlx::query(&format!(
                    "UPDATE {moved} SET position = (SELECT max(position) FROM log.events WHERE workspace = $1)
                     WHERE workspace = $1"
                ))
                .bind(workspace)
                .execute(&database.admin)
                .await?;
            }
        }
        sqlx::query("VACUUM (ANALYZE) log.events").execute(&database.admin).await?;
        let (waited, processor, memory) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { database, projector, observations, waited, processor, memory })
    }

    async fn replay(&mut self) -> Result<()> {
        self.database.settle().await?;
        let this = std::process::id();
        Memory::forget_peak(this)?;
        let (used, began) = (Processor::watch(&self.database).await?, Instant::now());
        let options = ReplayOptions { keep_old: Duration::ZERO, allow_differences: true, ..of_all() };
        replay(&self.projector, &options).await?;
        let micros = |seconds: f64| 1e6 * seconds / f64::from(self.observations);
        self.waited.push(micros(began.elapsed().as_secs_f64()));
        self.processor.push(micros(used.seconds()?));
        self.memory.push(Memory::of(this)?.peak);
        Ok(())
    }

    /// Every observation was counted, once.
    async fn check(&self) -> Result<()> {
        let counted: i64 = sqlx::query_scalar(
            "SELECT sum(CASE measure WHEN 'conversions' THEN value / 1000000 ELSE value END)::bigint
             FROM read.rollup_15m JOIN read.live_epochs USING (epoch, workspace)
             WHERE measure IN ('impressions', 'clicks', 'visits', 'conversions')",
        )
        .fetch_one(&self.database.admin)
        .await?;
        ensure!(
            counted == i64::from(self.observations),
            "{counted} of {} observations were counted",
            self.observations
        );
        Ok(())
    }
}
