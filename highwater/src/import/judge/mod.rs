//! The second reading of a table: its lines as items, and what is wrong with the others.

mod error;
mod keys;
mod line;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use csv::ByteRecord;
use domain::bucket::{Bucket, Grain};
use domain::measure::Measure;
use domain::money::Currency;
use domain::zone::Zone;

use super::dates::DateFormat;
use super::layout::Layout;
use super::numbers::DecimalMark;
use super::survey::is_left_out;
use super::table::Table;
use super::totals::Totals;

pub use error::{BadLine, LineError};
pub use keys::Campaign;

/// By what rules lines are judged.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How days are written.
    pub date_format: Option<DateFormat>,
    /// How numbers are written.
    pub mark: DecimalMark,
    /// The length of a bucket.
    pub grain: Grain,
    /// Whether lines of one key are added.
    pub add_rows: bool,
    /// The campaign of lines that name none.
    pub without_campaign: Option<String>,
    /// Whether a campaign's name or id means another one in each source.
    pub campaigns_per_source: bool,
    /// Lines to leave out.
    pub skip_rows_like: Vec<String>,
    /// Zone and currency of each source.
    pub sources: BTreeMap<String, (Zone, Currency)>,
    /// The time of the run.
    pub now: DateTime<Utc>,
}

/// What one line states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its line.
    pub line: u64,
    /// Its source, by its place in [`Verdict::sources`].
    pub source: usize,
    /// Its campaign, by its place in [`Verdict::campaigns`].
    pub campaign: usize,
    /// Its bucket.
    pub bucket: Bucket,
    /// The local day of its bucket.
    pub day: NaiveDate,
    /// The totals, as integers in each measure's unit.
    pub values: Vec<(Measure, i64)>,
}

/// What a table says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The lines below the header that are not left out.
    pub rows: u64,
    /// Blank lines, and lines of totals.
    pub left_out: u64,
    /// Lines all of whose cells hold no value.
    pub silent: u64,
    /// Lines that were added to an earlier one.
    pub added: u64,
    /// Names that held control characters.
    pub mended: u64,
    /// Values that were rounded.
    pub rounded: u64,
    /// What is wrong with the lines that are not sent.
    pub refused: Vec<BadLine>,
    /// What the others state, in the order of the file.
    pub items: Vec<Item>,
    /// The sources of the items.
    pub sources: Vec<String>,
    /// The campaigns of the items.
    pub campaigns: Vec<Campaign>,
    /// The sums.
    pub totals: Totals,
}

impl Verdict {
    /// Judges every line of a table. The number of bytes read so far goes to `progress`.
    pub fn of(table: &Table, layout: &Layout, rules: &Rules, progress: &dyn Fn(u64)) -> Self {
        let mut judge = keys::Keys::new(rules.add_rows, rules.campaigns_per_source);
        let mut verdict = Self::default();
        let mut rows = table.rows();
        let mut record = ByteRecord::new();
        while let Some(number) = rows.next(&mut record) {
            if is_left_out(&record, layout, &rules.skip_rows_like) {
                verdict.left_out += 1;
                continue;
            }
            verdict.rows += 1;
            if verdict.rows.is_multiple_of(1_000) {
                progress(rows.position());
            }
            let line = line::read(&record, layout, rules, number);
            judge.take(line, &mut verdict);
        }
        judge.finish(&mut verdict);
        verdict
    }

    /// The campaigns that have items, by their places.
    pub fn used_campaigns(&self) -> BTreeSet<usize> {
        self.items.iter().map(|item| item.campaign).collect()
    }

    /// Whether so much is refused that the rest would be taken for the whole: more than ten lines, and more than one in
    /// a hundred.
    pub fn is_mostly_refused(&self) -> bool {
        let refused = self.refused.len() as u64;
        refused > 10 && refused * 100 > self.rows
    }
}
