//! Lists of any length: all pages of a query, read from one snapshot.

use super::{Probed, ReadModel, ReadRequest};
use crate::consistency::ConsistentSnapshot;
use crate::error::ReadError;
use crate::probe::Probe;
use crate::query::{Prepared, QueryResult, ResolvedQuery, load, probe};
use crate::resolved::ResultId;
use crate::status::ReadStatus;

/// The pages of a query, one after another, from one snapshot.
#[derive(Debug)]
pub struct PageReader {
    pub query: ResolvedQuery,
    pub status: ReadStatus,
    /// The id of the first page.
    pub id: ResultId,
    consistent: ConsistentSnapshot,
    /// The probe of the first page.
    probe: Option<Probe<Prepared>>,
    is_over: bool,
}

impl ReadModel {
    /// Takes a snapshot to read the pages of a query from. Nothing of it is cached.
    pub async fn read_pages(&self, request: ReadRequest<'_>) -> Result<PageReader, ReadError> {
        let request = request.drop_wait_if_unsupported();
        let mut consistent = self.acquire_snapshot(request).await?;
        let query = request.query.resolve(request.access, consistent.snapshot.query_defaults())?;
        let Probed { probe, status, id } = Probed::find(request, &query, &mut consistent).await?;
        Ok(PageReader { query, status, id, consistent, probe: Some(probe), is_over: false })
    }
}

impl PageReader {
    /// Sets the number of rows of all later pages.
    pub fn set_page_size(&mut self, rows: usize) {
        if let Some(paging) = &mut self.query.paging {
            paging.limit = rows;
        }
    }

    /// The next page. `None` after the last one.
    pub async fn next_page(&mut self) -> Result<Option<QueryResult>, ReadError> {
        let next = match self.probe.take() {
            Some(first) => first,
            None if self.is_over => return Ok(None),
            None => {
                let next = probe(&mut self.consistent, &self.query).await?;
                next.ok_or_else(|| ReadError::corrupt("a resource vanished from a snapshot"))?
            }
        };
        let result = load(&mut self.consistent.snapshot, &self.query, next).await?;
        match (&mut self.query.paging, &result.next_cursor) {
            (Some(paging), Some(cursor)) => paging.cursor = Some(cursor.clone()),
            _ => self.is_over = true,
        }
        Ok(Some(result))
    }
}
