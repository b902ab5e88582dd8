//! `highwater import observations`: sends a file of single observations, as history or as plain ingest.
//!
//! The file is read once, from its start to its end, and never held whole. It is cut into chunks by its content alone,
//! so a second run sends the same chunks: of a backfill the server knows those that it has, and of plain ingest the
//! ids.

mod chunks;
mod columns;
mod records;
mod report;

#[cfg(test)]
mod tests;

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use self::chunks::{Chunk, Chunks};
use self::records::Records;
use self::report::Report;
use super::progress::Progress;
use super::run::write;
use crate::client::{ApiClient, ApiResponse};

pub use self::columns::{ColumnName, Columns, LocalTime};

/// How many chunks of a backfill are underway at once. Its observations do not depend on each other.
const CHUNKS_AT_ONCE: usize = 4;

/// What the operator asks for.
#[derive(Debug, Clone)]
pub struct ObservationFile {
    /// The file.
    pub file: PathBuf,
    /// What its columns mean, if it is CSV.
    pub columns: Columns,
    /// The source.
    pub source: String,
    /// The name of the backfill that the file is; `None`: it is plain ingest.
    pub backfill: Option<String>,
    /// The edge of the backfill, as the operator writes it.
    pub before: Option<String>,
}

/// Sends a file.
pub async fn import(options: &ObservationFile, client: &ApiClient) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let name = options.file.display().to_string();
    let mut file = std::fs::File::open(&options.file).with_context(|| format!("cannot open {name}"))?;
    let size = file.metadata().with_context(|| name.clone())?.len();
    let is_json = begins_with_object(&mut file).with_context(|| name.clone())?;
    let records = Records::new(BufReader::new(file), is_json, options).with_context(|| name.clone())?;
    let progress = Progress::default();
    for warning in records.warnings() {
        progress.say(&warning);
    }
    progress.phase("bytes", size);
    let mut report = Report::of(name, options.backfill.is_some());
    let mut chunks = Chunks::new(records, &options.source);
    let outcome = send(options, client, &mut chunks, &mut report, &progress).await;
    progress.finish();
    report.refused(chunks.take_refused());
    for line in report.take_named() {
        progress.say(&line);
    }
    write(&report.text(started.elapsed().as_secs_f64()))?;
    outcome?;
    Ok(if report.has_refused() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn send(
    options: &ObservationFile,
    client: &ApiClient,
    chunks: &mut Chunks,
    report: &mut Report,
    progress: &Progress,
) -> anyhow::Result<()> {
    // The first chunk fixes the edge of a backfill, and names what is wrong with all.
    let Some(first) = chunks.next().transpose()? else { return Ok(()) };
    let answer = send_chunk(options, client, &first).await?;
    report.chunk(&first, &answer);
    progress.at(first.read);
    // Without a backfill, a correction may need what an earlier chunk records.
    let at_once = if options.backfill.is_some() { CHUNKS_AT_ONCE } else { 1 };
    let mut sent = stream::iter(chunks)
        .map(|chunk| async move {
            let chunk = chunk?;
            let answer = send_chunk(options, client, &chunk).await?;
            anyhow::Ok((chunk, answer))
        })
        .buffered(at_once);
    while let Some((chunk, answer)) = sent.try_next().await? {
        report.chunk(&chunk, &answer);
        progress.at(chunk.read);
    }
    Ok(())
}

async fn send_chunk(options: &ObservationFile, client: &ApiClient, chunk: &Chunk) -> anyhow::Result<ApiResponse> {
    let number = chunk.number.to_string();
    let mut query = Vec::new();
    if let Some(name) = &options.backfill {
        query.extend([("backfill", name.as_str()), ("chunk", number.as_str())]);
        query.extend(options.before.as_deref().map(|before| ("before", before)));
    }
    let answer = client.post_text(&["v1", "observations"], &query, &chunk.body).await?;
    answer.successful().with_context(|| format!("lines {} to {}", chunk.first_line(), chunk.last_line()))
}

/// Whether the first character that is no white space begins an object.
fn begins_with_object(file: &mut std::fs::File) -> std::io::Result<bool> {
    let mut start = Vec::new();
    file.by_ref().take(4_096).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(0))?;
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&start);
    Ok(start.trim_ascii_start().first() == Some(&b'{'))
}
