//! One NDJSON request of very many lines: how fast it goes, and what it adds to the server's memory.
//!
//! The server is a process of its own, which has taken a short request of the same kind before, so that what any first
//! request makes is there. What the long one adds is the most that was resident at any moment of it, as Linux counts
//! it, less what was resident before. The others: the same observations in JSON batches of 500 on one connection; and
//! the memory that the request may add. Lines and batches are made while they are sent.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use domain::observation::ObservationsRecorded;
use http::StatusCode;

use crate::connection::Connection;
use crate::load::Load;
use crate::memory::Memory;
use crate::report::{Better, Contest, Report};
use crate::server::{Database, Server};
use crate::service::Service;
use crate::wire::{self, StreamEnd};
use crate::workspace::{SOURCE, Workspace};

const CAMPAIGNS: u32 = 100;
/// Observations of a batch, and lines that are made at once.
const AT_ONCE: u32 = 500;
/// What a request may add to the server's memory.
const ALLOWED_MIB: f64 = 64.0;
/// So many observations tell how fast batches are.
const MANY: u32 = 200_000;
/// Lines of the request that comes before.
const SHORT: u32 = 20_000;

const LINES: Contest =
    Contest { scenario: "ndjson", other_name: "JSON batches of 500", unit: "lines/s", better: Better::More };
const MEMORY: Contest = Contest { other_name: "allowed", unit: "MiB", better: Better::Less, ..LINES };

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct NdjsonArgs {
    /// How many lines the request has.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    lines: u32,
}

pub(crate) async fn run(server: &Server, options: &NdjsonArgs, rounds: u32, report: &mut Report) -> Result<()> {
    let database = server.database("ndjson").await?;
    let mut bench = Bench::open(&database).await?;
    let (mut ours, mut other, mut added) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (rate, memory) = bench.one_request(options.lines).await?;
        ours.push(rate);
        added.push(memory);
        other.push(bench.many_requests(options.lines.min(MANY)).await?);
    }
    bench.check().await?;
    let figure = format!("{} lines in one request", options.lines);
    report.add(LINES, &figure, &ours, &other)?;
    report.add(MEMORY, &format!("memory added by {figure}"), &added, &[ALLOWED_MIB])
}

struct Bench<'a> {
    database: &'a Database,
    workspace: Workspace,
    load: Load,
    next: u32,
}

impl<'a> Bench<'a> {
    async fn open(database: &'a Database) -> Result<Self> {
        let service = Service::start(database, "command").await?;
        let workspace = Workspace::open(database, "ndjson").await?;
        let subjects = workspace.populate(&service, CAMPAIGNS).await?;
        service.stop().await?;
        let load = Load::live(subjects.source, "EUR".parse()?, subjects.campaigns);
        Ok(Self { database, workspace, load, next: 0 })
    }

    /// Lines per second of one long request, and how many MiB it added.
    async fn one_request(&mut self, lines: u32) -> Result<(f64, f64)> {
        let service = Service::start(self.database, "command").await?;
        let mut connection = Connection::open(service.command, &self.workspace.key).await?;
        self.send_lines(&mut connection, SHORT).await?;
        self.database.settle().await?;
        let process = service.process()?;
        Memory::forget_peak(process)?;
        let before = Memory::of(process)?;
        let began = Instant::now();
        self.send_lines(&mut connection, lines).await?;
        let took = began.elapsed();
        let after = Memory::of(process)?;
        drop(connection);
        service.stop().await?;
        Ok((f64::from(lines) / took.as_secs_f64(), after.peak - before.now))
    }

    async fn send_lines(&mut self, connection: &mut Connection, lines: u32) -> Result<()> {
        let path = format!("/v1/observations?source={SOURCE}");
        let parts = self.parts(lines, wire::lines);
        let answer = connection.post_parts(&path, "application/x-ndjson", parts).await?.expect(StatusCode::OK)?;
        let said = std::str::from_utf8(&answer.body)?;
        let last = said.lines().last().context("an empty answer")?;
        let StreamEnd { done, accepted } = serde_json::from_str(last)?;
        ensure!(done && accepted == lines as usize, "{lines} lines were sent, but the answer ends with {last}");
        Ok(())
    }

    /// Observations per second of batch after batch on one connection.
    async fn many_requests(&mut self, observations: u32) -> Result<f64> {
        let service = Service::start(self.database, "command").await?;
        let mut connection = Connection::open(service.command, &self.workspace.key).await?;
        self.send_batches(&mut connection, SHORT).await?;
        self.database.settle().await?;
        let began = Instant::now();
        self.send_batches(&mut connection, observations).await?;
        let took = began.elapsed();
        drop(connection);
        service.stop().await?;
        Ok(f64::from(observations) / took.as_secs_f64())
    }

    async fn send_batches(&mut self, connection: &mut Connection, observations: u32) -> Result<()> {
        for body in self.parts(observations, wire::batch) {
            connection.post("/v1/observations", body, &[]).await?.expect(StatusCode::OK)?;
        }
        Ok(())
    }

    /// The next observations, a part at a time.
    fn parts(&mut self, observations: u32, encode: fn(&ObservationsRecorded) -> Bytes) -> Parts {
        let first = self.next;
        self.next += observations;
        Parts { load: self.load.clone(), encode, next: first, end: self.next }
    }

    /// Everything that was sent is in the log, once.
    async fn check(&self) -> Result<()> {
        let stored: i64 = sqlx::query_scalar(
            "SELECT sum(json_array_length(payload -> 'observations'))::bigint FROM log.events
             WHERE event_type = 'ObservationsRecorded'",
        )
        .fetch_one(&self.database.admin)
        .await?;
        ensure!(stored == i64::from(self.next), "{} observations were sent, but {stored} stored", self.next);
        Ok(())
    }
}

/// Bodies, or parts of one, that are made when they are needed.
struct Parts {
    load: Load,
    encode: fn(&ObservationsRecorded) -> Bytes,
    next: u32,
    end: u32,
}

impl Iterator for Parts {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let numbers = self.next..self.end.min(self.next + AT_ONCE);
        self.next = numbers.end;
        (!numbers.is_empty()).then(|| (self.encode)(&self.load.batch(numbers)))
    }
}
