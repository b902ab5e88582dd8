//! The items of a file, gathered by source into batches.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::judge::Verdict;

/// The number of statements in one request.
pub const BATCH: usize = 1_000;

/// Items of one source, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Counts the batches of a file, from 0.
    pub number: u64,
    /// The source that states them, by its place in the verdict.
    pub source: usize,
    /// The day that they make whole, if they do.
    pub replaces: Option<NaiveDate>,
    /// The items, by their places in the verdict.
    pub items: Vec<usize>,
}

/// All items but those of campaigns that could not be created. The same file gives the same batches.
pub fn gather(verdict: &Verdict, is_sent: impl Fn(usize) -> bool) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    // The batch of each source that is not full.
    let mut open: BTreeMap<usize, usize> = BTreeMap::new();
    for (place, item) in verdict.items.iter().enumerate().filter(|(_, item)| is_sent(item.campaign)) {
        let batch = *open.entry(item.source).or_insert_with(|| {
            let number = batches.len();
            batches.push(Batch { number: number as u64, source: item.source, replaces: None, items: Vec::new() });
            number
        });
        batches[batch].items.push(place);
        if batches[batch].items.len() == BATCH {
            open.remove(&item.source);
        }
    }
    batches
}
