//! Reads a log's pages ahead of the fold. One statement reads a range of positions, whose rows are cut into pages as
//! they arrive.

use event_store::StoredEvent;
use event_store::follow::LogPage;
use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::super::batch::gap_error;
use super::super::error::ReplayError;
use super::memory::MemoryBudget;

/// The number of positions of the first statement, when the events' size is unknown, and of the longest.
const FIRST_RANGE: i64 = 250;
const LONGEST_RANGE: i64 = 50_000;
/// The payload bytes that one statement should read. It stays open while its rows are folded and written, and must end
/// long before the database would cancel it.
const RANGE_BYTES: usize = 32 * 1024 * 1024;

/// Events of a log that directly follow those of the page before.
pub(super) struct Page {
    pub(super) page: LogPage,
    /// The memory permit, released when the page is folded.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// Reads the events after `resume_after` up to `through`. It ends when all are sent, the receiver is gone, or a read
/// fails.
pub(super) async fn read(
    pool: PgPool,
    room: MemoryBudget,
    (workspace, after, through): (i32, i64, i64),
    pages: mpsc::Sender<Result<Page, ReplayError>>,
) {
    let mut reader = Reader { room, workspace, after, through, pages };
    if let Err(error) = reader.read(&pool).await {
        // A closed channel means that the receiver is gone.
        let _ = reader.pages.send(Err(error)).await;
    }
}

struct Reader {
    room: MemoryBudget,
    workspace: i32,
    /// The last position that was sent.
    after: i64,
    through: i64,
    pages: mpsc::Sender<Result<Page, ReplayError>>,
}

impl Reader {
    async fn read(&mut self, pool: &PgPool) -> Result<(), ReplayError> {
        let mut session = Session(Some(pool.acquire().await?));
        let mut range = FIRST_RANGE;
        while self.after < self.through {
            let Some(conn) = session.0.as_deref_mut() else { break };
            match self.range(conn, self.through.min(self.after + range)).await? {
                Some(bytes) => range = next_range(range, bytes),
                None => return Ok(()),
            }
        }
        session.give_back();
        Ok(())
    }

    /// Sends the events up to `last` and returns their size; `None` when the receiver is gone. A hole is an error,
    /// after the events before it are sent.
    async fn range(&mut self, conn: &mut PgConnection, last: i64) -> Result<Option<usize>, ReplayError> {
        let mut transaction = conn.begin().await?;
        let mut events = event_store::read_range(&mut transaction, self.workspace, self.after, last).await?;
        let (mut page, mut page_bytes, mut bytes) = (Vec::new(), 0, 0);
        while let Some(event) = events.try_next().await? {
            page_bytes += event.size();
            page.push(event);
            if self.room.is_page(page.len(), page_bytes) {
                if !self.send(std::mem::take(&mut page), page_bytes).await? {
                    return Ok(None);
                }
                bytes += std::mem::take(&mut page_bytes);
            }
        }
        if !page.is_empty() && !self.send(page, page_bytes).await? {
            return Ok(None);
        }
        drop(events);
        transaction.commit().await?;
        self.expect(last)?;
        Ok(Some(bytes + page_bytes))
    }

    /// `false` when the receiver is gone.
    async fn send(&mut self, events: Vec<StoredEvent>, bytes: usize) -> Result<bool, ReplayError> {
        let read_to = events.last().map_or(self.after, |event| event.position);
        let page = LogPage::check(self.workspace, self.after, events, read_to);
        self.after = page.last();
        let page = Page { page, room: self.room.take(bytes).await };
        let is_wanted = page.page.events().is_empty() || self.pages.send(Ok(page)).await.is_ok();
        if is_wanted {
            self.expect(read_to)?;
        }
        Ok(is_wanted)
    }

    /// Checks for a hole: the log is known to reach `position`.
    fn expect(&self, position: i64) -> Result<(), ReplayError> {
        let missing = gap_error(&LogPage::check(self.workspace, self.after, Vec::new(), position));
        missing.map_or(Ok(()), |refused| Err(ReplayError::Stopped(refused)))
    }
}

/// A session that reads ranges. If it is dropped in the middle of one, it is not reused, because the rest of that
/// result would answer the next query.
struct Session(Option<PoolConnection<Postgres>>);

impl Session {
    /// Returns the session to the pool, because everything was read.
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.0.take().map(PoolConnection::detach));
    }
}

/// The number of positions that should give [`RANGE_BYTES`], growing step by step.
fn next_range(range: i64, bytes: usize) -> i64 {
    let events = usize::try_from(range).unwrap_or(1);
    let fitting = events.saturating_mul(RANGE_BYTES) / bytes.max(1);
    let longest = range.saturating_mul(8).min(LONGEST_RANGE);
    i64::try_from(fitting).unwrap_or(longest).clamp(1, longest)
}
