//! A file that is all that its sources state of some days: its lines, gathered by source and day, so that one batch
//! makes each day whole.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::NaiveDate;
use thiserror::Error;

use super::batches::Batch;
use super::judge::Verdict;

/// The most statements that the server takes at once.
const MAX_STATEMENTS: usize = 5_000;

/// Days, the last one inclusive, written `2026-11-01..2026-11-30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplacedDays {
    first: NaiveDate,
    last: NaiveDate,
}

/// A text that names no days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be FROM..TO, two dates such as 2026-11-01..2026-11-30, of which the last is not before the first")]
pub struct ReplacedDaysError;

/// A day that no batch can make whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{date} of `{source_name}` has {count} lines, but at most {MAX_STATEMENTS} can replace a day")]
pub struct DayTooLarge {
    source_name: String,
    date: NaiveDate,
    count: usize,
}

impl FromStr for ReplacedDays {
    type Err = ReplacedDaysError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once("..").ok_or(ReplacedDaysError)?;
        let date = |text: &str| text.trim().parse().map_err(|_| ReplacedDaysError);
        let (first, last) = (date(first)?, date(last)?);
        if last < first { Err(ReplacedDaysError) } else { Ok(Self { first, last }) }
    }
}

impl ReplacedDays {
    fn contains(self, date: NaiveDate) -> bool {
        (self.first..=self.last).contains(&date)
    }

    /// One batch for each source and day, though it have no line, and the lines of other days as they were.
    pub fn gather(self, batches: Vec<Batch>, verdict: &Verdict) -> Result<Vec<Batch>, DayTooLarge> {
        let dates = || self.first.iter_days().take_while(|date| *date <= self.last);
        let mut days: BTreeMap<(usize, NaiveDate), Vec<usize>> = (0..verdict.sources.len())
            .flat_map(|source| dates().map(move |date| ((source, date), Vec::new())))
            .collect();
        let mut others = Vec::new();
        for Batch { source, items, .. } in batches {
            let day = |place: &usize| verdict.items[*place].day;
            let (within, outside) = items.into_iter().partition::<Vec<_>, _>(|place| self.contains(day(place)));
            for place in within {
                days.entry((source, day(&place))).or_default().push(place);
            }
            if !outside.is_empty() {
                others.push((source, None, outside));
            }
        }
        if let Some(((source, date), items)) = days.iter().find(|(_, items)| items.len() > MAX_STATEMENTS) {
            let source_name = verdict.sources[*source].clone();
            return Err(DayTooLarge { source_name, date: *date, count: items.len() });
        }
        let days = days.into_iter().map(|((source, date), items)| (source, Some(date), items));
        let numbered = (0..).zip(days.chain(others));
        Ok(numbered.map(|(number, (source, replaces, items))| Batch { number, source, replaces, items }).collect())
    }
}
