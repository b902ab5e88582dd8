//! Rows as CSV: all of them, from one snapshot, written while they are read.
//!
//! A task reads page after page in one transaction and passes each to the connection. The connection takes the next
//! page when the last is sent, so only one page is in memory. An error before the first rows is answered as a problem.
//! A later error breaks the connection, so that an incomplete file never looks complete.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use http_edge::problem::Problem;
use queries::consistency::ConsistencyRequirement;
use queries::report::MAX_SUMS;
use queries::{Query, ReadRequest};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use crate::context::ReadContext;
use crate::csv::CsvEncoder;
use crate::error::ApiError;
use crate::response::{self, ETag};

/// The number of rows that are read at a time.
const PAGE_SIZE: usize = 1_000;

/// The longest time without progress of the caller. After it, the snapshot is released.
const PATIENCE: Duration = Duration::from_secs(30);

/// The channel of a file's rows.
struct CsvStream {
    head: Option<oneshot::Sender<Result<Response, ApiError>>>,
    pieces: mpsc::Sender<CsvChunk>,
}

/// The inputs of a file.
struct Export {
    caller: ReadContext,
    query: Query,
    consistency: ConsistencyRequirement,
    /// Whether the caller limits the rows to those of a page.
    is_limited: bool,
    file: String,
}

enum CsvChunk {
    Rows(Bytes),
    /// The end of the rows. Without it, the file is incomplete.
    End,
}

/// Answers with all rows of a query, which a task writes.
pub(crate) async fn export(
    caller: ReadContext,
    query: Query,
    consistency: ConsistencyRequirement,
    is_limited: bool,
    file: String,
) -> Result<Response, ApiError> {
    let (head, begun) = oneshot::channel();
    let (pieces, written) = mpsc::channel(1);
    let stream = CsvStream { head: Some(head), pieces };
    let export = Export { caller, query, consistency, is_limited, file };
    // The task ends with this request until its rows begin. Later it ends when the receiver is dropped.
    let writing = tokio::spawn(async move { stream.write(&export).await }.in_current_span());
    let writing = AbortOnDropHandle::new(writing);
    let response = begun.await.map_err(|_| ApiError::internal("an export ended before it began"))??;
    drop(writing.detach());
    if response.status() != StatusCode::OK {
        return Ok(response);
    }
    // The compression may poll again after the end.
    Ok(response.map(|_empty| Body::from_stream(stream::unfold(Some(written), next).fuse())))
}

/// The next rows. A task that ends without an end marker has failed.
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
    async fn write(mut self, export: &Export) {
        if let Err(error) = self.stream_rows(export).await {
            if let Some(head) = self.head.take() {
                drop(head.send(Err(error)));
            } else {
                tracing::error!(error = ?error.into_problem(), "an export broke off");
            }
        }
    }

    async fn stream_rows(&mut self, export: &Export) -> Result<(), ApiError> {
        let Export { caller, query, consistency, is_limited, file } = export;
        // An export holds a connection while its caller reads, so their number is limited. The rest stays for short
        // answers.
        let Ok(_room) = caller.state.exports.try_acquire() else { return Err(Problem::overloaded().into()) };
        // A file is another representation, so a cached JSON answer does not match it.
        let holds = |_: &_| false;
        let request = ReadRequest { access: caller.access(), query, consistency: *consistency, client_has: &holds };
        let mut pages = caller.state.model.read_pages(request).await?;
        let (tag, last_modified) = (ETag::of(&pages.id).in_form("csv"), pages.id.last_modified());
        let caching = caller.file_caching();
        if caller.has_etag(&tag) {
            self.begin(response::not_modified(&tag, last_modified, &pages.status, caching));
            return Ok(());
        }
        if !is_limited {
            // A report is aggregated as a whole, so it is read as a whole.
            pages.set_page_size(if matches!(query, Query::Report(_)) { MAX_SUMS } else { PAGE_SIZE });
        }
        let mut encoder = CsvEncoder::new(&pages.query.query)?;
        let mut first = Some(head(response::ok(&tag, last_modified, &pages.status, caching, Bytes::new()), file));
        while let Some(page) = pages.next_page().await? {
            encoder.add(&pages.query.query, &page)?;
            if let Some(head) = first.take() {
                self.begin(head);
            }
            if !self.send(CsvChunk::Rows(encoder.take()?)).await {
                return Ok(());
            }
            if *is_limited {
                break;
            }
        }
        self.send(CsvChunk::End).await;
        Ok(())
    }

    fn begin(&mut self, response: Response) {
        if let Some(head) = self.head.take() {
            // A caller that is gone needs no head.
            drop(head.send(Ok(response)));
        }
    }

    /// Sends a chunk. False if the receiver was dropped.
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
