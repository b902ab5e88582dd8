//! One line, read by itself.

use std::borrow::Cow;

use chrono::{DateTime, LocalResult, NaiveDate, TimeZone as _, Utc};
use csv::ByteRecord;
use domain::bucket::{Bucket, Grain, local_date};
use domain::measure::{Measure, Unit};
use domain::money::Currency;
use domain::zone::Zone;

use super::{LineError, Rules};
use crate::import::dates::Moment;
use crate::import::layout::{CurrencyFrom, DateFrom, Layout, SourceFrom};
use crate::import::names::mend;
use crate::import::numbers::{self, Notation};

/// What exports write where there is no campaign.
const NO_CAMPAIGN: [&str; 2] = ["", "--"];

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// What tells the campaign from others: its id or name.
    pub(super) campaign_id: String,
    /// The campaign's name.
    pub(super) campaign: String,
    /// The bucket.
    pub(super) bucket: Bucket,
    /// The local day of the bucket.
    pub(super) day: NaiveDate,
}

/// A line.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Its number.
    pub(super) number: u64,
    /// Its source; empty if it names none.
    pub(super) source: String,
    /// How many of its names were mended.
    pub(super) mended: u64,
    /// How many of its values were rounded.
    pub(super) rounded: u64,
    /// The values that can be read, though it have an error elsewhere.
    pub(super) values: Vec<(Measure, i64)>,
    /// The measures whose cells cannot be read.
    pub(super) unreadable: Vec<Measure>,
    /// What it is about, or its first error.
    pub(super) key: Result<Key, LineError>,
}

/// Reads a line.
pub(super) fn read(record: &ByteRecord, layout: &Layout, rules: &Rules, number: u64) -> Line {
    let mut line = Line {
        number,
        source: String::new(),
        mended: 0,
        rounded: 0,
        values: Vec::with_capacity(layout.measures.len()),
        unreadable: Vec::new(),
        key: Err(LineError::NoCampaign),
    };
    let source = read_source(record, layout, &mut line);
    let (zone, currency) =
        rules.sources.get(&line.source).copied().map_or((Zone::UTC, None), |(zone, currency)| (zone, Some(currency)));
    let values = read_values(record, layout, rules, currency, &mut line);
    line.key = check_fields(record, layout)
        .and(source)
        .and_then(|()| read_key(record, layout, rules, zone, &mut line))
        .and_then(|key| check_currency(record, layout, currency, &line).map(|()| key))
        .and_then(|key| values.map(|()| key));
    line
}

/// Cells beyond the header are no matter where they are empty.
fn check_fields(record: &ByteRecord, layout: &Layout) -> Result<(), LineError> {
    let (expected, found) = (layout.header.len(), record.len());
    let has_all = found == expected
        || (found > expected && record.iter().skip(expected).all(|cell| cell.trim_ascii().is_empty()));
    if has_all { Ok(()) } else { Err(LineError::Fields { expected, found }) }
}

fn read_source(record: &ByteRecord, layout: &Layout, line: &mut Line) -> Result<(), LineError> {
    line.source = match &layout.source {
        SourceFrom::Name(name) => name.clone(),
        SourceFrom::Column(index) => name(record, *index, "the source", &mut line.mended)?.into_owned(),
    };
    if line.source.is_empty() {
        return Err(LineError::Empty { column: "the source" });
    }
    domain::source::check_name(&line.source).map_err(|reason| LineError::Name { column: "the source", reason })
}

fn read_values(
    record: &ByteRecord,
    layout: &Layout,
    rules: &Rules,
    currency: Option<Currency>,
    line: &mut Line,
) -> Result<(), LineError> {
    let mut first_error = Ok(());
    for column in &layout.measures {
        let measure = column.measure;
        let notation = Notation { mark: rules.mark, scale: column.scale, currency };
        let value = text(record, column.index, measure.name()).and_then(|cell| {
            numbers::read(cell, measure, notation).map_err(|reason| LineError::Value {
                measure,
                cell: cell.to_owned(),
                reason,
            })
        });
        match value {
            Ok(Some(rounded)) => {
                line.rounded += u64::from(!rounded.is_exact);
                line.values.push((measure, rounded.value));
            }
            Ok(None) => {}
            Err(error) => {
                line.unreadable.push(measure);
                first_error = first_error.and(Err(error));
            }
        }
    }
    first_error
}

fn read_key(
    record: &ByteRecord,
    layout: &Layout,
    rules: &Rules,
    zone: Zone,
    line: &mut Line,
) -> Result<Key, LineError> {
    let mut named = |index: Option<usize>, column| match index {
        Some(index) => name(record, index, column, &mut line.mended).map(Some),
        None => Ok(None),
    };
    let id = named(layout.campaign_id, "the campaign's id")?;
    let name = named(layout.campaign, "the campaign")?;
    let is_some = |name: &Cow<'_, str>| !NO_CAMPAIGN.contains(&name.as_ref());
    let (campaign_id, campaign) = match (id.filter(is_some), name.filter(is_some), &rules.without_campaign) {
        (Some(id), Some(name), _) => (id.into_owned(), name.into_owned()),
        (Some(id), None, _) => (id.clone().into_owned(), id.into_owned()),
        (None, Some(_), _) if layout.campaign_id.is_some() => {
            return Err(LineError::Empty { column: "the campaign's id" });
        }
        (None, Some(name), _) => (name.clone().into_owned(), name.into_owned()),
        (None, None, Some(name)) => (name.clone(), name.clone()),
        (None, None, None) => return Err(LineError::NoCampaign),
    };
    domain::campaign::check_name(&campaign).map_err(|reason| LineError::Name { column: "the campaign", reason })?;
    domain::campaign::check_external_id(&campaign_id)
        .map_err(|reason| LineError::Name { column: "the campaign's id", reason })?;
    let (bucket, day) = read_bucket(record, layout, rules, zone)?;
    Ok(Key { campaign_id, campaign, bucket, day })
}

fn read_bucket(
    record: &ByteRecord,
    layout: &Layout,
    rules: &Rules,
    zone: Zone,
) -> Result<(Bucket, NaiveDate), LineError> {
    let (cell, moment) = match (layout.date, &rules.date_format) {
        (DateFrom::Day(day), _) => (Cow::Owned(day.to_string()), Moment::Day(day)),
        (DateFrom::Column(index), format) => {
            let cell = text(record, index, "the date")?;
            let format = format.as_ref().filter(|_| !cell.is_empty()).ok_or(LineError::Empty { column: "the date" })?;
            let moment = format.read(cell);
            let wrong = || LineError::Date { cell: cell.to_owned(), format: format.name().to_owned() };
            (Cow::Borrowed(cell), moment.ok_or_else(wrong)?)
        }
    };
    let cell = || cell.clone().into_owned();
    let bucket = match rules.grain {
        Grain::Day => {
            let local = moment.local();
            if local.time() != chrono::NaiveTime::MIN && !rules.add_rows {
                return Err(LineError::Time(cell()));
            }
            Bucket::Day(local.date())
        }
        Grain::Hour | Grain::QuarterHour => Bucket::Starts(instant(moment, zone, &cell)?),
    };
    let span = bucket.resolve(rules.grain, zone).map_err(|reason| LineError::Bucket { cell: cell(), reason })?;
    if span.start > rules.now {
        return Err(LineError::Future(cell()));
    }
    Ok((bucket, span.date.unwrap_or_else(|| local_date(span.start, zone))))
}

fn instant(moment: Moment, zone: Zone, cell: &dyn Fn() -> String) -> Result<DateTime<Utc>, LineError> {
    if let Moment::Fixed(fixed) = moment {
        return Ok(fixed.to_utc());
    }
    match zone.0.from_local_datetime(&moment.local()) {
        LocalResult::Single(at) => Ok(at.to_utc()),
        LocalResult::Ambiguous(..) => Err(LineError::TwiceThatDay { cell: cell(), zone }),
        LocalResult::None => Err(LineError::NeverThatDay { cell: cell(), zone }),
    }
}

/// Money must be in the source's currency.
fn check_currency(
    record: &ByteRecord,
    layout: &Layout,
    currency: Option<Currency>,
    line: &Line,
) -> Result<(), LineError> {
    let has_money = line.values.iter().any(|(measure, _)| measure.unit() == Unit::Money);
    let found = match layout.currency {
        CurrencyFrom::Source => return Ok(()),
        CurrencyFrom::Header(found) => found,
        CurrencyFrom::Column(index) => {
            let cell = text(record, index, "the currency")?;
            if !has_money && numbers::is_no_value(cell) {
                return Ok(());
            }
            cell.to_uppercase().parse().map_err(|_| LineError::NotACurrency(cell.to_owned()))?
        }
    };
    match currency {
        Some(currency) if found != currency && has_money => {
            Err(LineError::OtherCurrency { found, source_name: line.source.clone(), currency })
        }
        Some(_) | None => Ok(()),
    }
}

fn text<'a>(record: &'a ByteRecord, index: usize, column: &str) -> Result<&'a str, LineError> {
    let cell = record.get(index).unwrap_or_default();
    std::str::from_utf8(cell).map(str::trim).map_err(|_| LineError::NotText { column: column.to_owned() })
}

fn name<'a>(
    record: &'a ByteRecord,
    index: usize,
    column: &'static str,
    mended: &mut u64,
) -> Result<Cow<'a, str>, LineError> {
    let (name, was_mended) = mend(text(record, index, column)?);
    *mended += u64::from(was_mended);
    Ok(name)
}
