//! Rebuilding: every observation in the log, read again and summed by quarter hour.
//!
//! Ours: `projections::replay` into a new epoch, with all read tables of the model, until readers see it. The others:
//! one `INSERT … SELECT … GROUP BY` over the same rows into one table like `read.rollup_15m`, which must give the same
//! rows; the replay of cqrs-es; and an upsert for each event. The last two are so slow that they do the first events
//! only, which their figures say.

mod length; // what the length of the log costs
mod seed; // fills the log
mod stock; // the replay of cqrs-es
mod upserts; // one for each event

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use platform::clock::SystemClock;
use platform::database::{DatabaseRole, connect};
use projections::{ReplayOptions, ReplayOutcome};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::processor::Processor;
use crate::report::{Better, Contest, Report};
use crate::server::{Database, Server};

const GROUP_BY: Contest = contest("SQL GROUP BY");
const STOCK: Contest = contest("cqrs-es QueryReplay");
const UPSERTS: Contest = contest("an upsert per event");

const PROCESSOR: Contest = Contest { scenario: "replay", other_name: "SQL GROUP BY", unit: "us", better: Better::Less };

const fn contest(other_name: &'static str) -> Contest {
    Contest { scenario: "replay", other_name, unit: "observations/s", better: Better::More }
}

/// How many observations an event holds: as many as a busy connector sends at once, and the least.
const BATCHES: [u32; 2] = [500, 1];

const OTHER: &str = include_str!("group_by.sql");

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReplayArgs {
    /// How many observations are replayed.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    observations: u32,
    /// How many events cqrs-es replays at most.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(i64).range(1..))]
    stock_events: i64,
    /// How many events are upserted one by one at most.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(i64).range(1..))]
    upserted_events: i64,
    /// How many observations the log has that is replayed beside one of a tenth of its length.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(5_000..))]
    long: u32,
    /// How many observations an event of these two logs holds.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=500))]
    long_batch: u32,
    /// Replay these two logs and nothing else.
    #[arg(long)]
    length_only: bool,
}

impl ReplayArgs {
    /// How many observations the first events hold.
    #[expect(clippy::cast_precision_loss, reason = "a count of observations, for a rate")]
    fn first(&self, events: i64, batch: u32) -> f64 {
        (events * i64::from(batch)).min(self.observations.into()) as f64
    }
}

pub(crate) async fn run(server: &Server, options: &ReplayArgs, rounds: u32, report: &mut Report) -> Result<()> {
    if !options.length_only {
        beside_others(server, options, rounds, report).await?;
    }
    length::run(server, options, rounds, report).await
}

async fn beside_others(server: &Server, options: &ReplayArgs, rounds: u32, report: &mut Report) -> Result<()> {
    for batch in BATCHES {
        let database = server.database(&format!("replay_{batch}")).await?;
        let workspace = seed::fill(&database, options.observations, batch).await.context("cannot fill the log")?;
        let projector = connect(&database.config, DatabaseRole::Projector).await?;
        projections::catch_up(&projector).await?;
        sqlx::query("VACUUM (ANALYZE) log.events").execute(&database.admin).await?;
        let stock = stock::Stock::fill(&database, workspace, options.stock_events).await?;
        let (mut ours, mut grouped, mut stocks, mut upserted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut epoch, mut upserts) = (0, 0);
        let (mut processor, mut grouped_processor) = (Vec::new(), Vec::new());
        let rate = |seconds: f64| f64::from(options.observations) / seconds;
        let micros = |seconds: f64| 1e6 * seconds / f64::from(options.observations);
        for _ in 0..rounds {
            let began = prepare(&database).await?;
            let used = Processor::watch(&database).await?;
            epoch = replay(&projector, &of_all()).await?;
            ours.push(rate(began.elapsed().as_secs_f64()));
            processor.push(micros(used.seconds()?));

            let began = prepare(&database).await?;
            let used = Processor::watch(&database).await?;
            group_by(&database, workspace).await?;
            grouped.push(rate(began.elapsed().as_secs_f64()));
            grouped_processor.push(micros(used.seconds()?));

            stocks.push(options.first(stock.events(), batch) / stock.replay(&database).await?);

            let (events, seconds) = upserts::replay(&database, workspace, options.upserted_events).await?;
            upserted.push(options.first(events, batch) / seconds);
            upserts = events;
        }
        check_same(&database, epoch, workspace, "grouped").await?;
        if upserts * i64::from(batch) >= options.observations.into() {
            check_same(&database, epoch, workspace, "upserted").await?;
        }
        projector.close().await;
        let figure = format!("{} in batches of {batch}", options.observations);
        report.add(GROUP_BY, &figure, &ours, &grouped)?;
        let spent = format!("{figure}, processor time of each");
        report.add(PROCESSOR, &spent, &processor, &grouped_processor)?;
        report.add(STOCK, &format!("{figure}, the other its first {} events", stock.events()), &ours, &stocks)?;
        report.add(UPSERTS, &format!("{figure}, the other its first {upserts} events"), &ours, &upserted)?;
    }
    Ok(())
}

/// An empty table for the other side, and nothing left to write of the round before.
async fn prepare(database: &Database) -> Result<Instant> {
    sqlx::query("DROP TABLE IF EXISTS grouped").execute(&database.admin).await?;
    sqlx::query("CREATE TABLE grouped (LIKE read.rollup_15m INCLUDING ALL) WITH (fillfactor = 80)")
        .execute(&database.admin)
        .await?;
    database.settle().await?;
    Ok(Instant::now())
}

fn of_all() -> ReplayOptions {
    ReplayOptions::new(SystemClock::shared())
}

async fn replay(projector: &PgPool, options: &ReplayOptions) -> Result<i32> {
    match projections::replay(projector, projections::CAMPAIGN_MODEL.name, options, &|_| {}, CancellationToken::new())
        .await?
    {
        ReplayOutcome::Completed { epoch, .. } => Ok(epoch),
        ReplayOutcome::Interrupted { .. } => bail!("a replay that nobody interrupts was interrupted"),
    }
}

async fn group_by(database: &Database, workspace: i32) -> Result<()> {
    let mut transaction = database.admin.begin().await?;
    // Its sums fit into memory, as ours do.
    sqlx::query("SET LOCAL work_mem = '512MB'").execute(&mut *transaction).await?;
    sqlx::query(OTHER).bind(workspace).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// A faster way to another result would be no figure.
async fn check_same(database: &Database, epoch: i32, workspace: i32, other: &str) -> Result<()> {
    let (rows, different): (i64, i64) = sqlx::query_as(&format!(
        "WITH ours AS (
             SELECT workspace, campaign_id, source_id, bucket, measure, value, changed_at
             FROM read.rollup_15m WHERE epoch = $1 AND workspace = $2
         ), other AS (
             SELECT workspace, campaign_id, source_id, bucket, measure, value, changed_at FROM {other}
         )
         SELECT (SELECT count(*) FROM ours),
                (SELECT count(*) FROM (TABLE ours EXCEPT TABLE other) AS missing)
                + (SELECT count(*) FROM (TABLE other EXCEPT TABLE ours) AS more)"
    ))
    .bind(epoch)
    .bind(workspace)
    .fetch_one(&database.admin)
    .await?;
    ensure!(rows > 0 && different == 0, "{different} of {rows} rows differ between the replay and {other}");
    Ok(())
}
