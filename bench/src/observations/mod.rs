//! Observations in batches that touch a hundred campaigns: until they are durable, and until the read tables have them
//! too.
//!
//! Ours in process: ids digested, batches encoded and appended with the claims that the route asserts, the projector
//! running. Ours over HTTP: the route itself, in a server of its own, with ids. The other: COPY of one row per
//! observation into a table with the log's columns and keys, on one connection. The rows are encoded before the clock
//! starts, so that the database alone is measured.

pub(crate) mod copy; // one row per observation
mod over_http; // the command API

use std::time::Instant;

use anyhow::{Result, ensure};
use platform::database::{DatabaseRole, connect};
use sqlx::PgPool;

use self::copy::Copied;
use self::over_http::Requests;
use crate::feed::{Batches, Feed, Shape};
use crate::projector::{Projector, wait_until_applied};
use crate::recorder::Ids;
use crate::report::{Better, Contest, Report};
use crate::server::{Database, Server};
use crate::service::Service;
use crate::workspace::Workspace;

const RATE: Contest =
    Contest { scenario: "observations", other_name: "COPY", unit: "observations/s", better: Better::More };

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ObservationsArgs {
    #[command(flatten)]
    shape: Shape,
    /// Over how many workspaces they are spread, one measurement for each number.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4])]
    workspaces: Vec<usize>,
    /// How many rows one COPY brings, and commits.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    copy_rows: u32,
}

/// Observations per second.
#[derive(Debug, Default)]
struct Rates {
    durable: Vec<f64>,
    projected: Vec<f64>,
}

pub(crate) async fn run(server: &Server, options: &ObservationsArgs, rounds: u32, report: &mut Report) -> Result<()> {
    for &workspaces in &options.workspaces {
        let database = server.database(&format!("observations_{workspaces}")).await?;
        let mut bench = Bench::open(&database, options, workspaces).await?;
        let (mut with_ids, mut without_ids) = (Rates::default(), Rates::default());
        let (mut copied, mut over_http) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            bench.in_process(Ids::Kept, &mut with_ids).await?;
            copied.push(bench.copy().await?);
            bench.in_process(Ids::None, &mut without_ids).await?;
            over_http.push(bench.over_http().await?);
        }
        bench.check().await?;

        let spread = if workspaces == 1 { "1 workspace".to_owned() } else { format!("{workspaces} workspaces") };
        for (figure, rates) in [("with ids", &with_ids), ("without ids", &without_ids)] {
            report.add(RATE, &format!("{figure}, durable, {spread}"), &rates.durable, &copied)?;
            report.add(RATE, &format!("{figure}, durable and projected, {spread}"), &rates.projected, &copied)?;
        }
        let in_process = Contest { other_name: "in process", ..RATE };
        let figure = format!("over HTTP, durable and projected, {spread}");
        report.add(in_process, &figure, &over_http, &with_ids.projected)?;
    }
    Ok(())
}

struct Bench<'a> {
    database: &'a Database,
    senders: u16,
    projector: PgPool,
    feed: Feed,
    workspaces: Vec<Workspace>,
    copied: Copied,
    recorded: i64,
    with_ids: i64,
}

impl<'a> Bench<'a> {
    async fn open(database: &'a Database, options: &ObservationsArgs, workspaces: usize) -> Result<Self> {
        let (feed, workspaces) = Feed::open(database, workspaces, &options.shape).await?;
        let projector = connect(&database.config, DatabaseRole::Projector).await?;
        let copied = Copied::new(database, options.copy_rows).await?;
        let senders = options.shape.senders;
        Ok(Self { database, senders, projector, feed, workspaces, copied, recorded: 0, with_ids: 0 })
    }

    /// Twice the same: once with nobody reading, once until the projector has applied it all.
    async fn in_process(&mut self, ids: Ids, rates: &mut Rates) -> Result<()> {
        let batches = self.prepare(ids).await?;
        let sent = f64::from(batches.observations());
        let began = Instant::now();
        self.feed.record(batches, ids).await?;
        rates.durable.push(sent / began.elapsed().as_secs_f64());

        projections::catch_up(&self.projector).await?;
        let batches = self.prepare(ids).await?;
        let projector = Projector::start(&self.projector);
        let began = Instant::now();
        self.feed.record(batches, ids).await?;
        wait_until_applied(&self.database.admin).await?;
        rates.projected.push(sent / began.elapsed().as_secs_f64());
        projector.stop().await
    }

    async fn prepare(&mut self, ids: Ids) -> Result<Batches> {
        let batches = self.feed.batches();
        let sent = i64::from(batches.observations());
        self.recorded += sent;
        self.with_ids += if ids == Ids::Kept { sent } else { 0 };
        self.database.settle().await?;
        Ok(batches)
    }

    async fn copy(&mut self) -> Result<f64> {
        let rows = self.copied.encode(&self.feed.batches())?;
        self.database.settle().await?;
        let began = Instant::now();
        let copied = self.copied.copy(&rows).await?;
        Ok(f64::from(copied) / began.elapsed().as_secs_f64())
    }

    async fn over_http(&mut self) -> Result<f64> {
        let service = Service::start(self.database, "command,projector").await?;
        wait_until_applied(&self.database.admin).await?;
        let batches = self.prepare(Ids::Kept).await?;
        let sent = f64::from(batches.observations());
        let requests = Requests::connect(service.command, &self.workspaces, self.senders, &batches).await?;
        let began = Instant::now();
        requests.send().await?;
        wait_until_applied(&self.database.admin).await?;
        let took = began.elapsed();
        service.stop().await?;
        Ok(sent / took.as_secs_f64())
    }

    /// Everything that was sent is in the log, in the read tables and, if it had one, under its id; each once.
    async fn check(&self) -> Result<()> {
        projections::catch_up(&self.projector).await?;
        let found: (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT sum(json_array_length(payload -> 'observations')) FROM log.events
                     WHERE event_type = 'ObservationsRecorded'),
                    (SELECT count(*) FROM log.item_ids),
                    (SELECT sum(CASE measure WHEN 'conversions' THEN value / 1000000 ELSE value END)::bigint
                     FROM read.rollup_15m JOIN read.live_epochs USING (epoch, workspace)
                     WHERE measure NOT IN ('spend', 'revenue'))",
        )
        .fetch_one(&self.database.admin)
        .await?;
        let sent = (self.recorded, self.with_ids, self.recorded);
        ensure!(found == sent, "sent, with ids, sent: {sent:?}; in the log, ids, in the read tables: {found:?}");
        self.copied.check().await
    }
}
