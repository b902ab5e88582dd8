//! Exact decimals with six places, held as whole millionths. Money micros and fractional conversions both use it.

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

/// The error of a text that is not a valid decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// It is not digits with an optional sign and point. Exponents, NaN and infinities are invalid.
    #[error("is not a decimal number such as 12 or 12.34")]
    Malformed,
    /// It has more than six decimal places, which could not be kept exactly.
    #[error("has more than six decimal places")]
    TooPrecise,
    /// It is beyond the largest magnitude.
    #[error("must lie between -{most} and {most}")]
    TooLarge {
        /// The largest magnitude.
        most: i64,
    },
}

/// The digits of a decimal, without zeros that say nothing.
struct Digits<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Digits<'a> {
    fn split(text: &'a str) -> Result<Self, DecimalError> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !plain(whole) || !plain(fraction) {
            return Err(DecimalError::Malformed);
        }
        Ok(Self { is_negative, whole: whole.trim_start_matches('0'), fraction: fraction.trim_end_matches('0') })
    }

    /// The whole part, if it is no more than `most`.
    fn whole(&self, most: i64) -> Result<i64, DecimalError> {
        // A longer one would not fit.
        let whole = if self.whole.len() < 19 { number(self.whole) } else { i64::MAX };
        if whole > most { Err(DecimalError::TooLarge { most }) } else { Ok(whole) }
    }

    fn signed(&self, magnitude: i64) -> i64 {
        if self.is_negative { -magnitude } else { magnitude }
    }
}

fn number(digits: &str) -> i64 {
    digits.bytes().fold(0_i64, |sum, byte| sum * 10 + i64::from(byte - b'0'))
}

/// Parses a plain decimal (`-12.345678`) as millionths, exactly.
pub fn parse_millionths(text: &str) -> Result<i64, DecimalError> {
    let digits = Digits::split(text)?;
    if digits.fraction.len() > 6 {
        return Err(DecimalError::TooPrecise);
    }
    let scale = 10_i64.pow(6 - u32::try_from(digits.fraction.len()).unwrap_or(6));
    let millionths = digits.whole(MAX_DECIMAL)? * MILLION + number(digits.fraction) * scale;
    if millionths > MAX_MILLIONTHS {
        return Err(DecimalError::TooLarge { most: MAX_DECIMAL });
    }
    Ok(digits.signed(millionths))
}

/// Reads a whole number, which may be written with a fraction of zeros. `None`: it has another fraction.
pub fn parse_whole(text: &str) -> Result<Option<i64>, DecimalError> {
    let digits = Digits::split(text)?;
    if !digits.fraction.is_empty() {
        return Ok(None);
    }
    Ok(Some(digits.signed(digits.whole(MAX_WHOLE)?)))
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
