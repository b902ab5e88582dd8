//! Newline-delimited JSON: one observation per line, however many. The body is recorded chunk by chunk as it arrives, and
//! answered chunk by chunk, so that neither it nor the answer is ever held whole.
//!
//! What was refused before anything was recorded is answered with a plain problem. Once the first chunk is recorded the status
//! is said, and what goes wrong then is told in the answer's last line, with the line to go on from.
//!
//! Each chunk has a receipt under a key of its own, derived from the caller's. The same request sent again finds the receipts
//! of the chunks that were recorded, is answered the same for them, and goes on with the rest.

pub(crate) mod answer; // the lines of the answer
mod splitter; // bytes to chunks

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use http_edge::body::BodyStream;
use http_edge::problem::{Problem, kinds};
use serde_json::value::RawValue;
use tokio::sync::mpsc::{self, UnboundedSender};
use tracing::Instrument;

use self::answer::StreamTotals;
use self::splitter::{Chunk, ChunkSplitter, Line, Size};
use super::items::BatchInput;
use crate::command::{StreamingCommand, UnreadCommand};
use crate::error::CommandError;
use crate::idempotency::Idempotency;
use crate::item_error::{ItemError, ItemErrorCode};
use crate::routes::batch::ResultsFilter;
use crate::state::{ApiState, StreamLimits};

/// What such a body and its answer are called.
pub(super) const MEDIA_TYPE: &str = "application/x-ndjson";

/// Records the lines of a body as observations of `source`.
pub(super) async fn record(
    state: ApiState,
    opened: UnreadCommand,
    source: String,
    listed: ResultsFilter,
) -> Result<Response, Problem> {
    let limits = state.limits.stream;
    let (flowing, body) = opened.flow()?;
    let size = Size { lines: limits.chunk_lines, bytes: limits.chunk_bytes, line_bytes: limits.line_bytes };
    let content = flowing.content.clone().with(MEDIA_TYPE).with(&source);
    let mut chunks =
        Chunks { body, piece: Bytes::new(), ended: false, cutter: ChunkSplitter::new(size, content), limits };
    let first = chunks.next().await?;
    let first = first.ok_or(CommandError::BatchSize {
        field: "observations",
        count: 0,
        most: usize::try_from(limits.lines).unwrap_or(usize::MAX),
    })?;

    let mut recording = ChunkRecorder { state, flowing, source, listed, tally: StreamTotals::new(limits.results) };
    let line = recording.record(&first).await?;
    let (sender, lines) = mpsc::unbounded_channel();
    // Whoever reads the answer late, or never, must not stop the reading of the body.
    let answering = async move { answer(recording, chunks, first, line, sender).await };
    tokio::spawn(answering.instrument(tracing::Span::current()));

    let lines = stream::unfold(lines, |mut lines| async {
        let line: Option<Bytes> = lines.recv().await;
        line.map(|line| (Ok::<_, std::convert::Infallible>(line), lines))
    });
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))];
    Ok((StatusCode::OK, content_type, Body::from_stream(lines)).into_response())
}

/// Gives the whole answer, line by line, unless the caller goes away.
async fn answer(
    mut recording: ChunkRecorder,
    mut chunks: Chunks,
    first: Chunk,
    line: Bytes,
    sender: UnboundedSender<Bytes>,
) {
    let send = |line| {
        // Nobody is there to be told that nobody is there.
        let _ = sender.send(line);
    };
    let mut resume_from = first.lines.1 + 1;
    send(line);
    let recorded = async {
        let mut next = chunks.next().await?;
        while let Some(chunk) = next {
            let recorded = async {
                send(recording.record_patiently(&chunk).await?);
                Ok(())
            };
            // While a chunk is appended the next one is read.
            next = both(recorded, chunks.next(), || resume_from = chunk.lines.1 + 1).await?;
        }
        Ok(())
    };
    let ended: Result<(), Problem> = tokio::select! {
        ended = recorded => ended,
        () = sender.closed() => return,
    };
    let (caller, lines) = (&recording.flowing.caller, chunks.cutter.lines());
    send(match ended {
        Ok(()) => recording.tally.end(caller, lines),
        Err(problem) => {
            tracing::warn!(
                request_id = caller.request_id(),
                ?problem,
                resume_from,
                "a stream of observations broke off"
            );
            recording.tally.break_off(caller, lines, &problem, resume_from)
        }
    });
}

/// Runs both at once. If the first one fails, the second is not waited for.
async fn both<T>(
    first: impl Future<Output = Result<(), Problem>>,
    second: impl Future<Output = Result<T, Problem>>,
    when_first: impl FnOnce(),
) -> Result<T, Problem> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    tokio::select! {
        one = &mut first => {
            one?;
            when_first();
            second.await
        }
        other = &mut second => {
            first.await?;
            when_first();
            other
        }
    }
}

/// The chunks of a body, as they arrive.
struct Chunks {
    body: BodyStream,
    /// What arrived and is not cut yet.
    piece: Bytes,
    ended: bool,
    cutter: ChunkSplitter,
    limits: StreamLimits,
}

impl Chunks {
    async fn next(&mut self) -> Result<Option<Chunk>, Problem> {
        while !self.ended {
            let mut uncut = &self.piece[..];
            let chunk = self.cutter.take(&mut uncut);
            self.piece = self.piece.slice(self.piece.len() - uncut.len()..);
            if chunk.is_some() {
                return Ok(chunk);
            }
            if self.cutter.lines() > self.limits.lines || self.cutter.bytes() > self.limits.bytes {
                return Err(self.too_large());
            }
            match self.body.next().await? {
                Some(piece) => self.piece = piece,
                None => self.ended = true,
            }
        }
        Ok(self.cutter.finish())
    }

    fn too_large(&self) -> Problem {
        let StreamLimits { lines, bytes, .. } = self.limits;
        Problem::new(kinds::PAYLOAD_TOO_LARGE)
            .detail(format!("One request takes {lines} lines and {bytes} bytes. Send the rest in another one."))
    }
}

/// Records the chunks of one request.
struct ChunkRecorder {
    state: ApiState,
    flowing: StreamingCommand,
    source: String,
    listed: ResultsFilter,
    tally: StreamTotals,
}

/// How a chunk is retried when the log has no room for it.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl ChunkRecorder {
    /// Records a chunk and gives its line of the answer.
    async fn record(&mut self, chunk: &Chunk) -> Result<Bytes, Problem> {
        let idempotency = self.flowing.key.as_deref().map(|key| idempotency(key, chunk));
        let caller = self.flowing.caller_of(&self.state, idempotency).await?;
        let (done, answer) = items(chunk).record(&self.state, &caller, &self.source, self.listed).await?;
        Ok(self.tally.chunk(&caller, chunk, &done, answer))
    }

    /// Waits for a while where the log has no room: the caller, of whom nothing is read meanwhile, sends more slowly then.
    async fn record_patiently(&mut self, chunk: &Chunk) -> Result<Bytes, Problem> {
        let begun = Instant::now();
        let mut longest = FIRST_PAUSE;
        loop {
            match self.record(chunk).await {
                Err(problem) if self.may_pass(&problem) && begun.elapsed() < self.state.limits.stream.patience => {
                    tokio::time::sleep(longest.mul_f64(rand::random_range(0.5..1.0))).await;
                    longest = LONGEST_PAUSE.min(longest * 2);
                }
                recorded => return recorded,
            }
        }
    }

    /// Whether trying again may help, and cannot count anything as sent twice that was sent once.
    fn may_pass(&self, problem: &Problem) -> bool {
        match problem.code() {
            "overloaded" | "rate-limited" | "concurrent-change" | "request-in-flight" => true,
            // It is not known then whether the chunk was recorded; its receipt knows.
            "unavailable" => self.flowing.key.is_some(),
            _ => false,
        }
    }
}

/// The receipt of a chunk. The first one's key is the caller's own, so that it cannot be used for anything else; the others'
/// hold a space, which no caller's can.
fn idempotency(key: &str, chunk: &Chunk) -> Idempotency {
    let key = if chunk.number == 1 { key.to_owned() } else { format!("{key} {}", chunk.number) };
    Idempotency { key, digest: chunk.digest() }
}

/// The items of a chunk, each at the place of its line's number.
fn items(chunk: &Chunk) -> BatchInput<'_> {
    let mut items = BatchInput::default();
    for (number, line) in &chunk.items {
        let place = usize::try_from(*number).unwrap_or(usize::MAX);
        let refuse = |reason, detail: String| ItemError { reason, field: None, detail };
        let read = match line {
            Line::Text(range) => match std::str::from_utf8(chunk.text(range)) {
                Ok(text) if !text.starts_with('{') => {
                    // A sequence would be read as the members in order.
                    Err(refuse(ItemErrorCode::Malformed, "must be an object".to_owned()))
                }
                Ok(text) => serde_json::from_str::<&RawValue>(text)
                    .map_err(|error| refuse(ItemErrorCode::Malformed, format!("is not JSON: {error}"))),
                Err(error) => {
                    Err(refuse(ItemErrorCode::Malformed, format!("is not UTF-8 from byte {} on", error.valid_up_to())))
                }
            },
            Line::TooLong => Err(refuse(ItemErrorCode::TooLong, "is longer than a line may be".to_owned())),
        };
        match read {
            Ok(item) => items.add(place, item),
            Err(refusal) => items.refuse(place, None, refusal),
        }
    }
    items
}
