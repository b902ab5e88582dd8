//! One-event commands on new streams: each caller drafts a campaign, waits until it is durable, and drafts the next.
//!
//! Ours: `domain`'s rules, the group-committing appender, a receipt and the claim that the command API writes; and the
//! same over HTTP, with the command API in front. The stream is new, so nothing is loaded: the append checks that. The
//! other: postgres-es as its documentation says, with the same aggregate, command and metadata; it loads before each
//! command, and has no receipts.

mod other; // postgres-es
pub(crate) mod ours; // in process
mod over_http; // the command API

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use domain::campaign::{Budget, CampaignCommand, InitialState};
use domain::ids::CampaignId;
use domain::money::{Currency, Money};

use self::other::PostgresEsStore;
use self::ours::HighwaterStore;
use self::over_http::OverHttp;
use crate::callers::{Caller, Pace, pace};
use crate::report::{Better, Contest, Report};
use crate::server::{Database, Server};

const RATE: Contest =
    Contest { scenario: "commands", other_name: "postgres-es 0.5", unit: "commands/s", better: Better::More };
const LATENCY: Contest = Contest { unit: "ms", better: Better::Less, ..RATE };

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CommandsArgs {
    /// How many callers send commands at once.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 512])]
    callers: Vec<usize>,
    /// How many connections send commands over HTTP; 0: none do.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Over how many workspaces the commands are spread; they are measured on one workspace too.
    #[arg(long, default_value_t = 4)]
    workspaces: usize,
    /// How long each side is measured in a round, in seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

pub(crate) async fn run(server: &Server, options: &CommandsArgs, rounds: u32, report: &mut Report) -> Result<()> {
    ensure!(options.callers.iter().all(|&callers| callers > 0), "there is no load without a caller");
    ensure!(options.workspaces > 0, "a command is sent to a workspace");
    let database = server.database("commands").await?;
    let ours = Arc::new(HighwaterStore::start(&database, options.workspaces).await?);
    let other = Arc::new(PostgresEsStore::start(&database).await?);
    let length = Duration::from_secs(options.seconds);
    for &callers in &options.callers {
        let mut spreads = vec![options.workspaces.min(callers), 1];
        spreads.dedup();
        let (mut spread_out, mut peer) = (vec![Vec::new(); spreads.len()], Vec::new());
        for _ in 0..rounds {
            for (paces, &workspaces) in spread_out.iter_mut().zip(&spreads) {
                paces.push(measure(&database, ours.callers(callers, workspaces), length).await?);
            }
            peer.push(measure(&database, other.callers(callers), length).await?);
        }
        let plural = if callers == 1 { "caller" } else { "callers" };
        for (paces, workspaces) in spread_out.iter().zip(&spreads) {
            let plural_of = if *workspaces == 1 { "workspace" } else { "workspaces" };
            add(report, &format!("{callers} {plural}, {workspaces} {plural_of}"), paces, &peer)?;
        }
    }
    ours.check().await?;
    if options.connections > 0 {
        let http = OverHttp::open(&database, options.workspaces).await?;
        let (mut paces, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let served = http.serve(&database, options.connections).await?;
            paces.push(measure(&database, served.callers, length).await?);
            served.service.stop().await?;
            peer.push(measure(&database, other.callers(options.connections), length).await?);
        }
        http.check(&database).await?;
        add(report, &format!("over HTTP, {} connections", options.connections), &paces, &peer)?;
    }
    other.check(&database).await
}

async fn measure<C: Caller>(database: &Database, callers: Vec<C>, length: Duration) -> Result<Pace> {
    database.settle().await?;
    pace(callers, length).await
}

fn add(report: &mut Report, figure: &str, ours: &[Pace], other: &[Pace]) -> Result<()> {
    let of = |paces: &[Pace], part: fn(&Pace) -> f64| paces.iter().map(part).collect::<Vec<_>>();
    report.add(RATE, figure, &of(ours, |pace| pace.per_second), &of(other, |pace| pace.per_second))?;
    report.add(LATENCY, &format!("{figure}, p50"), &of(ours, |pace| pace.p50), &of(other, |pace| pace.p50))?;
    report.add(LATENCY, &format!("{figure}, p99"), &of(ours, |pace| pace.p99), &of(other, |pace| pace.p99))
}

/// The command that every side carries out.
fn create(campaign: CampaignId, at: DateTime<Utc>) -> Result<CampaignCommand> {
    let currency: Currency = "EUR".parse()?;
    Ok(CampaignCommand::Create {
        campaign,
        name: "Autumn sale, second wave".to_owned(),
        channels: vec!["paid_search".parse()?, "email".parse()?],
        currency,
        time_zone: "Europe/Berlin".parse()?,
        starts_on: at.date_naive(),
        ends_on: None,
        budget: Some(Budget::total(Money { micros: 5_000_000_000, currency })),
        external_ids: Vec::new(),
        attributes: BTreeMap::from([("region".to_owned(), "DACH".to_owned())]),
        created_by_source: None,
        state: InitialState::Draft,
        at,
    })
}
