//! Reads a log's pages ahead of the fold: a range of positions by one statement, whose rows are cut into pages as they arrive.

use futures_util::TryStreamExt;
use sqlx::PgPool;
use tokio::sync::mpsc;

use super::super::batch::Batch;
use super::ReplayError;

/// Events of one page, and their payloads: small, so that the fold begins soon and is seldom waited for.
const PAGE_EVENTS: usize = 1_000;
const PAGE_BYTES: usize = 1024 * 1024;
/// Positions of the first statement, when nothing is known of the events' size, and of the longest.
const FIRST_RANGE: i64 = 250;
const LONGEST_RANGE: i64 = 20_000;
/// Payloads that one statement should give: it is held open while what it gives is folded and written, and must end long
/// before the database would cancel it.
const RANGE_BYTES: usize = 32 * 1024 * 1024;

/// Reads the events after `after` up to `through`, until all are sent, nobody wants more, or one cannot be had.
pub(super) async fn read(
    pool: PgPool,
    workspace: i32,
    after: i64,
    through: i64,
    pages: mpsc::Sender<Result<Batch, ReplayError>>,
) {
    let mut reader = Reader { pool, workspace, after, pages };
    let mut range = FIRST_RANGE;
    while reader.after < through {
        let last = through.min(reader.after + range);
        match reader.range(last).await {
            Ok(Some(bytes)) => range = next_range(range, bytes),
            Ok(None) => return,
            Err(error) => {
                // A closed channel means that nobody wants to know.
                let _ = reader.pages.send(Err(error)).await;
                return;
            }
        }
    }
}

struct Reader {
    pool: PgPool,
    workspace: i32,
    /// The last position that was sent.
    after: i64,
    pages: mpsc::Sender<Result<Batch, ReplayError>>,
}

impl Reader {
    /// Sends the events up to `last`, or to a hole before it, and says how large they were; `None` when nobody wants more.
    async fn range(&mut self, last: i64) -> Result<Option<usize>, ReplayError> {
        let pool = self.pool.clone();
        let mut conn = pool.acquire().await?;
        let mut rows = event_store::read_range(&mut conn, self.workspace, self.after, last);
        let (mut page, mut page_bytes, mut bytes) = (Vec::new(), 0, 0);
        loop {
            let row = rows.try_next().await?;
            let is_end = row.is_none();
            if let Some(event) = row {
                page_bytes += event.payload.len();
                page.push(event);
            }
            if page.len() < PAGE_EVENTS && page_bytes < PAGE_BYTES && !is_end {
                continue;
            }
            bytes += page_bytes;
            page_bytes = 0;
            let read_to = page.last().map_or(last, |event| event.position);
            let batch = Batch::check(self.workspace, self.after, std::mem::take(&mut page), read_to);
            if let Some(refused) = batch.dead_end() {
                return Err(ReplayError::Stopped(refused));
            }
            self.after = batch.last();
            let is_cut = self.after < read_to;
            if !batch.events().is_empty() && self.pages.send(Ok(batch)).await.is_err() {
                return Ok(None);
            }
            // The next statement begins at the hole, and finds it.
            if is_end || is_cut {
                return Ok(Some(bytes));
            }
        }
    }
}

/// As many positions as should give [`RANGE_BYTES`], growing step by step.
fn next_range(range: i64, bytes: usize) -> i64 {
    let events = usize::try_from(range).unwrap_or(1);
    let fitting = events.saturating_mul(RANGE_BYTES) / bytes.max(1);
    let longest = range.saturating_mul(8).min(LONGEST_RANGE);
    i64::try_from(fitting).unwrap_or(longest).clamp(1, longest)
}
