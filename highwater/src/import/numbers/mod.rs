//! How files write numbers: with either decimal mark, grouped digits, signs of currencies, and words for no value.

mod currency_signs;
mod evidence;
mod grouping;
mod mark;

#[cfg(test)]
mod tests;

use domain::decimal::{PowerOfTen, Rounded};
use domain::measure::{Measure, MeasureError, Unit};
use domain::money::Currency;
use thiserror::Error;

pub use evidence::{MarkError, MarkEvidence};
pub use mark::DecimalMark;

/// Cells that hold no value, in lower case.
const NO_VALUE: &[&str] = &[
    "",
    "-",
    "--",
    "---",
    "–",
    "—",
    "n/a",
    "#n/a",
    "n.a.",
    "na",
    "n/v",
    "k.a.",
    "null",
    "none",
    "nil",
    "nan",
    "\\n",
    "not available",
];

/// Spaces of any width that stand between digits or around a number.
const SPACES: [char; 5] = [' ', '\u{a0}', '\u{202f}', '\u{2009}', '\u{2007}'];

/// The error of a cell that is not a value of its measure.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NumberError {
    /// It is not a value of the measure.
    #[error("{0}")]
    Value(#[from] MeasureError),
    /// Its digits are not grouped as any language does.
    #[error("is not grouped as numbers are, where `{0}` is the decimal mark")]
    Grouping(char),
    /// A percentage is no amount of anything.
    #[error("is a percentage, and no amount")]
    Percentage,
    /// A count has a currency.
    #[error("has the currency sign `{0}`, but is not money")]
    NotMoney(String),
    /// The currency is another one.
    #[error("is written with `{sign}`, but is in {currency}")]
    OtherCurrency {
        /// What stands beside the number.
        sign: String,
        /// The currency of the line.
        currency: Currency,
    },
}

/// What a measure's cells are written in.
#[derive(Debug, Clone, Copy)]
pub struct Notation {
    /// The decimal mark.
    pub mark: DecimalMark,
    /// The power of ten that brings a cell into the measure's unit.
    pub scale: PowerOfTen,
    /// The currency of money; `None`: it is not known yet.
    pub currency: Option<Currency>,
}

/// Reads a cell. `None`: it holds no value.
pub fn read(cell: &str, measure: Measure, notation: Notation) -> Result<Option<Rounded>, NumberError> {
    let Some(written) = Written::split(cell)? else { return Ok(None) };
    if !written.sign.is_empty() {
        check_sign(&written.sign, measure, notation.currency)?;
    }
    let mut plain = grouping::ungroup(&written.digits, notation.mark)?;
    if written.is_negative {
        plain.insert(0, '-');
    }
    Ok(Some(measure.parse_scaled(&plain, notation.scale)?))
}

/// Adds what a cell says of the decimal mark.
pub fn note_mark(cell: &str, measure: Measure, scale: PowerOfTen, line: u64, evidence: &mut MarkEvidence) {
    let is_whole = measure.unit() == Unit::Count && scale == PowerOfTen::default();
    if let Ok(Some(written)) = Written::split(cell) {
        evidence.note(&written.digits, is_whole, line);
    }
}

/// Whether a cell holds a word for no value.
pub fn is_no_value(cell: &str) -> bool {
    let cell = trimmed(cell);
    // Platforms hide small shares: `< 10`, `> 90 %`.
    cell.starts_with(['<', '>']) || NO_VALUE.contains(&cell.to_lowercase().as_str())
}

fn check_sign(sign: &str, measure: Measure, currency: Option<Currency>) -> Result<(), NumberError> {
    if sign == "%" {
        return Err(NumberError::Percentage);
    }
    if !currency_signs::is_known(sign) {
        return Err(MeasureError::Decimal(domain::decimal::DecimalError::Malformed).into());
    }
    if measure.unit() != Unit::Money {
        return Err(NumberError::NotMoney(sign.to_owned()));
    }
    match currency {
        Some(currency) if !currency_signs::may_mean(sign, currency) => {
            Err(NumberError::OtherCurrency { sign: sign.to_owned(), currency })
        }
        Some(_) | None => Ok(()),
    }
}

fn trimmed(cell: &str) -> &str {
    cell.trim_matches(|each: char| each.is_whitespace() || SPACES.contains(&each))
}

/// A number taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    is_negative: bool,
    /// Digits with their marks, and an exponent if there is one.
    digits: String,
    /// What stands before or after: a currency or `%`.
    sign: String,
}

impl Written {
    /// Takes a cell apart. `None`: it holds no value.
    fn split(cell: &str) -> Result<Option<Self>, NumberError> {
        if is_no_value(cell) {
            return Ok(None);
        }
        let malformed = || NumberError::Value(MeasureError::Decimal(domain::decimal::DecimalError::Malformed));
        let cell = trimmed(cell).replace('\u{2212}', "-");
        // Accountants write -5 as (5).
        let bare = cell.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let (mut minuses, cell) = bare.map_or((0, cell.as_str()), |inner| (1, inner));
        let first = cell.find(|each: char| each.is_ascii_digit()).ok_or_else(malformed)?;
        let last = cell.rfind(|each: char| each.is_ascii_digit()).ok_or_else(malformed)?;
        let (before, rest) = cell.split_at(first);
        let (digits, after) = rest.split_at(last + 1 - first);
        // `.5` and `5.` are numbers; the point of `Rs.5` belongs to the sign.
        let leading = before.strip_suffix(['.', ',']).filter(|rest| !rest.ends_with(char::is_alphabetic));
        let trailing = after.strip_prefix(['.', ',']);
        let mut number = String::with_capacity(cell.len());
        if let Some(left) = leading {
            number.push_str(&before[left.len()..]);
        }
        number.push_str(digits);
        if let Some(left) = trailing {
            number.push_str(&after[..after.len() - left.len()]);
        }
        let mut sign = String::new();
        let mut pluses = 0;
        for part in [leading.unwrap_or(before), trailing.unwrap_or(after)] {
            for each in part.chars() {
                match each {
                    '-' => minuses += 1,
                    '+' => pluses += 1,
                    _ if each.is_whitespace() || SPACES.contains(&each) => {}
                    _ => sign.push(each),
                }
            }
        }
        if minuses + pluses > 1 {
            return Err(malformed());
        }
        Ok(Some(Self { is_negative: minuses == 1, digits: number, sign }))
    }
}
