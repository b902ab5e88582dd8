//! `highwater import`: sends files to the command API.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use chrono::NaiveDate;
use clap::builder::NonEmptyStringValueParser;
use domain::channel::Channel;
use domain::measure::Measure;
use domain::money::Currency;
use domain::zone::Zone;
use secrecy::SecretString;

use crate::import::layout::{Columns, DateFormat};
use crate::import::plan::Plan;
use crate::import::replacing::ReplacedDays;
use crate::import::send;

/// The kinds of imports.
#[derive(Debug, clap::Subcommand)]
pub enum ImportCommand {
    /// Totals by day, as platforms state them: a CSV file with a header line and one row per source, campaign and date.
    ///
    /// Creates the sources and campaigns that the file names. An empty measure cell states nothing. A second run of the
    /// same file appends nothing; importing A, then B, then A ends at A. With --replace this holds for lines that are
    /// gone, too. Lines that cannot be sent are reported with their numbers, the others are sent, and the exit status
    /// is then 1.
    Statements(Statements),
}

/// `highwater import statements`.
#[derive(Debug, clap::Args)]
pub struct Statements {
    /// The CSV file.
    file: PathBuf,
    /// The column that names the source.
    #[arg(long, value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    source_from: String,
    /// The column that names the campaign.
    #[arg(long, value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    campaign_from: String,
    /// The column that holds the day.
    #[arg(long, value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    date_from: String,
    /// How the day is written, as strftime spells it.
    #[arg(long, value_name = "FORMAT", default_value = "%Y-%m-%d")]
    date_format: DateFormat,
    /// A measure and the column that holds it; once for each.
    #[arg(long = "measure", value_name = "NAME=COLUMN", required = true, value_parser = measure_column)]
    measures: Vec<(Measure, String)>,
    /// The channel that a source reports on; `unassigned` for sources that are not named.
    #[arg(long = "channel", value_name = "SOURCE=CHANNEL", value_parser = source_channel)]
    channels: Vec<(String, Channel)>,
    /// The zone of the days.
    #[arg(long, value_name = "TZ", default_value = "UTC")]
    time_zone: Zone,
    /// The currency of money, and of the sources and campaigns that are created.
    #[arg(long, value_name = "CUR", default_value = "EUR")]
    currency: Currency,
    /// A source whose numbers are shown beside the others and never added; once for each.
    #[arg(long = "reference-source", value_name = "NAME")]
    reference_sources: Vec<String>,
    /// Says that each source of the file is complete to the end of this day (YYYY-MM-DD).
    #[arg(long, value_name = "DATE")]
    complete_through: Option<NaiveDate>,
    /// Says that the file is all that its sources state of these days (YYYY-MM-DD..YYYY-MM-DD). What they stated
    /// before, in the named columns, and the file does not have, is taken back. Nothing is sent if a line is bad.
    #[arg(long, value_name = "FROM..TO")]
    replace: Option<ReplacedDays>,
    /// The command API.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8081", env = "HIGHWATER_SERVER")]
    server: String,
    /// A key with the scope `command`.
    #[arg(long, value_name = "KEY", env = "HIGHWATER_API_KEY", hide_env_values = true)]
    api_key: SecretString,
}

fn pair<'a>(text: &'a str, shape: &str) -> Result<(&'a str, &'a str), String> {
    match text.split_once('=') {
        Some((left, right)) if !left.trim().is_empty() && !right.trim().is_empty() => Ok((left.trim(), right.trim())),
        _ => Err(format!("must be {shape}")),
    }
}

fn measure_column(text: &str) -> Result<(Measure, String), String> {
    let (name, column) = pair(text, "NAME=COLUMN")?;
    let known = || Measure::ALL.iter().map(|measure| measure.name()).collect::<Vec<_>>().join(", ");
    let measure = name.parse().map_err(|_| format!("`{name}` is no measure; the measures are {}", known()))?;
    Ok((measure, column.to_owned()))
}

/// Parses a source and its channel. A source's name may contain `=`, a channel's cannot, so the last one separates.
fn source_channel(text: &str) -> Result<(String, Channel), String> {
    match text.rsplit_once('=') {
        Some((source, channel)) if !source.trim().is_empty() => {
            let channel = channel.trim().parse().map_err(|error| format!("`{}` {error}", channel.trim()))?;
            Ok((source.trim().to_owned(), channel))
        }
        _ => Err("must be SOURCE=CHANNEL".to_owned()),
    }
}

/// Runs the command.
pub async fn run(command: ImportCommand) -> anyhow::Result<ExitCode> {
    let ImportCommand::Statements(options) = command;
    let mut named = BTreeSet::new();
    for (measure, _) in &options.measures {
        anyhow::ensure!(named.insert(*measure), "--measure {measure} is given twice");
    }
    let columns = Columns {
        source: options.source_from,
        campaign: options.campaign_from,
        date: options.date_from,
        date_format: options.date_format,
        measures: options.measures,
    };
    let plan = Plan {
        columns,
        channels: options.channels.into_iter().collect::<BTreeMap<_, _>>(),
        reference: options.reference_sources.into_iter().collect(),
        time_zone: options.time_zone,
        currency: options.currency,
        complete_through: options.complete_through,
        replace: options.replace,
    };
    send::import(&options.file, &plan, &options.server, &options.api_key).await
}
