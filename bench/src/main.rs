//! Measures Highwater beside what one would pick instead: both in one run, on one private PostgreSQL, so that the ratio
//! means something on any machine. Each figure is a line of JSON as soon as it is known; a table of all ends the run.

mod commands; // one-event commands, beside postgres-es
mod replay; // rebuilding the read tables, beside SQL's own GROUP BY
mod report; // figures, lines and the table
mod server; // the private PostgreSQL and its databases

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};

use report::Report;
use server::Server;

/// Measures Highwater beside its peers.
#[derive(Debug, Parser)]
struct Options {
    /// What to measure.
    #[arg(value_enum, default_value = "all")]
    scenario: Scenario,
    /// How often each side is measured; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each round of commands lasts, in seconds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How many callers send commands at once.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 512])]
    callers: Vec<usize>,
    /// How many observations are replayed.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    observations: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    /// Every scenario, one after the other.
    All,
    /// One-event commands on new streams, beside postgres-es.
    Commands,
    /// Rebuilding the read tables, beside SQL's GROUP BY.
    Replay,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    ensure!(options.callers.iter().all(|&callers| callers > 0), "there is no load without a caller");
    let server = Server::start().await?;
    let measured = tokio::select! {
        measured = measure(&server, &options) => measured,
        // PostgreSQL is no member of this process group: it must be stopped, not left behind.
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot wait for Ctrl-C"),
    };
    server.stop().await?;
    measured
}

async fn measure(server: &Server, options: &Options) -> Result<()> {
    let wanted = |scenario| options.scenario == Scenario::All || options.scenario == scenario;
    let mut report = Report::default();
    if wanted(Scenario::Commands) {
        commands::run(server, options, &mut report).await.context("commands")?;
    }
    if wanted(Scenario::Replay) {
        replay::run(server, options, &mut report).await.context("replay")?;
    }
    report.print_table();
    Ok(())
}
