//! Rows as CSV: all of them, from one snapshot, written while they are read.
//!
//! A task reads page after page in one transaction and hands each to the connection, which takes the next when the last is
//! sent: however many rows there are, one page is in memory. What goes wrong before the first rows is answered as a problem;
//! what goes wrong behind them breaks the connection, so that no file that is too short looks whole.

mod sheet; // rows of JSON to lines of CSV

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use http_edge::problem::Problem;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

pub(crate) use self::sheet::Column;
use self::sheet::CsvEncoder;
use super::{Params as _, ProbedResult, ReadContext, ReadRequest, Resource};
use crate::error::ReadError;
use crate::response::{self, CachePolicy};

/// A resource that is made of rows.
pub(crate) trait Table: Resource + 'static {
    /// How many rows are read at a time.
    const PAGE_SIZE: usize = 1_000;

    /// What the file is called, but for its ending.
    fn file_name(&self) -> String;

    /// The columns of the file.
    fn columns(&self, query: &Self::Query) -> Vec<Column>;
}

/// Whoever takes nothing for so long has gone; the snapshot is let go.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way out for rows.
struct CsvStream {
    head: Option<oneshot::Sender<Result<Response, ReadError>>>,
    pieces: mpsc::Sender<CsvChunk>,
}

enum CsvChunk {
    Rows(Bytes),
    /// There are no more. Without it the file is not whole.
    End,
}

/// All rows of a table, which a task of their own writes.
pub(super) async fn export<T: Table>(caller: ReadContext, table: T) -> Result<Response, ReadError> {
    let (head, begun) = oneshot::channel();
    let (pieces, written) = mpsc::channel(1);
    let export = CsvStream { head: Some(head), pieces };
    // Ends with this request until its rows begin; from there on it ends when nobody takes them.
    let writing = tokio::spawn(async move { export.write(&caller, &table).await }.in_current_span());
    let writing = AbortOnDropHandle::new(writing);
    let response = begun.await.map_err(|_| ReadError::corrupt("an export ended before it began"))??;
    drop(writing.detach());
    if response.status() != StatusCode::OK {
        return Ok(response);
    }
    // Whoever packs the rows may ask again behind their end.
    Ok(response.map(|_empty| Body::from_stream(stream::unfold(Some(written), next).fuse())))
}

/// The next rows. A task that ends without saying so has failed.
async fn next(
    written: Option<mpsc::Receiver<CsvChunk>>,
) -> Option<(io::Result<Bytes>, Option<mpsc::Receiver<CsvChunk>>)> {
    let mut written = written?;
    match written.recv().await {
        Some(CsvChunk::Rows(rows)) => Some((Ok(rows), Some(written))),
        Some(CsvChunk::End) => None,
        None => Some((Err(io::Error::other("the rows could not be read to the end")), None)),
    }
}

impl CsvStream {
    async fn write<T: Table>(mut self, caller: &ReadContext, table: &T) {
        if let Err(refusal) = self.stream_rows(caller, table).await {
            if let Some(head) = self.head.take() {
                drop(head.send(Err(refusal)));
            } else {
                tracing::error!(error = &refusal as &dyn std::error::Error, "an export broke off");
            }
        }
    }

    async fn stream_rows<T: Table>(&mut self, caller: &ReadContext, table: &T) -> Result<(), ReadError> {
        let read = ReadRequest::new(caller, table)?;
        // Each holds a connection for as long as its caller reads: the others stay for answers that are short.
        let Ok(_room) = caller.state.exports.try_acquire() else { return Err(ReadError::Edge(Problem::overloaded())) };
        let mut settled = read.settle(table).await?;
        let ProbedResult { mut sought, mut survey, standing, tag } = read.probe(table, &mut settled).await?;
        let tag = tag.in_form("csv");
        let caching = if caller.is_conditional { CachePolicy::NoCache } else { CachePolicy::NoStore };
        if caller.has_etag(&tag) {
            self.begin(response::not_modified(&tag, &standing, caching));
            return Ok(());
        }
        let is_limited = table.params().is_limited();
        if !is_limited && let Some(paging) = &mut sought.paging {
            paging.limit = T::PAGE_SIZE;
        }
        let mut sheet = CsvEncoder::new(table.columns(&sought.query))?;
        let mut first = Some(head(response::ok(&tag, &standing, caching, Bytes::new()), &table.file_name()));
        loop {
            let told = table.render(&mut settled.snapshot, &sought, survey).await?;
            sheet.add(&told.body)?;
            if let Some(head) = first.take() {
                self.begin(head);
            }
            if !self.send(CsvChunk::Rows(sheet.written()?)).await {
                return Ok(());
            }
            let cursor = told.next_cursor.filter(|_| !is_limited);
            let (Some(paging), Some(cursor)) = (&mut sought.paging, cursor) else { break };
            paging.cursor = Some(cursor);
            let next = table.probe(&mut settled, &sought.query).await?;
            survey = next.ok_or_else(|| ReadError::corrupt("what a snapshot shows is gone from it"))?;
        }
        self.send(CsvChunk::End).await;
        Ok(())
    }

    fn begin(&mut self, response: Response) {
        if let Some(head) = self.head.take() {
            // A caller that is gone wants no head either.
            drop(head.send(Ok(response)));
        }
    }

    /// False when nobody takes it.
    async fn send(&self, piece: CsvChunk) -> bool {
        matches!(tokio::time::timeout(PATIENCE, self.pieces.send(piece)).await, Ok(Ok(())))
    }
}

fn head(mut response: Response, file_name: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    if let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{file_name}.csv\"")) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}
