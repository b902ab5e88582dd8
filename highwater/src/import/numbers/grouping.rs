//! Digits in groups: 1,234,567 in the West, 12,34,567 in India, 1 234 567 in France, 1'234'567 in Switzerland.

use super::mark::DecimalMark;
use super::{NumberError, SPACES};

/// Apostrophes that separate groups.
const APOSTROPHES: [char; 2] = ['\'', '’'];

/// Whether a character separates groups and is never a decimal mark.
pub(super) fn is_separator(each: char) -> bool {
    SPACES.contains(&each) || APOSTROPHES.contains(&each)
}

/// The digits without groups, with a point as the decimal mark.
pub(super) fn ungroup(digits: &str, mark: DecimalMark) -> Result<String, NumberError> {
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => digits.split_at(at),
        None => (digits, ""),
    };
    let (whole, fraction) = match mantissa.split_once(mark.character()) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let separator = whole.chars().find(|each| *each == mark.other().character() || is_separator(*each));
    let mut plain = match separator {
        None => whole.to_owned(),
        Some(separator) => {
            let groups: Vec<&str> = whole.split(separator).collect();
            if !are_groups(&groups) {
                return Err(NumberError::Grouping(mark.character()));
            }
            groups.concat()
        }
    };
    if let Some(fraction) = fraction {
        // Digits after the mark are not grouped.
        if fraction.contains([',', '.']) {
            return Err(NumberError::Grouping(mark.character()));
        }
        plain.push('.');
        plain.push_str(fraction);
    }
    plain.push_str(exponent);
    Ok(plain)
}

/// Whether these are groups of digits, western or Indian.
pub(super) fn are_groups(groups: &[&str]) -> bool {
    let are_digits = |group: &&str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    let [first, middle @ .., last] = groups else { return false };
    let is_western = (1..=3).contains(&first.len()) && middle.iter().all(|group| group.len() == 3);
    let is_indian = (1..=2).contains(&first.len()) && middle.iter().all(|group| group.len() == 2);
    groups.iter().all(are_digits) && last.len() == 3 && (is_western || is_indian)
}
