//! The streamed response: a line for each chunk, and a last line.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use commands::ingest::ItemStatus;
use commands::{CommandContext, Completed};
use domain::item::ItemErrorCode;
use http_edge::problem::Problem;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::splitter::Chunk;
use crate::command::StreamingCommand;
use crate::response::consistency_token;
use crate::routes::batch::{BatchResponse, ItemErrorCodeSchema, ItemResponse, ItemStatusSchema};

/// The result of one line.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LineResult {
    /// The line's number in the request, from 1.
    line: u64,
    /// The item's id, if it has one that could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Whether it was accepted.
    #[schema(value_type = ItemStatusSchema)]
    status: ItemStatus,
    /// Why it was not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ItemErrorCodeSchema>)]
    reason: Option<ItemErrorCode>,
    /// The member with the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The error.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl LineResult {
    /// The result of an item, with the number of its line in the request.
    fn new(chunk: &Chunk, result: ItemResponse) -> Self {
        let ItemResponse { index, id, status, reason, field, detail } = result;
        let line = chunk.items.get(index).map_or(0, |(number, _)| *number);
        Self { line, id, status, reason, field, detail }
    }
}

/// The results of one chunk.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChunkResponse {
    /// Counted from 1.
    chunk: u64,
    /// The numbers of its first and last line.
    #[schema(value_type = Vec<u64>, example = json!([1, 1000]))]
    lines: (u64, u64),
    /// How many items were recorded.
    accepted: usize,
    /// How many items changed nothing.
    duplicates: usize,
    /// How many had other content than was recorded under their id.
    conflicts: usize,
    /// How many could not be recorded.
    rejected: usize,
    /// How many of these are kept, to be judged again: `GET /v1/rejections`.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<usize>,
    /// How many values had more than six decimal places and were rounded half to even.
    rounded: usize,
    /// The position of the log that covers the chunk.
    position: i64,
    /// Makes a read wait for the chunk.
    consistency_token: String,
    /// Whether it was recorded when the same request was sent before.
    replayed: bool,
    /// The items that were not accepted, or all of them with `results=all`, as far as a response lists them.
    results: Vec<LineResult>,
    /// How many of them are not listed: one response lists the first 1,000.
    results_omitted: usize,
}

/// The last line of a response: the totals of all chunks, and whether everything was recorded.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StreamSummary {
    /// Whether everything that was sent was processed.
    done: bool,
    /// Why not everything was processed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Problem>)]
    problem: Option<Value>,
    /// The first line that was not recorded: send it and what follows, or everything again with the same idempotency
    /// key.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume_from: Option<u64>,
    /// How many chunks were recorded.
    chunks: u64,
    /// How many lines were read.
    lines: u64,
    #[serde(flatten)]
    totals: Totals,
    /// Makes a read wait for all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency_token: Option<String>,
}

/// The totals of the chunks so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Totals {
    /// How many items were recorded.
    accepted: usize,
    /// How many items changed nothing.
    duplicates: usize,
    /// How many had other content than was recorded under their id.
    conflicts: usize,
    /// How many could not be recorded.
    rejected: usize,
    /// How many of these are kept, to be judged again: `GET /v1/rejections`.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<usize>,
    /// How many values had more than six decimal places and were rounded half to even.
    rounded: usize,
    /// The position of the log that covers all of it.
    position: i64,
    /// How many results are not listed.
    results_omitted: usize,
}

/// The writer of one response's lines, with the totals.
#[derive(Debug)]
pub(super) struct StreamTotals {
    chunks: u64,
    totals: Totals,
    /// When the event of the last position was recorded.
    recorded_at: Option<DateTime<Utc>>,
    /// How many more results may be listed. A response waits in memory while its caller still sends, so its size must
    /// be bounded.
    room: usize,
}

impl StreamTotals {
    pub(super) fn new(most_results: usize) -> Self {
        Self { chunks: 0, totals: Totals::default(), recorded_at: None, room: most_results }
    }

    /// The line of a chunk.
    pub(super) fn chunk(
        &mut self,
        context: &CommandContext,
        chunk: &Chunk,
        done: &Completed<()>,
        response: BatchResponse,
    ) -> Bytes {
        let BatchResponse { accepted, duplicates, conflicts, rejected, kept, rounded, position, results, .. } =
            response;
        let found = results.len();
        let listed: Vec<LineResult> =
            results.into_iter().take(self.room).map(|result| LineResult::new(chunk, result)).collect();
        let results_omitted = found - listed.len();
        self.room -= listed.len();
        self.chunks += 1;
        self.totals.accepted += accepted;
        self.totals.duplicates += duplicates;
        self.totals.conflicts += conflicts;
        self.totals.rejected += rejected;
        if let Some(kept) = kept {
            *self.totals.kept.get_or_insert_default() += kept;
        }
        self.totals.rounded += rounded;
        self.totals.results_omitted += results_omitted;
        if position >= self.totals.position {
            self.totals.position = position;
            self.recorded_at = done.recorded_at;
        }
        line(&ChunkResponse {
            chunk: chunk.number,
            lines: chunk.lines,
            accepted,
            duplicates,
            conflicts,
            rejected,
            kept,
            rounded,
            position,
            consistency_token: consistency_token(context, position, done.recorded_at).to_string(),
            replayed: done.replayed,
            results: listed,
            results_omitted,
        })
    }

    /// The last line after everything was processed.
    pub(super) fn end(&self, context: &CommandContext, lines: u64) -> Bytes {
        line(&self.summary(context, lines))
    }

    /// The last line after an error.
    pub(super) fn break_off(
        &self,
        command: &StreamingCommand,
        lines: u64,
        problem: &Problem,
        resume_from: u64,
    ) -> Bytes {
        let problem = Some(problem.clone().of_request(&command.request_id).to_json());
        let summary = self.summary(&command.context, lines);
        line(&StreamSummary { done: false, problem, resume_from: Some(resume_from), ..summary })
    }

    fn summary(&self, context: &CommandContext, lines: u64) -> StreamSummary {
        StreamSummary {
            done: true,
            problem: None,
            resume_from: None,
            chunks: self.chunks,
            lines,
            totals: self.totals,
            consistency_token: (self.chunks > 0)
                .then(|| consistency_token(context, self.totals.position, self.recorded_at).to_string()),
        }
    }
}

fn line(answer: &impl Serialize) -> Bytes {
    // These are plain structs of numbers and texts, so serialisation cannot fail.
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
