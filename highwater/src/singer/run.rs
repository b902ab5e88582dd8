//! One run of a tap from end to end: it is read, its streams are imported, and its state is kept.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use domain::bucket::Grain;
use platform::clock::Clock;
use serde_json::Value;

use super::bookmarks::bookmark;
use super::input::{StreamInput, TapInput};
use super::mapping::{StreamMapping, TapMapping};
use super::tap::{self, TapEnd};
use crate::client::ApiClient;
use crate::import::completeness::CompleteThrough;
use crate::import::judge::Verdict;
use crate::import::mapping::Mapping;
use crate::import::numbers::DecimalMark;
use crate::import::progress::Progress;
use crate::import::run::{self, OpenedFile, Options};
use crate::import::send::Import;
use crate::import::sources;
use crate::import::summary::Summary;
use crate::import::table::Reading;

/// What the operator asks for.
#[derive(Debug)]
pub struct TapRun {
    /// What the streams mean.
    pub mapping: TapMapping,
    /// What the operator says of every stream.
    pub said: Mapping,
    /// The tap with its arguments; empty: it writes to standard input.
    pub program: Vec<OsString>,
    /// The file in which its state is kept.
    pub state: Option<PathBuf>,
    /// Whether streams are sent of which much is refused.
    pub allow_partial: bool,
    /// Whether nothing is sent.
    pub dry_run: bool,
}

/// What became of one stream.
#[derive(Debug, Clone, Copy, Default)]
struct StreamOutcome {
    /// Whether records were held back, because the tap did not come to its end.
    is_cut_off: bool,
    /// Whether a record was refused.
    has_refused: bool,
}

impl TapRun {
    /// Reads the tap, imports its streams, and keeps its state. The exit status is 1 if a record was not sent or not
    /// taken.
    pub async fn run(&self, client: Option<&ApiClient>, clock: &dyn Clock) -> anyhow::Result<ExitCode> {
        let began = clock.now();
        let progress = Progress::default();
        let mut input = TapInput::new(self.mapping.clone());
        let end = if self.program.is_empty() {
            tap::from_stdin(&mut input).await?
        } else {
            let kept = self.state.as_deref().filter(|state| state.exists());
            tap::from_program(&self.program, kept, &mut input).await?
        };
        for (stream, count) in &input.skipped {
            progress.say(&format!("skipped: {count} records of stream {stream}, which the mapping does not have"));
        }
        let streams = std::mem::take(&mut input.streams);
        anyhow::ensure!(
            end == TapEnd::Failed || !streams.is_empty(),
            "the tap wrote no stream of the mapping, so its state is not kept. The mapping has {}: select one of \
             them in the tap's catalogue",
            self.mapping.streams.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        );
        let (mut is_cut_off, mut has_refused) = (end == TapEnd::Failed, false);
        for (name, stream) in streams {
            let read = StreamRead { run: self, name: &name, end, began, state: input.state.as_ref() };
            let outcome = read.import(stream, client, clock.now(), &progress).await.with_context(|| name.clone())?;
            is_cut_off |= outcome.is_cut_off;
            has_refused |= outcome.has_refused;
        }
        if let Some(state) = input.state.filter(|_| !self.dry_run) {
            if has_refused && !self.allow_partial {
                progress.say("the state is not kept, so the next run reads the refused records again");
            } else {
                self.keep(&state)?;
            }
        }
        if end == TapEnd::Failed {
            progress.say("the tap failed; what it had read to the end was sent");
        }
        Ok(if is_cut_off || has_refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Prints the state, as targets do, and writes it to its file: whole, or not at all.
    fn keep(&self, state: &Value) -> anyhow::Result<()> {
        run::write(&format!("{state}\n"))?;
        let Some(path) = &self.state else { return Ok(()) };
        let written = write_whole(path, &format!("{state}\n"));
        written.with_context(|| format!("cannot keep the state in {}", path.display()))
    }
}

fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".tmp");
    let mut file = std::fs::File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)
}

/// One stream of a tap that came to its end.
struct StreamRead<'a> {
    run: &'a TapRun,
    name: &'a str,
    end: TapEnd,
    began: DateTime<Utc>,
    state: Option<&'a Value>,
}

impl StreamRead<'_> {
    async fn import(
        &self,
        mut stream: StreamInput,
        client: Option<&ApiClient>,
        now: DateTime<Utc>,
        progress: &Progress,
    ) -> anyhow::Result<StreamOutcome> {
        let Some(mapping) = self.run.mapping.streams.get(self.name) else { return Ok(StreamOutcome::default()) };
        let bookmark = self.state.and_then(|state| bookmark(state, self.name));
        let is_cut_off = match self.end {
            TapEnd::Finished => false,
            TapEnd::Failed => true,
            // A tap that comes to its end writes its state last.
            TapEnd::Unknown => stream.has_unfinished && self.state.is_some(),
        };
        if is_cut_off {
            // The day that was being read may lack records that belong to one total.
            let held_back = match bookmark {
                Some(day) => stream.records.keep_before(day, mapping),
                None => std::mem::take(&mut stream.records).len(),
            };
            progress.say(&format!(
                "{}: the tap did not come to its end, so {held_back} records of days that it may have read in part are \
                 not sent",
                self.name
            ));
        }
        let read_at = self.began;
        let complete = bookmark.map(|day| CompleteThrough::Bookmark { day, is_cut_off, read_at });
        let options = self.options(mapping, complete);
        let has_refused = if stream.records.is_empty() {
            complete_without_records(&options, client, now, progress).await?;
            false
        } else {
            let opened = OpenedFile::read(stream.records.csv(mapping)?, &options)?;
            let imported = run::import_opened(&options, &opened, client, now).await?;
            progress.say(imported.text.trim_end());
            if let Some(failure) = imported.failure {
                return Err(failure);
            }
            imported.has_refused
        };
        Ok(StreamOutcome { is_cut_off, has_refused })
    }

    fn options(&self, mapping: &StreamMapping, complete_through: Option<CompleteThrough>) -> Options {
        let mut columns = self.run.said.clone().or(mapping.columns.clone());
        // Numbers of JSON have a point.
        columns.decimal_mark = columns.decimal_mark.or(Some(DecimalMark::Point));
        Options {
            file: PathBuf::from(self.name),
            reading: Reading { encoding: Some("utf-8".to_owned()), delimiter: Some(b','), ..Reading::default() },
            mapping: columns,
            complete_through,
            allow_partial: self.run.allow_partial,
            dry_run: self.run.dry_run,
            ..Options::default()
        }
    }
}

/// Reports a source complete of which nothing was read: nothing happened there, which is not to be unknown.
async fn complete_without_records(
    options: &Options,
    client: Option<&ApiClient>,
    now: DateTime<Utc>,
    progress: &Progress,
) -> anyhow::Result<()> {
    let stream = options.file.display();
    progress.say(&format!("{stream}: no records"));
    let (Some(client), Some(name), false) = (client, &options.mapping.source, options.dry_run) else { return Ok(()) };
    let registered = sources::look_up(client, std::iter::once(name)).await?;
    if registered.values().all(Value::is_null) {
        return Ok(());
    }
    let mut plan = run::plan(options, Grain::Day, Vec::new(), now)?;
    let facts = sources::settle(&plan, &BTreeMap::from([(name.clone(), [].into())]), &registered)?;
    plan.complete_through = options.complete_through.and_then(|complete| complete.day(&facts));
    let verdict = Verdict { sources: vec![name.clone()], ..Verdict::default() };
    let (plan, facts, digest) = (&plan, &facts, format!("{stream}-empty"));
    let import = Import { client, plan, facts, run: rand::random(), digest, renames: false, progress };
    import.send_completions(&verdict, &Summary::default()).await
}
