//! Request bodies: their media type, their coding, and two ways to read them. A body is read whole, up to the edge's
//! limit, or piece by piece.

mod coding; // gzip and zstd

use std::error::Error;
use std::future::ready;
use std::io;
use std::pin::Pin;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use self::coding::ContentEncoding;
use super::limit::RequestPermit;
use super::problem::{Problem, kinds};
use super::request_log::BodyProgress;

/// The media type of a body in UTF-8, in lower case and without parameters. `None` if it is missing or names another
/// charset.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let mut parts = headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').map(str::trim);
    let media_type = parts.next()?.to_ascii_lowercase();
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            let value = value.trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
        }
        Some(_) | None => true,
    });
    utf8.then_some(media_type)
}

/// The problem (415) of an unsupported media type; `detail` names the supported ones.
pub fn unsupported_media_type(detail: &str) -> Problem {
    Problem::new(kinds::UNSUPPORTED_MEDIA_TYPE).detail(detail)
}

/// An error of reading a body.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("the body broke off")]
    Broken(#[source] axum::Error),
    #[error("there is no room for the body as it is when decoded")]
    NoRoom,
    #[error("the body is not {coding}")]
    Undecodable { coding: &'static str, source: io::Error },
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match &error {
            BodyError::Broken(_) | BodyError::NoRoom => unreadable(error),
            BodyError::Undecodable { .. } => undecodable(&error),
        }
    }
}

fn unreadable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Problem {
    Problem::new(kinds::UNREADABLE_BODY).with_source(cause)
}

fn undecodable(error: &BodyError) -> Problem {
    Problem::new(kinds::UNDECODABLE_BODY).detail(format!("{error}, not whole, or needs a window of more than 8 MiB."))
}

type BodyChunks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Reads the whole body, decoded. A body over the edge's limit, which counts decoded bytes, is rejected with 413 as
/// soon as it exceeds it.
pub async fn read_to_end<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let progress = request.extensions().get::<BodyProgress>().cloned();
    let coding = ContentEncoding::of(request.headers())?;
    let request = match coding {
        ContentEncoding::Identity => request,
        packed => {
            let admission = request.extensions().get::<RequestPermit>().cloned();
            request.map(|body| Body::from_stream(kept(packed.decode(arriving(body)), admission)))
        }
    };
    if let Some(progress) = &progress {
        progress.reading();
    }
    let read = Bytes::from_request(request, state).await;
    if let Some(progress) = &progress {
        progress.done();
    }
    read.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => Problem::payload_too_large(),
        other => match undecodable_behind(&other) {
            Some(error) => undecodable(error),
            None => unreadable(other),
        },
    })
}

/// Finds the decoding error in a chain of errors.
fn undecodable_behind<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a BodyError> {
    let mut behind = Some(error);
    while let Some(error) = behind {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found @ BodyError::Undecodable { .. }) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(found);
        }
        behind = error.source();
    }
    None
}

/// The decoded pieces of a body that is kept whole. The edge counts them like received bytes.
fn kept(pieces: BodyChunks, admission: Option<RequestPermit>) -> BodyChunks {
    let Some(admission) = admission else { return pieces };
    Box::pin(pieces.and_then(move |piece| {
        let held = admission.reserve_bytes(piece.len());
        ready(if held { Ok(piece) } else { Err(io::Error::other(BodyError::NoRoom)) })
    }))
}

/// The pieces of a body as they arrive, with the errors of this module.
fn arriving(body: Body) -> BodyChunks {
    Box::pin(body.into_data_stream().map_err(|error| io::Error::other(BodyError::Broken(error))))
}

/// A body that is read piece by piece, decoded. The edge's limit for whole bodies does not apply. So its reader must
/// bound what it keeps of it, and how much it reads.
pub struct BodyStream {
    pieces: BodyChunks,
    progress: Option<BodyProgress>,
    admission: Option<RequestPermit>,
}

impl BodyStream {
    pub fn of(request: Request) -> Result<Self, Problem> {
        let coding = ContentEncoding::of(request.headers())?;
        let progress = request.extensions().get::<BodyProgress>().cloned();
        let admission = request.extensions().get::<RequestPermit>().cloned();
        if let Some(admission) = &admission {
            admission.mark_streaming();
        }
        Ok(Self { pieces: coding.decode(arriving(request.into_body())), progress, admission })
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if let Some(progress) = &self.progress {
            progress.reading();
        }
        // Pieces that have arrived are read without waiting, so the task yields to others here.
        tokio::task::consume_budget().await;
        let piece = self.pieces.next().await;
        if let Some(progress) = &self.progress {
            progress.done();
        }
        piece.transpose().map_err(|error| {
            // The edge knows whether a limit cut the body off.
            let cut_off = self.admission.as_ref().and_then(RequestPermit::cut_off);
            cut_off.unwrap_or_else(|| error.downcast::<BodyError>().map_or_else(unreadable, Problem::from))
        })
    }
}

#[cfg(test)]
mod tests;
