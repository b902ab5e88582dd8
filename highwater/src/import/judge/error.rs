//! What is wrong with a line.

use chrono::NaiveDate;
use domain::bucket::BucketError;
use domain::measure::Measure;
use domain::money::Currency;
use domain::text::TextError;
use domain::zone::Zone;
use thiserror::Error;

use crate::import::numbers::NumberError;

/// The error of a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineError {
    /// It has more or fewer fields than the header.
    #[error("has {found} fields where the header has {expected}")]
    Fields { expected: usize, found: usize },
    /// It is not UTF-8.
    #[error("{column} is not UTF-8 text; if all of the file is in another encoding, name it with --encoding")]
    NotText { column: String },
    /// A name is empty.
    #[error("{column} is empty")]
    Empty { column: &'static str },
    /// It names no campaign.
    #[error("the campaign is empty; --without-campaign NAME says which campaign takes such lines")]
    NoCampaign,
    /// A name is none.
    #[error("{column} {reason}")]
    Name { column: &'static str, reason: TextError },
    /// It is not a date in the format of the file.
    #[error("`{cell}` is not a date in the format {format}")]
    Date { cell: String, format: String },
    /// A day has a time.
    #[error("`{0}` has a time of the day; --grain hour states hours, --add-rows adds them to days")]
    Time(String),
    /// It is no bucket.
    #[error("`{cell}` {reason}")]
    Bucket { cell: String, reason: BucketError },
    /// The zone's clocks show this time twice.
    #[error("`{cell}` happens twice in {zone}, because clocks go back; times with their offset from UTC tell which")]
    TwiceThatDay { cell: String, zone: Zone },
    /// The zone's clocks never show this time.
    #[error("`{cell}` does not happen in {zone}, because clocks go forward")]
    NeverThatDay { cell: String, zone: Zone },
    /// It has not happened yet.
    #[error("`{0}` lies in the future")]
    Future(String),
    /// It is not a value of the measure.
    #[error("{measure} `{cell}` {reason}")]
    Value { measure: Measure, cell: String, reason: NumberError },
    /// The currency is no currency.
    #[error("the currency `{0}` is not an ISO 4217 code such as EUR")]
    NotACurrency(String),
    /// The currency is another one than the source's.
    #[error("is in {found}, but `{source_name}` is in {currency}")]
    OtherCurrency { found: Currency, source_name: String, currency: Currency },
    /// An earlier line has its source, campaign and date.
    #[error(
        "repeats the source, campaign and date of line {first}: `{source_name}`, `{campaign}`, {date}; --add-rows adds \
         such lines"
    )]
    Repeats { first: u64, source_name: String, campaign: String, date: NaiveDate },
    /// A later line has its source, campaign and date.
    #[error("is repeated by line {0}, so it is unknown which of the two is right")]
    IsRepeated(u64),
    /// The sum with earlier lines is too large.
    #[error("makes {0} larger than can be stated")]
    SumTooLarge(Measure),
    /// The server did not take it.
    #[error("was not taken: {0}")]
    NotTaken(String),
}

/// A line that is not sent or not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} {error}")]
pub struct BadLine {
    /// Its line number.
    pub line: u64,
    /// The error.
    #[source]
    pub error: LineError,
}
