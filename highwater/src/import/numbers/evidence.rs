//! Which decimal mark a file uses: what its cells say of it, and when they leave it open.

use thiserror::Error;

use super::grouping::{are_groups, is_separator};
use super::mark::DecimalMark;

/// The error of a file whose decimal mark cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MarkError {
    /// Every cell that could tell can be read in two ways.
    #[error(
        "line {line}: `{cell}` is {grouped} or {decimal}, and nothing in the file decides; say --decimal-mark point \
         or --decimal-mark comma"
    )]
    Open {
        /// The line of the first such cell.
        line: u64,
        /// The cell.
        cell: String,
        /// What it is if the mark groups digits.
        grouped: String,
        /// What it is if the mark is the decimal mark.
        decimal: String,
    },
    /// Cells contradict each other.
    #[error(
        "line {}: `{}` has a decimal point, and line {}: `{}` has a decimal comma; say --decimal-mark point or \
         --decimal-mark comma, and the lines of the other kind are refused", point.0, point.1, comma.0, comma.1
    )]
    Both {
        /// A cell with a decimal point, and its line.
        point: (u64, String),
        /// A cell with a decimal comma, and its line.
        comma: (u64, String),
    },
}

/// Cells that agree: how many, and the first with its line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Voices {
    count: u64,
    first: Option<(u64, String)>,
}

impl Voices {
    fn add(&mut self, line: u64, cell: &str) {
        self.count += 1;
        self.first.get_or_insert_with(|| (line, cell.to_owned()));
    }
}

/// What the cells of a file say of its decimal mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MarkEvidence {
    point: Voices,
    comma: Voices,
    open: Voices,
}

enum Verdict {
    Silent,
    Is(DecimalMark),
    Open,
}

impl MarkEvidence {
    /// Adds a number, which is `is_whole` if it counts something.
    pub(super) fn note(&mut self, digits: &str, is_whole: bool, line: u64) {
        match judge(digits, is_whole) {
            Verdict::Silent => {}
            Verdict::Is(DecimalMark::Point) => self.point.add(line, digits),
            Verdict::Is(DecimalMark::Comma) => self.comma.add(line, digits),
            Verdict::Open => self.open.add(line, digits),
        }
    }

    /// The mark of a file with this delimiter.
    pub fn decide(&self, delimiter: u8) -> Result<DecimalMark, MarkError> {
        match (&self.point.first, &self.comma.first) {
            (Some(point), Some(comma)) => {
                // A few slips in a long file are bad lines, not another language.
                let (points, commas) = (self.point.count, self.comma.count);
                if commas * 100 <= points {
                    Ok(DecimalMark::Point)
                } else if points * 100 <= commas {
                    Ok(DecimalMark::Comma)
                } else {
                    Err(MarkError::Both { point: point.clone(), comma: comma.clone() })
                }
            }
            (Some(_), None) => Ok(DecimalMark::Point),
            (None, Some(_)) => Ok(DecimalMark::Comma),
            (None, None) => match &self.open.first {
                // Where commas separate cells, a program that writes one in a number groups digits.
                Some((_, cell)) if cell.contains(',') && delimiter == b',' => Ok(DecimalMark::Point),
                Some((line, cell)) => {
                    let plain: String = cell.chars().filter(char::is_ascii_digit).collect();
                    Err(MarkError::Open {
                        line: *line,
                        cell: cell.clone(),
                        grouped: plain,
                        decimal: cell.replace(',', "."),
                    })
                }
                None => Ok(DecimalMark::Point),
            },
        }
    }
}

/// What one number says.
fn judge(digits: &str, is_whole: bool) -> Verdict {
    let (mantissa, has_exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, _)) => (mantissa, true),
        None => (digits, false),
    };
    let mut marks = mantissa.match_indices(['.', ',']);
    let Some((first_at, first)) = marks.next() else { return Verdict::Silent };
    let mark_of = |text: &str| DecimalMark::of(text.chars().next().unwrap_or('.'));
    let Some((mut last_at, mut last)) = marks.next() else {
        return judge_single(mantissa, first_at, mark_of(first), is_whole, has_exponent);
    };
    let (mut first_count, mut total) = (if last == first { 2 } else { 1 }, 2);
    for (at, mark) in marks {
        first_count += usize::from(mark == first);
        total += 1;
        (last_at, last) = (at, mark);
    }
    if first_count == total {
        // 1,234,567: only what groups digits occurs more than once.
        let groups: Vec<&str> = mantissa.split(first).collect();
        return if are_groups(&groups) { Verdict::Is(mark_of(first).other()) } else { Verdict::Silent };
    }
    let is_last_single = last != first && first_count + 1 == total && mantissa.rfind(last) == Some(last_at);
    if is_last_single { Verdict::Is(mark_of(last)) } else { Verdict::Silent }
}

/// What a number with one mark says.
fn judge_single(mantissa: &str, at: usize, mark: DecimalMark, is_whole: bool, has_exponent: bool) -> Verdict {
    let (before, after) = (&mantissa[..at], &mantissa[at + 1..]);
    let may_group = after.len() == 3 && (1..=3).contains(&before.len()) && !before.starts_with('0');
    if !may_group || has_exponent || before.contains(is_separator) {
        return Verdict::Is(mark);
    }
    // A count has no decimals, so these digits are a group.
    if is_whole && after != "000" { Verdict::Is(mark.other()) } else { Verdict::Open }
}
