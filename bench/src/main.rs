//! Measures Highwater beside what one would pick instead: both in one run, on one private PostgreSQL, so that the ratio
//! means something on any machine. Each figure is a line of JSON as soon as it is known; a table of all ends the run.

mod commands; // one-event commands, beside postgres-es
mod ids; // the cost of an id, by the number of ids kept
mod ndjson; // a million lines in one request
mod observations; // batches, beside COPY of one row each
mod reads; // answers of the read API, beside a constant and a bare handler
mod replay; // rebuilding the read tables, beside three others
mod size; // the cost of a large log
mod switch; // what a switch of epochs costs those who write
mod visibility; // from acknowledged to visible, beside polling

mod callers; // closed-loop load and its latencies
mod connection; // HTTP that costs the load little
mod feed; // batches of observations, and senders
mod load; // the observations that scenarios record
mod memory; // what of a process is resident
mod processor; // processor time, of this process and the database
mod projector; // the projector in this process
mod recorder; // records a batch in process
mod report; // figures, lines and the table
mod server; // the private PostgreSQL and its databases
mod service; // ours as a process of its own
mod wire; // observations as they are sent
mod workspace; // a workspace that takes observations

use anyhow::{Context, Result, anyhow};
use clap::{Parser, Subcommand};

use report::Report;
use server::Server;

/// Measures Highwater beside its peers.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Cli {
    /// Every scenario if none is named, each as it is by default.
    #[command(subcommand)]
    scenario: Option<Scenario>,
    /// How often each side is measured; the median counts.
    #[arg(long, global = true, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// One-event commands on new streams, beside postgres-es.
    Commands(commands::CommandsArgs),
    /// Batches of observations, beside COPY of one row each.
    Observations(observations::ObservationsArgs),
    /// Very many lines in one request: speed, and the server's memory.
    Ndjson(ndjson::NdjsonArgs),
    /// From acknowledged to visible in the read API's answers, beside polling.
    Visibility(visibility::VisibilityArgs),
    /// The cost of an observation's id, by the number of ids that are kept.
    Ids(ids::IdsArgs),
    /// The cost of a large log, and what an observation takes of the disk.
    Size(size::SizeArgs),
    /// Rebuilding the read tables, beside SQL's GROUP BY, cqrs-es and an upsert for each event.
    Replay(replay::ReplayArgs),
    /// Commands while workspaces switch epochs, beside the same while none does.
    Switch(switch::SwitchArgs),
    /// Reads, beside a constant and a bare handler.
    Reads(reads::ReadsArgs),
    /// Is what reads are measured beside; ends with its standard input.
    #[command(hide = true)]
    Peer(reads::peer::PeerArgs),
    /// Is the server that other scenarios measure; ends with its standard input.
    #[command(hide = true)]
    Serve(highwater::commands::serve::ServeArgs),
}

/// Every scenario, as it is named on the command line.
const ALL: [&str; 9] = ["commands", "observations", "ndjson", "visibility", "ids", "size", "replay", "switch", "reads"];

#[tokio::main]
async fn main() -> Result<()> {
    let Cli { scenario, rounds } = Cli::parse();
    let mut report = Report::default();
    match scenario {
        Some(Scenario::Serve(options)) => return service::serve(options).await,
        Some(Scenario::Peer(options)) => return reads::peer::answer(options).await,
        Some(scenario) => measure(scenario, rounds, &mut report).await?,
        None => {
            for name in ALL {
                let scenario = Cli::try_parse_from(["bench", name])?.scenario.context("a scenario without a name")?;
                measure(scenario, rounds, &mut report).await.context(name)?;
            }
        }
    }
    report.print_table();
    Ok(())
}

/// Measures one scenario on a PostgreSQL of its own.
async fn measure(scenario: Scenario, rounds: u32, report: &mut Report) -> Result<()> {
    let server = Server::start().await?;
    let measured = tokio::select! {
        measured = run(scenario, &server, rounds, report) => measured,
        // PostgreSQL is no member of this process group: it must be stopped, not left behind.
        interrupted = tokio::signal::ctrl_c() => match interrupted {
            Ok(()) => Err(anyhow!("interrupted")),
            Err(error) => Err(error).context("cannot wait for Ctrl-C"),
        },
    };
    server.stop().await?;
    measured
}

async fn run(scenario: Scenario, server: &Server, rounds: u32, report: &mut Report) -> Result<()> {
    match scenario {
        Scenario::Commands(options) => commands::run(server, &options, rounds, report).await,
        Scenario::Observations(options) => observations::run(server, &options, rounds, report).await,
        Scenario::Ndjson(options) => ndjson::run(server, &options, rounds, report).await,
        Scenario::Visibility(options) => visibility::run(server, &options, rounds, report).await,
        Scenario::Ids(options) => ids::run(server, &options, rounds, report).await,
        Scenario::Size(options) => size::run(server, &options, rounds, report).await,
        Scenario::Replay(options) => replay::run(server, &options, rounds, report).await,
        Scenario::Switch(options) => switch::run(server, &options, rounds, report).await,
        Scenario::Reads(options) => reads::run(server, &options, rounds, report).await,
        Scenario::Serve(options) => service::serve(options).await,
        Scenario::Peer(options) => reads::peer::answer(options).await,
    }
}
