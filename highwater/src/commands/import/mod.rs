//! `highwater import`: sends files to the command API.

mod arguments;
mod observations;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::NaiveDate;
use domain::source::Horizon;
use platform::clock::{Clock as _, SystemClock};

use self::arguments::{FileArguments, ReadingArguments, SourceChannel};
use self::observations::Observations;
use super::sending::SendingArguments;
use crate::import::completeness::CompleteThrough;
use crate::import::inspect;
use crate::import::mapping::Mapping;
use crate::import::numbers::DecimalMark;
use crate::import::plan::NewStatus;
use crate::import::replacing::ReplacedDays;
use crate::import::run::{self, Options};

/// The kinds of imports.
#[derive(Debug, clap::Subcommand)]
pub enum ImportCommand {
    /// Totals by day or hour, as platforms export them: CSV or a spreadsheet, with a header and a row for each campaign
    /// and day.
    ///
    /// The whole file is judged before anything is sent. Lines that cannot be sent are reported with their numbers, and
    /// the exit status is then 1. The others are sent, unless so many are refused that they would be taken for all.
    /// Creates the sources and campaigns that the file names. A cell without a number states nothing. A second run of
    /// the same file appends nothing, so an import that was interrupted is run again; importing A, then B, then A ends
    /// at A. With --replace this holds for lines that are gone, too.
    Statements(Box<Statements>),
    /// Single observations of a push source: a JSON object on each line, or CSV with a header.
    ///
    /// With --backfill, the file is history of any age, which lies before the edge of the backfill. A second run sends
    /// the same chunks, and none counts twice: an import that was interrupted, or killed, is run again. Without it, the
    /// file is sent as it would be sent live, and ids make it count once. The exit status is 1 if a line was not taken.
    Observations(Box<Observations>),
    /// Says what a file holds: how it is written, what its columns are, and its totals; and prints the command that
    /// imports it. Sends nothing.
    Inspect(Inspect),
}

/// `highwater import inspect`.
#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// The file: CSV, or a spreadsheet (XLSX, XLS, ODS).
    file: PathBuf,
    /// How the day is written, where the lines leave it open.
    #[arg(long, value_name = "FORMAT")]
    date_format: Option<String>,
    /// The mark before decimals, where the lines leave it open: `point` or `comma`.
    #[arg(long, value_name = "MARK")]
    decimal_mark: Option<DecimalMark>,
    #[command(flatten)]
    reading: ReadingArguments,
}

/// `highwater import statements`.
#[derive(Debug, clap::Args)]
pub struct Statements {
    #[command(flatten)]
    file: FileArguments,
    /// The channel that a source reports on, or that all sources without one of their own do.
    #[arg(long = "channel", value_name = "[SOURCE=]CHANNEL")]
    channels: Vec<SourceChannel>,
    /// A source whose numbers are shown beside the others and never added; once for each.
    #[arg(long = "reference-source", value_name = "NAME")]
    reference_sources: Vec<String>,
    /// How long after a day its numbers usually arrive, such as 6h: of sources that are created.
    #[arg(long, value_name = "LENGTH", value_parser = seconds)]
    expected_delay: Option<i64>,
    /// For how long after a day its numbers may change, such as 28d: of sources that are created.
    #[arg(long, value_name = "LENGTH")]
    horizon: Option<Horizon>,
    /// The status of campaigns that are created. If left out: active where they have days of the last two weeks, else
    /// completed.
    #[arg(long, value_name = "STATUS")]
    campaign_status: Option<NewStatus>,
    /// Campaigns of one name are others in each source. Campaigns with ids always are.
    #[arg(long)]
    campaigns_per_source: bool,
    /// Says that each source of the file is complete to the end of this day (YYYY-MM-DD).
    #[arg(long, value_name = "DATE")]
    complete_through: Option<NaiveDate>,
    /// Says that the file is all that its sources state of these days (YYYY-MM-DD..YYYY-MM-DD). What they stated
    /// before, in the named columns, and the file does not have, is taken back. Nothing is sent if a line is bad.
    #[arg(long, value_name = "FROM..TO")]
    replace: Option<ReplacedDays>,
    #[command(flatten)]
    sending: SendingArguments,
}

fn seconds(text: &str) -> Result<i64, String> {
    match text.parse::<Horizon>() {
        Ok(Horizon::Seconds(seconds)) => Ok(seconds),
        Ok(Horizon::MonthEnd { .. }) | Err(_) => Err("must be a length such as 6h or 1d".to_owned()),
    }
}

/// Runs the command.
pub async fn run(command: ImportCommand) -> anyhow::Result<ExitCode> {
    match command {
        ImportCommand::Statements(statements) => import(*statements).await,
        ImportCommand::Observations(arguments) => observations::run(*arguments).await,
        ImportCommand::Inspect(arguments) => inspect_file(arguments),
    }
}

fn inspect_file(arguments: Inspect) -> anyhow::Result<ExitCode> {
    let Inspect { date_format, decimal_mark, .. } = arguments;
    let mapping = Mapping { date_format, decimal_mark, ..Mapping::default() };
    let options = Options { file: arguments.file, reading: arguments.reading.reading(), mapping, ..Options::default() };
    let name = options.file.display();
    let bytes = std::fs::read(&options.file).with_context(|| format!("cannot open {name}"))?;
    let told = inspect::inspect(bytes, &options, SystemClock.now()).with_context(|| name.to_string())?;
    run::write(&told)?;
    Ok(ExitCode::SUCCESS)
}

async fn import(arguments: Statements) -> anyhow::Result<ExitCode> {
    let client = arguments.sending.client()?;
    let mut options = arguments.file.options()?;
    let mut channels = BTreeMap::new();
    for SourceChannel { source, channel } in arguments.channels {
        match source {
            Some(source) => {
                channels.insert(source, channel);
            }
            None => options.mapping.channel = Some(channel),
        }
    }
    let options = Options {
        channels,
        reference: arguments.reference_sources.into_iter().collect::<BTreeSet<_>>(),
        expected_delay_s: arguments.expected_delay,
        horizon: arguments.horizon,
        campaign_status: arguments.campaign_status,
        campaigns_per_source: arguments.campaigns_per_source,
        complete_through: arguments.complete_through.map(CompleteThrough::Day),
        replace: arguments.replace,
        allow_partial: arguments.sending.allow_partial,
        dry_run: arguments.sending.dry_run,
        ..options
    };
    run::import(&options, client.as_ref(), SystemClock.now()).await
}
