//! How much a replay holds at a time: what was read and is not folded yet, and what was folded and is not written yet.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::batch::Accumulator;

/// What a replay may hold of the memory at a time, roughly: how much it reads ahead and how many rows it writes at once
/// follow from it. One event is held beside that, however large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayMemory(u32);

impl ReplayMemory {
    /// The least that it takes, in MiB.
    pub const LEAST_MIB: u32 = 16;
    /// The most that makes sense, in MiB: rows that are written at once are locked at once.
    pub const MOST_MIB: u32 = 16_384;

    /// So many MiB, if it is from [`Self::LEAST_MIB`] to [`Self::MOST_MIB`].
    pub fn of_mib(mib: u32) -> Option<Self> {
        (Self::LEAST_MIB..=Self::MOST_MIB).contains(&mib).then_some(Self(mib))
    }
}

impl Default for ReplayMemory {
    fn default() -> Self {
        Self(64)
    }
}

impl fmt::Display for ReplayMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0)
    }
}

/// How a log is cut while it is replayed. Its rows do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSize {
    /// Events that are read and folded by themselves, at most; fewer if they are large.
    pub page_events: usize,
    /// Events that are written in one transaction, about, so that progress shows and an interruption costs little; fewer if
    /// they make many rows.
    pub fold_events: u64,
}

impl Default for SegmentSize {
    fn default() -> Self {
        Self { page_events: 8_000, fold_events: 200_000 }
    }
}

const KIB: usize = 1024;
/// The largest page: what is folded at once on one core.
const LARGEST_PAGE: usize = 2 * KIB * KIB;
/// What a row takes on its way from the fold to the database, in all the forms that stand at the same time: in the fold that
/// gathers and in the one that is written, there also as columns and as they are sent.
const ROW_BYTES: usize = 768;
/// One part in so many of the rows that there is room for is worth a transaction: less would write too many rows of the same
/// buckets twice.
const PARTS_WORTH_WRITING: usize = 4;

/// How the memory is shared out among the logs that are filled at the same time, and how these are cut.
#[derive(Debug, Clone)]
pub(super) struct MemoryBudget {
    /// KiB that are free for pages. A quarter of the memory; what they fold to takes as much at most.
    pages: Arc<Semaphore>,
    all: u32,
    /// Events of one page: enough to keep a core busy for a moment, and a small part of what there is room for.
    page_bytes: usize,
    /// Rows of one log's fold that make it full. Half of the memory, together. The page that is joined last may bring more than
    /// are missing: a fold may pass this by its rows.
    fold_rows: usize,
    cut: SegmentSize,
}

impl MemoryBudget {
    pub(super) fn of(ReplayMemory(mib): ReplayMemory, cut: SegmentSize, logs_at_once: usize) -> Self {
        let kib = mib.saturating_mul(256);
        let bytes = usize::try_from(mib).unwrap_or(usize::MAX).saturating_mul(KIB * KIB);
        Self {
            pages: Arc::new(Semaphore::new(usize::try_from(kib).unwrap_or(Semaphore::MAX_PERMITS))),
            all: kib,
            page_bytes: (bytes / 32).min(LARGEST_PAGE),
            fold_rows: bytes / 2 / ROW_BYTES / logs_at_once.max(1),
            cut,
        }
    }

    /// Whether a page is as large as it may be.
    pub(super) fn is_page(&self, events: usize, bytes: usize) -> bool {
        events >= self.cut.page_events || bytes >= self.page_bytes
    }

    /// Whether a fold is to be written, if nothing else is.
    pub(super) fn should_flush(&self, fold: &Accumulator) -> bool {
        fold.rows() >= self.fold_rows / PARTS_WORTH_WRITING || fold.events >= self.cut.fold_events
    }

    /// Whether a fold is to be written before anything more is joined to it. It is asked between pages, so that a full one may
    /// have a page's rows more than there is room for.
    pub(super) fn is_full(&self, fold: &Accumulator) -> bool {
        fold.rows() >= self.fold_rows
    }

    /// Waits until there is room for a page. Given back when what is returned is dropped. One that is larger than all the
    /// room has it alone.
    pub(super) async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).min(self.all);
        // Never closed.
        Arc::clone(&self.pages).acquire_many_owned(kib).await.ok()
    }
}

#[cfg(test)]
mod tests;
