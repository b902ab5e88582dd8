//! Reads over HTTP, beside the same edge that answers a constant, and beside a bare handler that does one SELECT.
//!
//! The constant goes through what every request of ours goes through (limits, key, log line) and is as long as the
//! answer that it stands beside. The bare handler has nothing of that.

pub(crate) mod peer;

use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::json;

use crate::callers::{self, pace};
use crate::connection::Connection;
use crate::feed::{Feed, Shape};
use crate::projector::{Projector, wait_until_applied};
use crate::recorder::Ids;
use crate::report::{Better, Contest, Report};
use crate::server::{Database, Server};
use crate::service::Service;

use peer::Peer;

const BESIDE_CONSTANT: Contest =
    Contest { scenario: "reads", other_name: "constant", unit: "answers/s", better: Better::More };
const BESIDE_BARE: Contest =
    Contest { scenario: "reads", other_name: "bare SELECT", unit: "answers/s", better: Better::More };

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ReadsArgs {
    /// How many connections ask at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// How long each side answers in a round.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How many observations are behind the report.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    observations: u32,
}

/// One kind of read, and what stands beside it.
struct Measured {
    figure: &'static str,
    contest: Contest,
    /// Whether results are kept.
    kept: bool,
    ours: Vec<Ask>,
    other: Vec<Ask>,
    rounds: (Vec<f64>, Vec<f64>),
}

/// A request, and the status of its answer.
#[derive(Debug, Clone)]
struct Ask {
    path: String,
    tag: Option<String>,
}

pub(crate) async fn run(server: &Server, options: &ReadsArgs, rounds: u32, report: &mut Report) -> Result<()> {
    let database = server.database("reads").await?;
    let (key, campaigns) = fill(&database, options).await?;
    let keeping = Service::start(&database, "read").await?;
    let computing = Service::start_with(&database, "read", &[("HIGHWATER_RESULTS__MAX_BYTES", "0")]).await?;
    let peer = Peer::start(&database).await?;

    let mut measured = plan(&keeping, &key, &campaigns).await?;
    for _ in 0..rounds {
        for one in &mut measured {
            let address = if one.kept { keeping.read } else { computing.read };
            one.rounds.0.push(round(address, &key, &one.ours, options).await?);
            one.rounds.1.push(round(peer.address, &key, &one.other, options).await?);
        }
    }
    peer.stop().await?;
    keeping.stop().await?;
    computing.stop().await?;
    for Measured { figure, contest, rounds, .. } in &measured {
        report.add(*contest, &format!("{figure}, {} connections", options.connections), &rounds.0, &rounds.1)?;
    }
    Ok(())
}

/// A workspace with numbers: its key, and its campaigns.
async fn fill(database: &Database, options: &ReadsArgs) -> Result<(String, Vec<String>)> {
    let shape = Shape { observations: options.observations, batch: 500, senders: 8 };
    let (mut feed, workspaces) = Feed::open(database, 1, &shape).await?;
    let batches = feed.batches();
    feed.record(batches, Ids::None).await?;
    let projector = Projector::start(
        &platform::database::connect(&database.config, platform::database::DatabaseRole::Projector).await?,
    );
    wait_until_applied(&database.admin).await?;
    projector.stop().await?;
    sqlx::query("ANALYZE").execute(&database.admin).await?;
    let campaigns =
        sqlx::query_scalar("SELECT campaign_id::text FROM read.campaigns").fetch_all(&database.admin).await?;
    let workspace = workspaces.into_iter().next().context("a workspace")?;
    Ok((workspace.key, campaigns))
}

/// What is asked of both sides. The constants are as long as the answers that they stand beside.
async fn plan(service: &Service, key: &str, campaigns: &[String]) -> Result<Vec<Measured>> {
    let query = json!({
        "measures": ["impressions", "clicks", "conversions", "spend", "revenue", "roas"],
        "group_by": ["channel"],
    });
    let report = format!("/v1/reports?query={}", URL_SAFE_NO_PAD.encode(query.to_string()));
    let details: Vec<_> = campaigns.iter().map(|id| format!("/v1/campaigns/{id}")).collect();
    let mut connection = Connection::open(service.read, key).await?;
    let mut tagged = Vec::new();
    let mut length = 0;
    for path in &details {
        let answer = connection.get(path, &[]).await?.expect(StatusCode::OK)?;
        length = length.max(answer.body.len());
        tagged.push(Ask { path: path.clone(), tag: Some(answer.header("etag")?.to_owned()) });
    }
    let report_length = connection.get(&report, &[]).await?.expect(StatusCode::OK)?.body.len();
    let ask = |path: String| Ask { path, tag: None };
    let details: Vec<_> = details.into_iter().map(ask).collect();
    let constant = |length| vec![ask(format!("/constant/{length}"))];
    let bare = campaigns.iter().map(|id| ask(format!("/bare/{id}"))).collect();
    let one = |figure, contest, kept, ours, other| Measured {
        figure,
        contest,
        kept,
        ours,
        other,
        rounds: (Vec::new(), Vec::new()),
    };
    Ok(vec![
        one("a campaign, kept", BESIDE_CONSTANT, true, details.clone(), constant(length)),
        one("304 of a campaign", BESIDE_CONSTANT, true, tagged, constant(length)),
        one("a report of 30 days by channel, kept", BESIDE_CONSTANT, true, vec![ask(report)], constant(report_length)),
        one("a campaign, not kept", BESIDE_BARE, false, details, bare),
    ])
}

/// Answers a second.
async fn round(address: std::net::SocketAddr, key: &str, asks: &[Ask], options: &ReadsArgs) -> Result<f64> {
    let mut callers = Vec::new();
    for number in 0..usize::from(options.connections) {
        // Each begins elsewhere, so that they do not all ask the same at once.
        let asks = asks.iter().cycle().skip(number % asks.len()).take(asks.len()).cloned().collect();
        callers.push(ReadCaller { connection: Connection::open(address, key).await?, asks, next: 0 });
    }
    Ok(pace(callers, Duration::from_secs(options.seconds)).await?.per_second)
}

struct ReadCaller {
    connection: Connection,
    asks: Vec<Ask>,
    next: usize,
}

impl callers::Caller for ReadCaller {
    async fn call(&mut self) -> Result<()> {
        let Ask { path, tag } = &self.asks[self.next % self.asks.len()];
        self.next += 1;
        let (headers, status) = match tag {
            Some(tag) => (vec![("if-none-match", tag.as_str())], StatusCode::NOT_MODIFIED),
            None => (Vec::new(), StatusCode::OK),
        };
        self.connection.get(path, &headers).await?.expect(status).map(drop)
    }
}
