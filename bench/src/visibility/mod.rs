//! How long after its acknowledgement an observation is in what a dashboard is answered.
//!
//! Everything goes over HTTP, to one server with all roles. A probe is one observation, sent at its time on a fixed
//! schedule whatever became of those before it. When it is acknowledged, the campaign's numbers are asked for with the
//! `Consistency-Token` of the acknowledgement and `Prefer: wait`: the moment at which that answer is there is the
//! moment at which the observation is visible. The other: a page that asks for the same numbers every 100 ms, and sees
//! the probe in the first answer that goes up to it. Both watch the same probes at the same time.

mod background; // other observations meanwhile
mod poll; // the page that asks again and again
mod schedule; // sends at fixed times

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use http::StatusCode;

use self::background::Background;
use self::poll::{PolledPositions, Poller};
use self::schedule::on_schedule;
use crate::callers::{latencies, milliseconds, record};
use crate::connection::{Answer, Pool};
use crate::load::Load;
use crate::report::{Better, Contest, Report};
use crate::server::{Database, Server};
use crate::service::Service;
use crate::wire::{self, BatchAnswer};
use crate::workspace::Workspace;

const LATENCY: Contest =
    Contest { scenario: "visibility", other_name: "polling every 100 ms", unit: "ms", better: Better::Less };

const CAMPAIGNS: u32 = 100;
/// So many probes or batches may be under way at a time; beyond it they wait, and their waiting counts.
const CONNECTIONS: usize = 32;
/// Not counted, at the start of each round.
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct VisibilityArgs {
    /// How many probes are sent in a second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    probes: u32,
    /// How long each round lasts, in seconds.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// How many other observations are sent in a second, in the rounds that have any.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    background: u32,
    /// How many of them are sent at once.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    batch: u32,
}

/// When a probe was meant to be sent, was acknowledged, and was seen.
#[derive(Debug, Clone, Copy)]
struct Probe {
    scheduled: Instant,
    acknowledged: Instant,
    visible: Instant,
    position: i64,
}

/// Latencies of a round, in milliseconds: p50 and p99 from the acknowledgement, then from the scheduled time.
type Figures = [f64; 4];
const FIGURES: [&str; 4] =
    ["acknowledged to visible, p50", "acknowledged to visible, p99", "sent to visible, p50", "sent to visible, p99"];

pub(crate) async fn run(server: &Server, options: &VisibilityArgs, rounds: u32, report: &mut Report) -> Result<()> {
    let database = server.database("visibility").await?;
    let service = Service::start(&database, "command,projector,read").await?;
    let mut bench = Bench::open(&database, &service, options.clone()).await?;
    let loaded = format!("with {} observations/s", options.background);
    let conditions = [(0, "idle"), (options.background, loaded.as_str())];
    let mut measured = conditions.map(|_| (Vec::new(), Vec::new()));
    for _ in 0..rounds {
        for ((background, _), (ours, polled)) in conditions.iter().zip(&mut measured) {
            let (one, other) = bench.round(*background).await?;
            ours.push(one);
            polled.push(other);
        }
    }
    bench.check().await?;
    service.stop().await?;
    for ((_, condition), (ours, polled)) in conditions.iter().zip(&measured) {
        for (number, figure) in FIGURES.iter().enumerate() {
            let of = |rounds: &[Figures]| rounds.iter().map(|figures| figures[number]).collect::<Vec<_>>();
            report.add(LATENCY, &format!("{figure}, {condition}"), &of(ours), &of(polled))?;
        }
    }
    Ok(())
}

struct Bench<'a> {
    database: &'a Database,
    options: VisibilityArgs,
    load: Load,
    writing: Arc<Pool>,
    reading: Arc<Pool>,
    /// Of the campaign that the probes are about.
    numbers: String,
    next: u32,
    sent: i64,
}

impl<'a> Bench<'a> {
    async fn open(database: &'a Database, service: &Service, options: VisibilityArgs) -> Result<Self> {
        let workspace = Workspace::open(database, "visibility").await?;
        let subjects = workspace.populate(service, CAMPAIGNS).await?;
        let numbers = format!("/v1/campaigns/{}/metrics?granularity=day", subjects.campaigns[0]);
        let load = Load::live(subjects.source, "EUR".parse()?, subjects.campaigns);
        let writing = Arc::new(Pool::open(service.command, &workspace.key, CONNECTIONS).await?);
        let reading = Arc::new(Pool::open(service.read, &workspace.key, CONNECTIONS).await?);
        Ok(Self { database, options, load, writing, reading, numbers, next: 0, sent: 0 })
    }

    /// Probes for a while, with so many other observations a second.
    async fn round(&mut self, background: u32) -> Result<(Figures, Figures)> {
        self.database.settle().await?;
        let length = WARM_UP + Duration::from_secs(self.options.seconds.into());
        let count = self.options.probes * u32::try_from(length.as_secs())?;
        let probes = self.probes(count);
        let background = Background::of(&self.load, &mut self.next, background, self.options.batch, length);
        self.sent += i64::from(count) + background.observations();

        let start = Instant::now() + Duration::from_millis(100);
        let poller = Poller::start(Arc::clone(&self.reading), self.numbers.clone(), start);
        let others = tokio::spawn(background.send(Arc::clone(&self.writing), start));
        let (writing, reading, numbers) =
            (Arc::clone(&self.writing), Arc::clone(&self.reading), Arc::<str>::from(self.numbers.as_str()));
        let every = Duration::from_secs(1) / self.options.probes;
        let probed = on_schedule(probes, start, every, move |body, scheduled| {
            probe(body, scheduled, Arc::clone(&writing), Arc::clone(&reading), Arc::clone(&numbers))
        })
        .await?;
        others.await??;
        let last = probed.iter().map(|probe| probe.position).max().context("no probe")?;
        let seen = poller.stop_after(last).await?;
        figures(&probed, &seen, start + WARM_UP)
    }

    /// Single observations of one campaign.
    fn probes(&mut self, count: u32) -> Vec<bytes::Bytes> {
        let one = Load { campaigns: self.load.campaigns[..1].to_vec(), ..self.load.clone() };
        let first = self.next;
        self.next += count;
        (first..first + count).map(|number| wire::batch(&one.batch([number].into_iter()))).collect()
    }

    /// What was sent is in the read tables, each once.
    async fn check(&self) -> Result<()> {
        let counted: i64 = sqlx::query_scalar(
            "SELECT sum(CASE measure WHEN 'conversions' THEN value / 1000000 ELSE value END)::bigint
             FROM read.rollup_15m JOIN read.live_epochs USING (epoch, workspace)
             WHERE measure NOT IN ('spend', 'revenue')",
        )
        .fetch_one(&self.database.admin)
        .await?;
        ensure!(counted == self.sent, "{} observations were sent, but {counted} counted", self.sent);
        Ok(())
    }
}

async fn probe(
    body: bytes::Bytes,
    scheduled: Instant,
    writing: Arc<Pool>,
    reading: Arc<Pool>,
    numbers: Arc<str>,
) -> Result<Probe> {
    let answer = writing.take().await?.post("/v1/observations", body, &[]).await?.expect(StatusCode::OK)?;
    let acknowledged = Instant::now();
    let BatchAnswer { accepted, position } = answer.json()?;
    ensure!(accepted == 1, "a probe was not accepted");
    let token = answer.header("consistency-token")?;
    let headers = [("consistency-token", token), ("prefer", "wait=30")];
    let answer = reading.take().await?.get(&numbers, &headers).await?.expect(StatusCode::OK)?;
    let visible = Instant::now();
    ensure!(applied(&answer)? >= position, "an answer that waited does not go up to {position}");
    Ok(Probe { scheduled, acknowledged, visible, position })
}

/// `applied` of `Data-Position`.
fn applied(answer: &Answer) -> Result<i64> {
    let header = answer.header("data-position")?;
    let part = header.split(", ").find_map(|part| part.strip_prefix("applied="));
    Ok(part.with_context(|| format!("no position in {header}"))?.parse()?)
}

/// Ours and polling's, of the probes from `counted_from` on.
fn figures(probes: &[Probe], seen: &PolledPositions, counted_from: Instant) -> Result<(Figures, Figures)> {
    let mut ours = [latencies(), latencies()];
    let mut other = ours.clone();
    for probe in probes.iter().filter(|probe| probe.scheduled >= counted_from) {
        let Some(polled) = seen.first_after(probe.acknowledged, probe.position) else {
            bail!("a probe was never seen")
        };
        for (number, since) in [probe.acknowledged, probe.scheduled].into_iter().enumerate() {
            record(&mut ours[number], probe.visible - since);
            record(&mut other[number], polled - since);
        }
    }
    let of = |[acknowledged, sent]: &[_; 2]| {
        [
            milliseconds(acknowledged, 0.5),
            milliseconds(acknowledged, 0.99),
            milliseconds(sent, 0.5),
            milliseconds(sent, 0.99),
        ]
    };
    Ok((of(&ours), of(&other)))
}
