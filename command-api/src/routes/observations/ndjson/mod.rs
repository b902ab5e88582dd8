//! Newline-delimited JSON: one observation per line, any number of lines. The body is recorded chunk by chunk as it
//! arrives, and the response has a line for each chunk. Neither is ever held whole.
//!
//! An error before the first recorded chunk is a plain problem. After that, the status has been sent. So an error is in
//! the last line of the response, with the line to resume from.
//!
//! Each chunk has a receipt under its own key, derived from the caller's key. A repeated request finds the receipts of
//! the recorded chunks, returns the same lines for them, and continues with the rest.

pub(crate) mod answer; // the lines of the response
mod splitter; // cuts bytes into chunks

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use commands::ingest::{ObservationItem, observation_id};
use commands::rejections::{ItemForm, SentItems};
use commands::{CommandError, Idempotency};
use domain::item::{ItemError, ItemErrorCode, RejectedItem};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use http_edge::body::BodyStream;
use http_edge::json::BYTE_ORDER_MARK;
use http_edge::problem::{Problem, kinds};
use serde_json::value::RawValue;
use tokio::sync::mpsc::{self, UnboundedSender};
use tracing::Instrument;

use self::answer::StreamTotals;
use self::splitter::{Chunk, ChunkSplitter, Line, Size};
use super::backfill::BackfillPart;
use super::format::LINES;
use super::item;
use crate::command::{StreamingCommand, UnreadCommand};
use crate::problems::RouteError;
use crate::raw_number::Rounding;
use crate::routes::batch::{BatchResponse, ResultsFilter};
use crate::state::{ApiState, StreamLimits};

/// Records the lines of a body as observations of `source`.
pub(super) async fn record(
    state: ApiState,
    command: UnreadCommand,
    source: String,
    backfill: Option<BackfillPart>,
    filter: ResultsFilter,
) -> Result<Response, RouteError> {
    let limits = state.stream;
    let (command, body) = command.stream()?;
    let size = Size { lines: limits.chunk_lines, bytes: limits.chunk_bytes, line_bytes: limits.line_bytes };
    let content = command.content.clone().with(LINES).with(&source);
    let content = match &backfill {
        Some(part) => content.with(&part.content()),
        None => content,
    };
    let mut chunks =
        Chunks { body, piece: Bytes::new(), ended: false, cutter: ChunkSplitter::new(size, content), limits };
    let first = chunks.next().await?;
    let first = first.ok_or(CommandError::BatchSize {
        field: "observations",
        count: 0,
        most: usize::try_from(limits.lines).unwrap_or(usize::MAX),
    })?;

    let mut recording =
        ChunkRecorder { state, command, source, backfill, filter, totals: StreamTotals::new(limits.results) };
    let line = recording.record(&first).await?;
    let (sender, lines) = mpsc::unbounded_channel();
    // A caller that reads the response late, or never, must not stop the reading of the body.
    let answering = async move { answer(recording, chunks, first, line, sender).await };
    tokio::spawn(answering.instrument(tracing::Span::current()));

    let lines = stream::unfold(lines, |mut lines| async {
        let line: Option<Bytes> = lines.recv().await;
        line.map(|line| (Ok::<_, std::convert::Infallible>(line), lines))
    });
    let content_type = [(CONTENT_TYPE, HeaderValue::from_static(LINES))];
    Ok((StatusCode::OK, content_type, Body::from_stream(lines)).into_response())
}

/// Sends the whole response, line by line, unless the caller disconnects.
async fn answer(
    mut recording: ChunkRecorder,
    mut chunks: Chunks,
    first: Chunk,
    line: Bytes,
    sender: UnboundedSender<Bytes>,
) {
    let send = |line| {
        // It fails only if the caller has disconnected.
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
            // The next chunk is read while this one is appended.
            next = both(recorded, chunks.next(), || resume_from = chunk.lines.1 + 1).await?;
        }
        Ok(())
    };
    let ended: Result<(), Problem> = tokio::select! {
        ended = recorded => ended,
        () = sender.closed() => return,
    };
    let (command, lines) = (&recording.command, chunks.cutter.lines());
    send(match ended {
        Ok(()) => recording.totals.end(&command.context, lines),
        Err(problem) => {
            tracing::warn!(
                request_id = command.request_id,
                ?problem,
                resume_from,
                "a stream of observations broke off"
            );
            recording.totals.break_off(command, lines, &problem, resume_from)
        }
    });
}

/// Runs both concurrently. If the first one fails, it does not wait for the second.
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
    /// The bytes that arrived and are not split yet.
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

/// The recorder of one request's chunks.
struct ChunkRecorder {
    state: ApiState,
    command: StreamingCommand,
    source: String,
    backfill: Option<BackfillPart>,
    filter: ResultsFilter,
    totals: StreamTotals,
}

/// The pauses before a chunk is retried when the log's queue is full.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl ChunkRecorder {
    /// Records a chunk and returns its line of the response.
    async fn record(&mut self, chunk: &Chunk) -> Result<Bytes, Problem> {
        let idempotency = self.command.key.as_deref().map(|key| idempotency(key, chunk));
        let context = self.command.part(&self.state, idempotency).await?;
        let mut rounding = Rounding::default();
        let items = chunk.items.iter().map(|(_, line)| read(chunk, line, &mut rounding));
        let items: Vec<ObservationItem> = items.collect();
        let commands = &self.state.commands;
        let recorded = match &self.backfill {
            None => commands.record_observations(&context, &self.source, &items).await,
            Some(part) => {
                let part = part.chunk(chunk.number - 1, chunk.text_digest());
                commands.record_backfill_chunk(&context, &self.source, &part, &items).await
            }
        };
        let recorded = recorded.map_err(RouteError::from)?;
        let (batch, done) = recorded.split();
        let form = self.backfill.as_ref().map_or(ItemForm::Observation, BackfillPart::form);
        let sent = SentItems { source: &self.source, form, is_repeated: done.replayed };
        let text_of = |index: usize| match chunk.items.get(index) {
            Some((_, Line::Text(range))) => Some(chunk.text(range)),
            Some((_, Line::TooLong)) | None => None,
        };
        let kept = commands.keep_rejected(&context, &sent, &batch.results, text_of).await;
        let id_of = |index: usize| items.get(index).and_then(observation_id);
        let response = BatchResponse::new(batch, kept, &rounding, done.position, self.filter, id_of);
        Ok(self.totals.chunk(&context, chunk, &done, response))
    }

    /// Retries for a while when the log's queue is full. Meanwhile it reads nothing of the body, so the caller sends
    /// more slowly.
    async fn record_patiently(&mut self, chunk: &Chunk) -> Result<Bytes, Problem> {
        let begun = Instant::now();
        let mut longest = FIRST_PAUSE;
        loop {
            match self.record(chunk).await {
                Err(problem) if self.may_pass(&problem) && begun.elapsed() < self.state.stream.patience => {
                    tokio::time::sleep(longest.mul_f64(rand::random_range(0.5..1.0))).await;
                    longest = LONGEST_PAUSE.min(longest * 2);
                }
                recorded => return recorded,
            }
        }
    }

    /// Whether another attempt may succeed without reporting a new item as a duplicate.
    fn may_pass(&self, problem: &Problem) -> bool {
        match problem.code() {
            "overloaded" | "rate-limited" | "concurrent-change" | "request-in-flight" => true,
            // It is unknown whether the chunk was recorded, but its receipt or its number shows it.
            "unavailable" | "outcome-unknown" => self.command.key.is_some() || self.backfill.is_some(),
            _ => false,
        }
    }
}

/// The receipt of a chunk. The first chunk uses the caller's key itself, so that the key cannot be reused. The keys of
/// the others contain a space, which no caller's key can.
fn idempotency(key: &str, chunk: &Chunk) -> Idempotency {
    let key = if chunk.number == 1 { key.to_owned() } else { format!("{key} {}", chunk.number) };
    Idempotency { key, digest: chunk.digest() }
}

/// Reads the item of a line.
fn read(chunk: &Chunk, line: &Line, rounding: &mut Rounding) -> ObservationItem {
    match line {
        Line::Text(range) => read_text(chunk.text(range), rounding),
        Line::TooLong => Err(rejected(ItemErrorCode::TooLong, "is longer than a line may be")),
    }
}

/// Reads an item from its bytes.
pub(super) fn read_text(text: &[u8], rounding: &mut Rounding) -> ObservationItem {
    let text = std::str::from_utf8(text).map_err(|error| {
        rejected(ItemErrorCode::Malformed, format!("is not UTF-8 from byte {} on", error.valid_up_to()))
    })?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if !text.starts_with('{') {
        // A sequence would be read as the members in order.
        return Err(rejected(ItemErrorCode::Malformed, "must be an object"));
    }
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| rejected(ItemErrorCode::Malformed, format!("is not JSON: {error}")))?;
    item::read(raw, rounding)
}

fn rejected(reason: ItemErrorCode, detail: impl Into<String>) -> RejectedItem {
    ItemError::whole(reason, detail).into()
}
