//! The arguments that say what a file holds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use chrono::NaiveDate;
use clap::builder::NonEmptyStringValueParser;
use domain::channel::Channel;
use domain::measure::Measure;
use domain::money::Currency;
use domain::zone::Zone;

use crate::import::dates::{DateFormat, DateFormatError};
use crate::import::mapping::{FileGrain, Mapping, Names};
use crate::import::numbers::DecimalMark;
use crate::import::run::Options;
use crate::import::table::Reading;

/// A file, and what its columns mean. What is left out is taken from the mapping, or guessed.
#[derive(Debug, clap::Args)]
pub(super) struct FileArguments {
    /// The file: CSV, or a spreadsheet (XLSX, XLS, ODS).
    file: PathBuf,
    /// What the columns mean: a TOML file, or the name of a mapping that is shipped, such as google_ads.
    #[arg(long, value_name = "FILE|NAME")]
    mapping: Option<String>,
    /// The source of all lines.
    #[arg(long, value_name = "NAME", conflicts_with = "source_from", value_parser = NonEmptyStringValueParser::new())]
    source: Option<String>,
    /// The column that names the source.
    #[arg(long, value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    source_from: Option<String>,
    /// The platform of the sources: gives those that are created their delay and horizons.
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// The column that names the campaign.
    #[arg(long, value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    campaign_from: Option<String>,
    /// The column that has the campaign's id. A campaign that is renamed then stays one, and gets its last name.
    #[arg(long, value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    campaign_id_from: Option<String>,
    /// The campaign of lines that name none.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    without_campaign: Option<String>,
    /// The column that holds the day or hour.
    #[arg(long, value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    date_from: Option<String>,
    /// The day of all lines, of a file without such a column.
    #[arg(long, value_name = "DATE", conflicts_with = "date_from")]
    date: Option<NaiveDate>,
    /// How the day is written, as strftime spells it, or `excel` for serial numbers. Guessed if left out.
    #[arg(long, value_name = "FORMAT", value_parser = date_format)]
    date_format: Option<String>,
    /// The length of a bucket. If left out: hours where lines have a time of the day.
    #[arg(long, value_name = "GRAIN")]
    grain: Option<FileGrain>,
    /// A measure and the column that holds it, divided by a power of ten where it is in other units, such as
    /// spend=cost_micros/1000000; once for each.
    #[arg(
        long = "measure", value_name = "NAME=COLUMN", value_parser = measure_column, required_unless_present = "mapping"
    )]
    measures: Vec<(Measure, String)>,
    /// Adds lines of one campaign and bucket, such as those of its ad sets. They are refused if left out.
    #[arg(long)]
    add_rows: bool,
    /// The zone of the days: of sources that are created, UTC if left out.
    #[arg(long, value_name = "TZ")]
    time_zone: Option<Zone>,
    /// The currency of money: of sources that are created, that of the file or EUR if left out.
    #[arg(long, value_name = "CUR")]
    currency: Option<Currency>,
    /// The column that names the currency, or the name of one that has it where `*` stands, as `Amount spent (*)`.
    #[arg(long, value_name = "COLUMN", value_parser = NonEmptyStringValueParser::new())]
    currency_from: Option<String>,
    /// The mark before decimals, `point` or `comma`. Guessed if left out; a file that leaves it open is refused.
    #[arg(long, value_name = "MARK")]
    decimal_mark: Option<DecimalMark>,
    #[command(flatten)]
    reading: ReadingArguments,
    /// Leaves out lines whose first cell is like this, where `*` stands for any text. Lines of totals are left out
    /// anyway.
    #[arg(long, value_name = "PATTERN")]
    skip_rows_like: Vec<String>,
}

/// How a file is cut into cells.
#[derive(Debug, clap::Args)]
pub(super) struct ReadingArguments {
    /// What separates the cells: a character, or `tab`. Guessed if left out.
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// The encoding, such as windows-1252. If left out: UTF-8 or UTF-16, by its first bytes.
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// The sheet of a spreadsheet. If left out: the first with cells.
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// How many lines stand above the header. If left out: it is the first line with the named columns.
    #[arg(long, value_name = "NUMBER")]
    skip_lines: Option<u64>,
}

impl ReadingArguments {
    /// What they say of the file.
    pub(super) fn reading(self) -> Reading {
        let Self { encoding, delimiter, sheet, skip_lines } = self;
        Reading { encoding, delimiter, sheet, skip_lines }
    }
}

impl FileArguments {
    /// The options that they amount to, with those of the mapping.
    pub(super) fn options(self) -> anyhow::Result<Options> {
        let shipped = self.mapping.as_deref().map(Mapping::find).transpose()?.unwrap_or_default();
        let mut measures: BTreeMap<Measure, Names> = BTreeMap::new();
        for (measure, column) in self.measures {
            let is_new = measures.insert(measure, Names::required(column)).is_none();
            anyhow::ensure!(is_new, "--measure {measure} is given twice");
        }
        let names = |column: Option<String>| column.map(Names::required).unwrap_or_default();
        let said = Mapping {
            title: None,
            source: self.source,
            source_from: names(self.source_from),
            platform: self.platform,
            channel: None,
            role: None,
            time_zone: self.time_zone,
            currency: self.currency,
            currency_from: names(self.currency_from),
            campaign_from: names(self.campaign_from),
            campaign_id_from: names(self.campaign_id_from),
            without_campaign: self.without_campaign,
            date_from: names(self.date_from),
            date_format: self.date_format,
            grain: self.grain,
            add_rows: self.add_rows.then_some(true),
            decimal_mark: self.decimal_mark,
            skip_rows_like: self.skip_rows_like,
            measures,
        };
        Ok(Options {
            file: self.file,
            reading: self.reading.reading(),
            mapping: said.or(shipped),
            day: self.date,
            ..Options::default()
        })
    }
}

/// A channel, of one source or of all.
#[derive(Debug, Clone)]
pub(super) struct SourceChannel {
    /// The source; `None`: all that have none of their own.
    pub(super) source: Option<String>,
    /// The channel.
    pub(super) channel: Channel,
}

impl FromStr for SourceChannel {
    type Err = String;

    /// A source's name may contain `=`, a channel's cannot, so the last one separates.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (source, channel) = match text.rsplit_once('=') {
            Some((source, _)) if source.trim().is_empty() => return Err("must be SOURCE=CHANNEL".to_owned()),
            Some((source, channel)) => (Some(source.trim().to_owned()), channel.trim()),
            None => (None, text.trim()),
        };
        let channel = channel.parse().map_err(|error| format!("`{channel}` {error}"))?;
        Ok(Self { source, channel })
    }
}

fn measure_column(text: &str) -> Result<(Measure, String), String> {
    let known = || Measure::ALL.iter().map(|measure| measure.name()).collect::<Vec<_>>().join(", ");
    match text.split_once('=') {
        Some((name, column)) if !name.trim().is_empty() && !column.trim().is_empty() => {
            let name = name.trim();
            let measure =
                name.parse().map_err(|_| format!("`{name}` is not a measure; the measures are {}", known()))?;
            Ok((measure, column.trim().to_owned()))
        }
        _ => Err("must be NAME=COLUMN".to_owned()),
    }
}

/// The text of a format that dates can be read by. Mappings keep the text.
fn date_format(text: &str) -> Result<String, DateFormatError> {
    text.parse::<DateFormat>().map(|_| text.to_owned())
}

pub(super) fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        b"tab" | b"\\t" => Ok(b'\t'),
        b"comma" => Ok(b','),
        b"semicolon" => Ok(b';'),
        _ => Err("must be one character such as ; or |, or tab".to_owned()),
    }
}
