//! One import from end to end: the file is read, judged as a whole, and only then sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::Grain;
use domain::channel::Channel;
use domain::measure::{Measure, Unit};
use domain::money::Currency;
use domain::source::Horizon;
use sha2::{Digest as _, Sha256};

use super::completeness::CompleteThrough;
use super::dates::DateFormat;
use super::facts::SourceFacts;
use super::judge::{Rules, Verdict};
use super::layout::Layout;
use super::mapping::{FileGrain, Mapping};
use super::plan::{NewStatus, Plan};
use super::progress::Progress;
use super::replacing::ReplacedDays;
use super::send::Import;
use super::sources;
use super::summary::{Summary, preview};
use super::survey::{Declared, Survey};
use super::table::{Reading, Table};
use crate::client::ApiClient;

/// The currency of money where neither the operator, nor the file, nor the server says one.
const DEFAULT_CURRENCY: &str = "EUR";

/// What the operator asks for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The file.
    pub file: PathBuf,
    /// How it is to be read.
    pub reading: Reading,
    /// What its columns mean.
    pub mapping: Mapping,
    /// The day of all lines.
    pub day: Option<NaiveDate>,
    /// The channels of sources.
    pub channels: BTreeMap<String, Channel>,
    /// The reference sources.
    pub reference: BTreeSet<String>,
    /// How late numbers come.
    pub expected_delay_s: Option<i64>,
    /// For how long they may change.
    pub horizon: Option<Horizon>,
    /// The status of new campaigns.
    pub campaign_status: Option<NewStatus>,
    /// Whether campaigns of one name are others in each source.
    pub campaigns_per_source: bool,
    /// The last day that the sources are complete for.
    pub complete_through: Option<CompleteThrough>,
    /// The days of which the file is all.
    pub replace: Option<ReplacedDays>,
    /// Whether a file is sent of which much is refused.
    pub allow_partial: bool,
    /// Whether nothing is sent.
    pub dry_run: bool,
}

/// A file that was read, and what its lines decide together.
#[derive(Debug)]
pub struct OpenedFile {
    /// Its cells.
    pub table: Table,
    /// Its columns.
    pub layout: Layout,
    /// What all lines decide.
    pub survey: Survey,
    /// The length of its buckets.
    pub grain: Grain,
    digest: String,
}

impl OpenedFile {
    /// Reads the file of the options.
    pub fn open(options: &Options) -> anyhow::Result<Self> {
        let name = options.file.display();
        let bytes = std::fs::read(&options.file).with_context(|| format!("cannot open {name}"))?;
        Self::read(bytes, options).with_context(|| format!("{name}: nothing was sent"))
    }

    /// Cuts a file into cells, and finds out what all of them decide.
    pub fn read(bytes: Vec<u8>, options: &Options) -> anyhow::Result<Self> {
        let digest = hex::encode(&Sha256::digest(&bytes)[..12]);
        let table = Table::read(bytes, &options.reading)?;
        let (layout, header) = Layout::find(&table.candidates()?, &options.mapping, options.day)?;
        let table = table.below(&header);
        let declared = Declared {
            date_format: options.mapping.date_format.as_deref().map(date_format).transpose()?,
            mark: options.mapping.decimal_mark,
            skip_rows_like: options.mapping.skip_rows_like.clone(),
        };
        let survey = Survey::of(&table, &layout, &declared)?;
        let adds_rows = options.mapping.add_rows.unwrap_or_default();
        let grain = match options.mapping.grain {
            Some(FileGrain::Hour) => Grain::Hour,
            None if survey.has_times && !adds_rows => Grain::Hour,
            Some(FileGrain::Day) | None => Grain::Day,
        };
        Ok(Self { table, layout, survey, grain, digest })
    }

    /// The options that requests of this file are made by.
    pub fn plan(&self, options: &Options, now: DateTime<Utc>) -> anyhow::Result<Plan> {
        let measures = self.layout.measures.iter().map(|column| column.measure).collect();
        plan(options, self.grain, measures, now)
    }

    /// What may not be meant.
    pub fn warnings(&self, options: &Options) -> Vec<String> {
        let mut warnings: Vec<String> = self.layout.warnings().collect();
        if !self.layout.absent.is_empty() {
            let absent = self.layout.absent.iter().map(|measure| measure.name()).collect::<Vec<_>>().join(", ");
            warnings.push(format!("the file has no column for {absent}"));
        }
        if self.survey.date_format.as_ref().is_some_and(DateFormat::is_month) {
            warnings.push("a month's total is stated of its first day: only whole months of it are right".to_owned());
        }
        if options.mapping.grain.is_none() && self.grain == Grain::Hour {
            warnings.push("lines have a time of the day and are stated as hours; --grain says otherwise".to_owned());
        }
        warnings
    }

    /// Judges every line.
    pub fn judge(
        &self,
        options: &Options,
        facts: &BTreeMap<String, SourceFacts>,
        now: DateTime<Utc>,
        progress: &dyn Fn(u64),
    ) -> Verdict {
        let rules = Rules {
            date_format: self.survey.date_format.clone(),
            mark: self.survey.mark,
            grain: self.grain,
            add_rows: options.mapping.add_rows.unwrap_or_default(),
            without_campaign: options.mapping.without_campaign.clone(),
            campaigns_per_source: options.campaigns_per_source || self.layout.campaign_id.is_some(),
            skip_rows_like: options.mapping.skip_rows_like.clone(),
            sources: facts.iter().map(|(name, facts)| (name.clone(), (facts.zone, facts.currency))).collect(),
            now,
        };
        Verdict::of(&self.table, &self.layout, &rules, progress)
    }
}

/// What an import came to.
#[derive(Debug)]
pub struct Imported {
    /// The summary, for people.
    pub text: String,
    /// Whether a line was not sent or not taken.
    pub has_refused: bool,
    /// Why it stopped.
    pub failure: Option<anyhow::Error>,
}

/// The options that requests are made by. What the sources are complete through follows from their zones.
pub fn plan(options: &Options, grain: Grain, measures: Vec<Measure>, now: DateTime<Utc>) -> anyhow::Result<Plan> {
    let default_currency: Currency = DEFAULT_CURRENCY.parse()?;
    let Mapping { channel, role, platform, time_zone, currency, .. } = options.mapping.clone();
    Ok(Plan {
        channels: options.channels.clone(),
        channel,
        reference: options.reference.clone(),
        role,
        platform,
        time_zone,
        currency,
        default_currency,
        expected_delay_s: options.expected_delay_s,
        horizon: options.horizon,
        grain,
        measures,
        campaign_status: options.campaign_status,
        complete_through: None,
        replace: options.replace,
        now,
    })
}

/// Imports a file. The exit status is 1 if a line was not sent or not accepted.
pub async fn import(options: &Options, client: Option<&ApiClient>, now: DateTime<Utc>) -> anyhow::Result<ExitCode> {
    let imported = import_opened(options, &OpenedFile::open(options)?, client, now).await?;
    write(&imported.text)?;
    match imported.failure {
        Some(failure) => Err(failure),
        None => Ok(if imported.has_refused { ExitCode::FAILURE } else { ExitCode::SUCCESS }),
    }
}

/// Imports what was read. Nothing is sent if it fails; what fails later is in the result, beside what was done.
pub async fn import_opened(
    options: &Options,
    opened: &OpenedFile,
    client: Option<&ApiClient>,
    now: DateTime<Utc>,
) -> anyhow::Result<Imported> {
    let started = Instant::now();
    let progress = Progress::default();
    for warning in opened.warnings(options) {
        progress.say(&format!("warning: {warning}"));
    }
    let mut plan = opened.plan(options, now)?;
    let registered = match client {
        Some(client) => sources::look_up(client, opened.survey.sources.keys()).await?,
        None => BTreeMap::new(),
    };
    let facts = sources::settle(&plan, &opened.survey.sources, &registered)?;
    plan.complete_through = options.complete_through.and_then(|complete| complete.day(&facts));
    let has_money = plan.measures.iter().any(|measure| measure.unit() == Unit::Money);
    if let Some((name, assumed)) = facts.iter().find(|(_, facts)| facts.is_currency_assumed && has_money) {
        progress.say(&format!(
            "warning: nothing says the currency of `{name}`, so {} is taken; --currency says it",
            assumed.currency
        ));
    }
    check_completeness(&plan, &facts)?;
    anyhow::ensure!(
        plan.replace.is_none() || plan.grain == Grain::Day,
        "nothing was sent: --replace takes back days, and the file has hours"
    );

    progress.phase("reading", opened.table.size());
    let mut verdict = opened.judge(options, &facts, now, &|bytes| progress.at(bytes));
    sources::check_days(&verdict, &facts, &registered)?;
    for name in plan.unknown_names(&verdict.sources) {
        progress.say(&format!("warning: the file has no source `{name}`"));
    }
    let mut summary = Summary::of(options.file.display().to_string());
    summary.report(verdict.refused.clone());
    say_refused(&mut summary, &progress);

    let withheld = reason_to_send_nothing(options, &verdict);
    let outcome = match (client, &withheld) {
        (Some(client), None) if !options.dry_run => {
            summary.was_sent = true;
            let renames = opened.layout.campaign_id.is_some() && opened.layout.campaign.is_some();
            let digest = opened.digest.clone();
            let (plan, facts, progress) = (&plan, &facts, &progress);
            let import = Import { client, plan, facts, run: rand::random(), digest, renames, progress };
            import.send(&mut verdict, &mut summary).await
        }
        _ => Ok(()),
    };
    say_refused(&mut summary, &progress);
    if summary.unnamed() > 0 {
        progress.say(&format!("and {} more lines", summary.unnamed()));
    }
    progress.finish();
    let mut text = String::new();
    if options.dry_run {
        text.push_str(&preview(&verdict, &facts));
    }
    text.push_str(&summary.text(&verdict, plan.replace.is_some(), started.elapsed().as_secs_f64()));
    let failure = outcome.err().or_else(|| withheld.map(|reason| anyhow::anyhow!("nothing was sent: {reason}")));
    Ok(Imported { text, has_refused: summary.has_refused(), failure })
}

fn say_refused(summary: &mut Summary, progress: &Progress) {
    for line in summary.take_named() {
        progress.say(&line);
    }
}

/// A day that has not ended cannot be complete.
fn check_completeness(plan: &Plan, facts: &BTreeMap<String, SourceFacts>) -> anyhow::Result<()> {
    let Some(last) = plan.complete_through else { return Ok(()) };
    for SourceFacts { zone, .. } in facts.values() {
        let until = plan.complete_until(last, *zone).with_context(|| format!("--complete-through {last}"))?;
        anyhow::ensure!(
            until <= plan.now,
            "nothing was sent: --complete-through {last} ends at {until} in {zone}, which lies in the future"
        );
    }
    Ok(())
}

/// Why the good lines are not sent either.
fn reason_to_send_nothing(options: &Options, verdict: &Verdict) -> Option<String> {
    let refused = verdict.refused.len();
    if options.replace.is_some() && refused > 0 {
        return Some("lines cannot be read, so the file is not all that its sources state".to_owned());
    }
    (verdict.is_mostly_refused() && !options.allow_partial).then(|| {
        format!(
            "{refused} of {} lines are refused, and the rest would be taken for all; --allow-partial sends it",
            verdict.rows
        )
    })
}

fn date_format(text: &str) -> anyhow::Result<DateFormat> {
    text.parse().with_context(|| format!("the date format `{text}`"))
}

/// Writes to standard output.
pub fn write(text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    std::io::stdout().lock().write_all(text.as_bytes())
}
