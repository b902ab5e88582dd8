//! The next events of a log, checked for holes.

use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::{PgConnection, PgPool};

use super::lagging::LaggingLog;
use crate::log::{self, PageLimit, StoredEvent};

/// The number of pages that [`read_pages`] reads at the same time.
const PAGES_AT_ONCE: usize = 4;

/// Events of one log that directly follow a cursor, without a hole.
#[derive(Debug)]
pub struct LogPage {
    /// The workspace of the log.
    pub workspace: i32,
    /// The cursor that they follow.
    pub after: i64,
    events: Vec<StoredEvent>,
    /// Whether the log has a hole right after them.
    has_gap: bool,
}

impl LogPage {
    /// Checks a page: it must start right after the cursor and have no hole. Events before a hole are kept.
    ///
    /// `head` is a position that the log is known to reach, so that an empty page before it is a hole too.
    pub fn check(workspace: i32, after: i64, mut events: Vec<StoredEvent>, head: i64) -> Self {
        let contiguous = (after + 1..).zip(&events).take_while(|(expected, event)| event.position == *expected).count();
        let is_cut = contiguous < events.len();
        events.truncate(contiguous);
        let is_missing = events.is_empty() && after < head;
        Self { workspace, after, events, has_gap: is_cut || is_missing }
    }

    /// The position of its last event; the cursor, if it has none.
    pub fn last(&self) -> i64 {
        self.events.last().map_or(self.after, |event| event.position)
    }

    /// Its events, in order.
    pub fn events(&self) -> &[StoredEvent] {
        &self.events
    }

    /// The bytes to decode.
    pub fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.payload().len()).sum()
    }

    /// The position of a missing event, if the log cannot be followed any further. `None` while there are events before
    /// the hole; it is found again after them.
    pub fn missing(&self) -> Option<i64> {
        (self.has_gap && self.events.is_empty()).then_some(self.after + 1)
    }

    /// A copy of the events, to be tried separately. A hole after them is found again once they are processed.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { workspace: self.workspace, after: self.after, events: self.events.clone(), has_gap: false }
    }

    /// Keeps the events before a rejected one. Returns the rejected event if there are none.
    pub fn truncate_before(&mut self, position: i64) -> Option<StoredEvent> {
        let kept = usize::try_from(position - self.after - 1).unwrap_or(0);
        self.has_gap = false;
        if kept == 0 {
            return self.events.drain(..).next();
        }
        self.events.truncate(kept);
        None
    }

    /// Keeps the first half, to find the event that fails.
    pub fn bisect(&mut self) {
        self.events.truncate(self.events.len() / 2);
        self.has_gap = false;
    }
}

/// Reads the next page of a log. One event always fits.
pub async fn read_page(conn: &mut PgConnection, log: LaggingLog, limit: PageLimit) -> Result<LogPage, sqlx::Error> {
    let LaggingLog { workspace, after, head } = log;
    let events = log::read_page(conn, workspace, after, limit.events.max(1), limit.bytes).await?;
    Ok(LogPage::check(workspace, after, events, head))
}

/// Reads the next page of each of these logs, in order. The limit applies to all pages together. Every page is read
/// completely, so that the caller holds no connection of the pool afterwards.
pub async fn read_pages(pool: &PgPool, logs: &[LaggingLog], limit: PageLimit) -> Result<Vec<LogPage>, sqlx::Error> {
    let share = i64::try_from(logs.len()).unwrap_or(i64::MAX).max(1);
    let limit = PageLimit { events: limit.events / share, bytes: limit.bytes / share };
    // Created before they are polled: a stream that borrows a closure is not Send for every lifetime.
    let reads: Vec<_> = logs.iter().map(|&log| read_with(pool, log, limit)).collect();
    stream::iter(reads).buffered(PAGES_AT_ONCE).try_collect().await
}

#[tracing::instrument(level = "debug", name = "read_page", skip_all, fields(workspace = log.workspace))]
async fn read_with(pool: &PgPool, log: LaggingLog, limit: PageLimit) -> Result<LogPage, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    read_page(&mut conn, log, limit).await
}
