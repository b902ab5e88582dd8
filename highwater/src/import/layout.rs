//! The columns of a file: which of its header's cells hold what.

use chrono::NaiveDate;
use domain::decimal::PowerOfTen;
use domain::measure::{Measure, Unit};
use domain::money::Currency;
use thiserror::Error;

use super::mapping::{Mapping, Names};
use super::pattern;
use super::table::Candidate;

/// Where a line's source is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceFrom {
    /// In a column.
    Column(usize),
    /// All lines have this one.
    Name(String),
}

/// Where a line's time is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateFrom {
    /// In a column.
    Column(usize),
    /// All lines are of this day.
    Day(NaiveDate),
}

/// Where the currency of a line is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurrencyFrom {
    /// In a column.
    Column(usize),
    /// In the header.
    Header(Currency),
    /// Nowhere in the file.
    Source,
}

/// A column with a measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasureColumn {
    /// The measure.
    pub measure: Measure,
    /// The column.
    pub index: usize,
    /// The column's name.
    pub header: String,
    /// The power of ten that brings its cells into the measure's unit.
    pub scale: PowerOfTen,
    /// Whether a mapping knows its unit, and no operator said it.
    pub is_mapped: bool,
}

/// The columns of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The line of the header.
    pub header_line: u64,
    /// The names of all columns.
    pub header: Vec<String>,
    /// Where the source is named.
    pub source: SourceFrom,
    /// The column of the campaign's name.
    pub campaign: Option<usize>,
    /// The column of the campaign's id.
    pub campaign_id: Option<usize>,
    /// Where the time is said.
    pub date: DateFrom,
    /// Where the currency is said.
    pub currency: CurrencyFrom,
    /// The measures.
    pub measures: Vec<MeasureColumn>,
    /// Measures of the mapping that the file has no column for.
    pub absent: Vec<Measure>,
}

/// The error of a file that lacks columns.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// A named column is missing.
    #[error("the file has no column `{wanted}`; its columns: {there}")]
    Missing {
        /// The column.
        wanted: String,
        /// Those that it has.
        there: String,
    },
    /// A named column occurs more than once.
    #[error("the file has more than one column `{0}`")]
    Ambiguous(String),
    /// Nothing says something that must be said.
    #[error("nothing says {what}: give {option}; the columns: {there}")]
    Unsaid {
        /// What must be said.
        what: &'static str,
        /// The options that say it.
        option: &'static str,
        /// The columns of the file.
        there: String,
    },
}

impl Layout {
    /// Finds the header and its columns: the first record that has all of them.
    pub fn find(
        candidates: &[Candidate],
        mapping: &Mapping,
        day: Option<NaiveDate>,
    ) -> Result<(Self, Candidate), LayoutError> {
        let mut nearest: Option<(usize, LayoutError)> = None;
        for candidate in candidates {
            match Self::of(candidate, mapping, day) {
                Ok(layout) => return Ok((layout, candidate.clone())),
                Err(error) => {
                    let nearness = known_cells(candidate, mapping) * 1_000 + candidate.cells.len();
                    if nearest.as_ref().is_none_or(|(most, _)| nearness > *most) {
                        nearest = Some((nearness, error));
                    }
                }
            }
        }
        let no_line = || LayoutError::Missing { wanted: String::new(), there: String::new() };
        Err(nearest.map_or_else(no_line, |(_, error)| error))
    }

    fn of(candidate: &Candidate, mapping: &Mapping, day: Option<NaiveDate>) -> Result<Self, LayoutError> {
        let header = &candidate.cells;
        let there = || header.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let unsaid = |what, option| LayoutError::Unsaid { what, option, there: there() };
        let position = |names: &Names| column(header, names);
        let source = match (&mapping.source, position(&mapping.source_from)?) {
            (Some(name), _) => SourceFrom::Name(name.clone()),
            (None, Some(index)) => SourceFrom::Column(index),
            (None, None) => return Err(unsaid("the source", "--source NAME or --source-from COLUMN")),
        };
        let (campaign, campaign_id) = (position(&mapping.campaign_from)?, position(&mapping.campaign_id_from)?);
        if campaign.or(campaign_id).is_none() && mapping.without_campaign.is_none() {
            return Err(unsaid("the campaign", "--campaign-from COLUMN or --without-campaign NAME"));
        }
        let date = match (day, position(&mapping.date_from)?) {
            (Some(day), _) => DateFrom::Day(day),
            (None, Some(index)) => DateFrom::Column(index),
            (None, None) => return Err(unsaid("the day", "--date-from COLUMN or --date DAY")),
        };
        let mut measures = Vec::new();
        let mut absent = Vec::new();
        for (measure, names) in &mapping.measures {
            match measure_column(header, *measure, names)? {
                Some(found) => measures.push(found),
                None => absent.push(*measure),
            }
        }
        if measures.is_empty() {
            return Err(unsaid("any measure", "--measure NAME=COLUMN"));
        }
        let currency = currency_from(header, &mapping.currency_from)?;
        let header = header.clone();
        Ok(Self {
            header_line: candidate.line,
            header,
            source,
            campaign,
            campaign_id,
            date,
            currency,
            measures,
            absent,
        })
    }

    /// What may be wrong with the units of its columns.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.measures.iter().filter(|column| column.measure.unit() == Unit::Money).filter_map(|column| {
            let MeasureColumn { measure, header, scale, is_mapped, .. } = column;
            let is_called_micros = header.to_lowercase().contains("micro");
            match (is_called_micros, scale.0 == 0) {
                (true, true) => Some(format!(
                    "`{header}` is called micros and is taken as whole units; --measure '{measure}={header}/1000000' \
                     divides it"
                )),
                (false, false) if !is_mapped => Some(format!("`{header}` is divided, and is not called micros")),
                (true, false) | (false, _) => None,
            }
        })
    }
}

/// How many cells of a record a mapping names.
fn known_cells(candidate: &Candidate, mapping: &Mapping) -> usize {
    let Mapping { source_from, campaign_from, campaign_id_from, date_from, currency_from, .. } = mapping;
    let columns = [source_from, campaign_from, campaign_id_from, date_from, currency_from];
    let found = |names: &&Names| column(&candidate.cells, names).is_ok_and(|index| index.is_some());
    columns.into_iter().filter(found).count()
        + mapping
            .measures
            .iter()
            .filter(|(_, names)| {
                names.names.iter().any(|name| {
                    let name = split_scale(name).map_or(name.as_str(), |(name, _)| name);
                    candidate.cells.iter().any(|cell| pattern::fits(name, cell))
                })
            })
            .count()
}

/// The column of the first of these names that the header has.
fn column(header: &[String], names: &Names) -> Result<Option<usize>, LayoutError> {
    for name in &names.names {
        if let Some(index) = position(header, name)? {
            return Ok(Some(index));
        }
    }
    match names.names.first().filter(|_| names.is_required) {
        Some(wanted) => Err(missing(header, wanted)),
        None => Ok(None),
    }
}

fn missing(header: &[String], wanted: &str) -> LayoutError {
    let there = header.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    LayoutError::Missing { wanted: wanted.to_owned(), there }
}

/// The column of this name: as it is written, else in another case or by its pattern.
fn position(header: &[String], name: &str) -> Result<Option<usize>, LayoutError> {
    let find = |fits: &dyn Fn(&str) -> bool| {
        let mut found = header.iter().enumerate().filter(|(_, cell)| fits(cell)).map(|(index, _)| index);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(LayoutError::Ambiguous(name.to_owned())),
            (first, _) => Ok(first),
        }
    };
    match find(&|cell| cell == name)? {
        Some(index) => Ok(Some(index)),
        None => find(&|cell| pattern::fits(name, cell)),
    }
}

/// The column of a measure. A name that ends in `/1000000` or another power of ten divides its cells.
fn measure_column(header: &[String], measure: Measure, names: &Names) -> Result<Option<MeasureColumn>, LayoutError> {
    let found = |index: usize, scale| {
        let is_mapped = !names.is_required;
        Some(MeasureColumn { measure, index, header: header[index].clone(), scale, is_mapped })
    };
    for name in &names.names {
        if let Some(index) = position(header, name)? {
            return Ok(found(index, PowerOfTen::default()));
        }
        if let Some((name, scale)) = split_scale(name)
            && let Some(index) = position(header, name)?
        {
            return Ok(found(index, scale));
        }
    }
    match names.names.first().filter(|_| names.is_required) {
        Some(wanted) => Err(missing(header, split_scale(wanted).map_or(wanted.as_str(), |(name, _)| name))),
        None => Ok(None),
    }
}

/// A name and what its cells are divided by.
fn split_scale(name: &str) -> Option<(&str, PowerOfTen)> {
    let (name, divisor) = name.rsplit_once('/')?;
    let zeros = divisor.trim().strip_prefix('1')?;
    let is_power = !zeros.is_empty() && zeros.len() <= 12 && zeros.bytes().all(|byte| byte == b'0');
    let exponent = i8::try_from(zeros.len()).ok().filter(|_| is_power)?;
    Some((name.trim(), PowerOfTen(-exponent)))
}

/// Where the currency is said: in a column, or in the name of one, where `*` stands for it.
fn currency_from(header: &[String], names: &Names) -> Result<CurrencyFrom, LayoutError> {
    for name in &names.names {
        let in_header = header.iter().find_map(|cell| pattern::captured(name, cell)?.trim().parse().ok());
        if let (true, Some(currency)) = (name.contains('*'), in_header) {
            return Ok(CurrencyFrom::Header(currency));
        }
        if !name.contains('*')
            && let Some(index) = position(header, name)?
        {
            return Ok(CurrencyFrom::Column(index));
        }
    }
    match names.names.first().filter(|_| names.is_required) {
        Some(wanted) => Err(missing(header, wanted)),
        None => Ok(CurrencyFrom::Source),
    }
}
