//! Exact decimals with six places, held as whole millionths. Money micros and fractional conversions both use it.

use thiserror::Error;

#[cfg(test)]
mod tests;

/// Millionths in one.
pub const MILLION: i64 = 1_000_000;

/// The largest magnitude that one input value may have: a billion, in millionths.
/// Far above any single spend or credit, far below where sums of it could overflow.
pub const MAX_MILLIONTHS: i64 = 1_000_000_000 * MILLION;

/// The error of a text that is not a valid decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecimalError {
    /// It is not digits with an optional sign and point. Exponents, NaN and infinities are invalid.
    #[error("is not a decimal number such as 12 or 12.34")]
    Malformed,
    /// It has more than six decimal places, which could not be kept exactly.
    #[error("has more than six decimal places")]
    TooPrecise,
    /// It is beyond [`MAX_MILLIONTHS`].
    #[error("is larger than 1000000000")]
    TooLarge,
}

/// Parses a plain decimal (`-12.345678`) as millionths, exactly.
pub fn parse_millionths(text: &str) -> Result<i64, DecimalError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return Err(DecimalError::Malformed);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 6 {
        return Err(DecimalError::TooPrecise);
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() > 10 {
        return Err(DecimalError::TooLarge);
    }
    let number = |part: &str| part.bytes().fold(0_i64, |sum, byte| sum * 10 + i64::from(byte - b'0'));
    let scale = 10_i64.pow(6 - u32::try_from(fraction.len()).unwrap_or(6));
    let millionths = number(whole) * MILLION + number(fraction) * scale;
    if millionths > MAX_MILLIONTHS {
        return Err(DecimalError::TooLarge);
    }
    Ok(if negative { -millionths } else { millionths })
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
