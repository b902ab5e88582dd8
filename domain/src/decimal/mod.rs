//! Exact decimals with six places, held as whole millionths. Money micros and fractional conversions both use it.

use std::cmp::Ordering;

use thiserror::Error;

#[cfg(test)]
mod tests;

/// Millionths in one.
pub const MILLION: i64 = 1_000_000;

/// The largest magnitude of a decimal: a million million, in millionths. A difference of two of them still fits.
pub const MAX_MILLIONTHS: i64 = MAX_DECIMAL * MILLION;

/// The largest magnitude of a decimal.
const MAX_DECIMAL: i64 = 1_000_000_000_000;

/// The largest magnitude of a whole number. Every JSON reader keeps it exactly.
pub const MAX_WHOLE: i64 = 1_000_000_000_000_000;

/// Where reading stops, in millionths: above every bound, and far from the end of the type.
const MAX_MAGNITUDE: i128 = 10_i128.pow(30);
/// A larger exponent says the same of any number that has a place in memory.
const MAX_EXPONENT: i64 = 1 << 40;

/// The error of a text that is not a valid decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// It is not digits with an optional sign, point and exponent. NaN and infinities are invalid.
    #[error("is not a decimal number such as 12 or 12.34")]
    Malformed,
    /// It has more than six decimal places, where none may be lost.
    #[error("has more than six decimal places")]
    TooPrecise,
    /// It is beyond the largest magnitude.
    #[error("must lie between -{most} and {most}")]
    TooLarge {
        /// The largest magnitude.
        most: i64,
    },
}

/// A decimal that was rounded half to even to the places that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounded {
    /// The integer.
    pub value: i64,
    /// Whether nothing was lost.
    pub is_exact: bool,
}

/// A power of ten that a number is multiplied by: `PowerOfTen(-6)` makes micros whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PowerOfTen(pub i8);

/// A decimal as it is written, with any number of digits.
struct WrittenDecimal<'a> {
    is_negative: bool,
    /// The digits before and after the point.
    digits: [&'a [u8]; 2],
    /// How many of the digits stand before the point, once the exponent has moved it.
    whole_digits: i64,
}

impl<'a> WrittenDecimal<'a> {
    fn read(text: &'a str) -> Result<Self, DecimalError> {
        let (is_negative, unsigned) = signed(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if !are_digits(whole) || !are_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return Err(DecimalError::Malformed);
        }
        let whole_digits = exponent.saturating_add(i64::try_from(whole.len()).unwrap_or(i64::MAX));
        Ok(Self { is_negative, digits: [whole.as_bytes(), fraction.as_bytes()], whole_digits })
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.digits.iter().copied().flatten().map(|digit| digit - b'0')
    }

    /// Millionths of the number times the power of ten, rounded half to even, and whether that lost nothing. `None`: it
    /// is larger than any bound.
    fn millionths(&self, scale: PowerOfTen) -> Option<(i128, bool)> {
        let kept = self.whole_digits.saturating_add(6).saturating_add(scale.0.into());
        let mut magnitude = 0_i128;
        // What is lost, compared with one half: the first lost digit, and whether another one follows.
        let (mut first_lost, mut more_lost) = (0, false);
        let mut place = 0_i64;
        for digit in self.digits() {
            match place.cmp(&kept) {
                Ordering::Less => {
                    magnitude = magnitude * 10 + i128::from(digit);
                    if magnitude > MAX_MAGNITUDE {
                        return None;
                    }
                }
                Ordering::Equal => first_lost = digit,
                Ordering::Greater => more_lost |= digit != 0,
            }
            place += 1;
        }
        if magnitude != 0 {
            for _ in place..kept {
                magnitude *= 10;
                if magnitude > MAX_MAGNITUDE {
                    return None;
                }
            }
        }
        // Below the last place stand zeros first.
        if kept < 0 {
            (first_lost, more_lost) = (0, first_lost != 0 || more_lost || self.digits().any(|digit| digit != 0));
        }
        let up = match (first_lost, more_lost) {
            (5, false) => magnitude % 2 == 1,
            (first, _) => first >= 5,
        };
        magnitude += i128::from(up);
        Some((if self.is_negative { -magnitude } else { magnitude }, first_lost == 0 && !more_lost))
    }
}

/// Whether a number is negative, and the rest of it.
fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn are_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_exponent(text: &str) -> Result<i64, DecimalError> {
    let (is_negative, digits) = signed(text);
    if digits.is_empty() || !are_digits(digits) {
        return Err(DecimalError::Malformed);
    }
    let magnitude = digits.parse::<i64>().unwrap_or(MAX_EXPONENT).min(MAX_EXPONENT);
    Ok(if is_negative { -magnitude } else { magnitude })
}

/// Reads a decimal (`-12.345678`, `1.5e3`, `.22`) times a power of ten as millionths, rounded half to even.
pub fn round_millionths(text: &str, scale: PowerOfTen) -> Result<Rounded, DecimalError> {
    let too_large = DecimalError::TooLarge { most: MAX_DECIMAL };
    let (millionths, is_exact) = WrittenDecimal::read(text)?.millionths(scale).ok_or(too_large)?;
    match i64::try_from(millionths) {
        Ok(value) if value.abs() <= MAX_MILLIONTHS => Ok(Rounded { value, is_exact }),
        Ok(_) | Err(_) => Err(too_large),
    }
}

/// Reads a decimal as millionths, exactly.
pub fn parse_millionths(text: &str) -> Result<i64, DecimalError> {
    match round_millionths(text, PowerOfTen::default())? {
        Rounded { value, is_exact: true } => Ok(value),
        Rounded { is_exact: false, .. } => Err(DecimalError::TooPrecise),
    }
}

/// Reads a decimal times a power of ten as a whole number. `None`: it has a fraction, even after it was rounded to six
/// places.
pub fn round_whole(text: &str, scale: PowerOfTen) -> Result<Option<Rounded>, DecimalError> {
    let too_large = DecimalError::TooLarge { most: MAX_WHOLE };
    let (millionths, is_exact) = WrittenDecimal::read(text)?.millionths(scale).ok_or(too_large)?;
    if millionths % i128::from(MILLION) != 0 {
        return Ok(None);
    }
    match i64::try_from(millionths / i128::from(MILLION)) {
        Ok(value) if value.abs() <= MAX_WHOLE => Ok(Some(Rounded { value, is_exact })),
        Ok(_) | Err(_) => Err(too_large),
    }
}

/// Formats millionths with all six places: `1234.560000`.
pub fn format_millionths(millionths: i128) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let magnitude = millionths.unsigned_abs();
    format!("{sign}{}.{:06}", magnitude / 1_000_000, magnitude % 1_000_000)
}

/// `numerator / denominator`, rounded half to even; `None` when the denominator is 0.
pub fn divide_half_even(numerator: i128, denominator: i128) -> Option<i128> {
    let quotient = numerator.checked_div_euclid(denominator)?;
    // The remainder is never negative, and less than the denominator's magnitude, so its double fits without a sign.
    let twice = numerator.checked_rem_euclid(denominator)?.unsigned_abs() * 2;
    let step = if denominator < 0 { -1 } else { 1 };
    Some(match twice.cmp(&denominator.unsigned_abs()) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + step,
        std::cmp::Ordering::Equal => quotient + step * (quotient.rem_euclid(2)),
    })
}
