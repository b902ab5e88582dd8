//! The memory of a replay: pages that are read and not folded yet, and rows that are folded and not written yet.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::batch::Accumulator;

/// The memory limit of a replay, roughly. It decides how much is read ahead and how many rows are written at once. One
/// event is held beside that, however large it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayMemory(u32);

impl ReplayMemory {
    /// The smallest limit, in MiB.
    pub const LEAST_MIB: u32 = 16;
    /// The largest limit, in MiB: rows that are written at once are locked at once.
    pub const MOST_MIB: u32 = 16_384;

    /// A limit in MiB, if it is from [`Self::LEAST_MIB`] to [`Self::MOST_MIB`].
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

/// How a log is cut while it is replayed. The rows do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSize {
    /// The most events of a page, which is read and folded by itself. Large events make smaller pages.
    pub page_events: usize,
    /// About how many events are written in one transaction, so that progress shows and an interruption costs little.
    /// Events that make many rows are fewer.
    pub fold_events: u64,
}

impl Default for SegmentSize {
    fn default() -> Self {
        Self { page_events: 8_000, fold_events: 200_000 }
    }
}

const KIB: usize = 1024;
/// The largest page, in bytes, that one core folds at once.
const LARGEST_PAGE: usize = 2 * KIB * KIB;
/// The bytes of a row between fold and database, in all forms that exist at once. The row is in the fold that grows or
/// in the one that is written, there also as columns and as message.
const ROW_BYTES: usize = 768;
/// The divisor of the row limit that makes a fold worth a transaction. A smaller fold would write too many rows of the
/// same buckets twice.
const PARTS_WORTH_WRITING: usize = 4;

/// How the memory is shared among the logs that are filled at once, and how these are cut.
#[derive(Debug, Clone)]
pub(super) struct MemoryBudget {
    /// Free KiB for pages: a quarter of the memory. Their folds take at most as much.
    pages: Arc<Semaphore>,
    all: u32,
    /// The bytes of one page: enough to keep a core busy for a moment, and a small part of the page memory.
    page_bytes: usize,
    /// The rows that make one log's fold full: half of the memory for all folds together. The page that is merged last
    /// may exceed this by its rows.
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

    /// Whether a page has its full size.
    pub(super) fn is_page(&self, events: usize, bytes: usize) -> bool {
        events >= self.cut.page_events || bytes >= self.page_bytes
    }

    /// Whether a fold is worth a write, if no other write is running.
    pub(super) fn should_flush(&self, fold: &Accumulator) -> bool {
        fold.rows() >= self.fold_rows / PARTS_WORTH_WRITING || fold.events >= self.cut.fold_events
    }

    /// Whether a fold must be written before anything more is merged. This is checked between pages, so that a full
    /// fold may exceed the limit by a page's rows.
    pub(super) fn is_full(&self, fold: &Accumulator) -> bool {
        fold.rows() >= self.fold_rows
    }

    /// Waits for the memory of a page. Dropping the permit releases it. A page that is larger than all the memory gets
    /// it alone.
    pub(super) async fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).min(self.all);
        // The semaphore is never closed.
        Arc::clone(&self.pages).acquire_many_owned(kib).await.ok()
    }
}

#[cfg(test)]
mod tests;
