//! `highwater import inspect`: guesses what a file holds, shows what would be sent, and the command that sends it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::Grain;
use domain::measure::Unit;

use super::dates::DateEvidence;
use super::judge::{LineError, Verdict};
use super::layout::{CurrencyFrom, DateFrom, Layout};
use super::mapping::{GENERIC, Mapping, SHIPPED, ShippedMapping};
use super::run::{OpenedFile, Options};
use super::sources;
use super::summary::preview;
use super::table::{Candidate, Table};

/// How many refused lines are shown.
const SHOWN: usize = 5;

/// What a file was taken for.
struct Guess {
    shipped: &'static ShippedMapping,
    layout: Layout,
    /// The day of all lines, where no column has one.
    day: Option<NaiveDate>,
}

/// Says what a file holds.
pub fn inspect(bytes: Vec<u8>, options: &Options, now: DateTime<Utc>) -> anyhow::Result<String> {
    let table = Table::read(bytes.clone(), &options.reading)?;
    let guess = guess(&table.candidates()?, now)?;
    let mut options = options.clone();
    let said = options.mapping;
    options.mapping = said.clone().or(guess.shipped.read()?);
    options.day = guess.day;
    if options.mapping.source.is_none() {
        options.mapping.source = Some(source_name(&options));
    }
    let mut opened = OpenedFile::read(bytes, &options)
        .with_context(|| format!("this looks like `{}`, but its lines leave something open", guess.shipped.name))?;
    let plan = opened.plan(&options, now)?;
    let facts = sources::settle(&plan, &opened.survey.sources, &BTreeMap::new())?;
    let mut verdict = opened.judge(&options, &facts, now, &|_| ());
    let repeats = |verdict: &Verdict| verdict.refused.iter().any(|bad| matches!(bad.error, LineError::Repeats { .. }));
    let needs_adding = repeats(&verdict);
    if needs_adding {
        options.mapping.add_rows = Some(true);
        verdict = opened.judge(&options, &facts, now, &|_| ());
    }

    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = writeln!(out, "{}", described(&table, &opened, &guess, &options.mapping));
    let _ = writeln!(out, "{}", columns(&opened.layout));
    // Of columns that are usual, most files lack some.
    if guess.shipped.name == GENERIC.name {
        opened.layout.absent.clear();
    }
    for warning in opened.warnings(&options) {
        let _ = writeln!(out, "warning: {warning}");
    }
    let has_money = plan.measures.iter().any(|measure| measure.unit() == Unit::Money);
    if let Some((_, assumed)) = facts.iter().find(|(_, facts)| facts.is_currency_assumed && has_money) {
        let _ = writeln!(out, "warning: nothing says the currency; {} is taken, --currency says it", assumed.currency);
    }
    if guess.day.is_some() {
        let _ = writeln!(out, "warning: no column has the day, so all lines are stated of one: --date says which");
    }
    out.push_str(&preview(&verdict, &facts));
    let Verdict { rows, left_out, refused, .. } = &verdict;
    let _ = writeln!(out, "rows: {rows} ({} refused), and {left_out} lines blank or of totals", refused.len());
    for bad in refused.iter().take(SHOWN) {
        let _ = writeln!(out, "  {bad}");
    }
    let _ = writeln!(out, "\n{}", command(&options, &said, &opened.layout, &guess, needs_adding));
    Ok(out)
}

/// The shipped mapping that knows the most columns of the file; the first of equals.
fn guess(candidates: &[Candidate], now: DateTime<Utc>) -> anyhow::Result<Guess> {
    // A file without days is taken for one with a single day only if nothing else fits.
    for day in [None, Some(range_end(candidates).unwrap_or(now.date_naive()))] {
        let mut best: Option<(usize, Guess)> = None;
        for shipped in SHIPPED.iter().chain([&GENERIC]) {
            let mut mapping = shipped.read()?;
            mapping.source.get_or_insert_default();
            let Ok((layout, _)) = Layout::find(candidates, &mapping, day) else { continue };
            let known = known_columns(&layout);
            if best.as_ref().is_none_or(|(most, _)| known > *most) {
                best = Some((known, Guess { shipped, layout, day }));
            }
        }
        if let Some((_, guess)) = best {
            return Ok(guess);
        }
    }
    let widest = candidates.iter().rev().max_by_key(|candidate| candidate.cells.len());
    let columns = widest.map(|candidate| candidate.cells.join("`, `")).unwrap_or_default();
    anyhow::bail!("no shipped mapping fits; say what the columns are with --measure NAME=COLUMN …: `{columns}`")
}

fn known_columns(layout: &Layout) -> usize {
    let Layout { campaign, campaign_id, date, currency, measures, .. } = layout;
    let others = [
        campaign.is_some(),
        campaign_id.is_some(),
        matches!(date, DateFrom::Column(_)),
        *currency != CurrencyFrom::Source,
    ];
    measures.len() + others.into_iter().filter(|is_known| *is_known).count()
}

/// The last day that a title names, as in `27 January 2026 - 23 February 2026`.
fn range_end(candidates: &[Candidate]) -> Option<NaiveDate> {
    candidates.iter().take(10).flat_map(|candidate| &candidate.cells).find_map(|cell| {
        let end = cell.rsplit([" - ", " – ", " to "].into_iter().find(|mark| cell.contains(mark))?).next()?.trim();
        let mut evidence = DateEvidence::default();
        evidence.note(end, 1);
        let format = evidence.decide().ok()??;
        format.read(end).map(|moment| moment.local().date())
    })
}

/// A source called like the file.
fn source_name(options: &Options) -> String {
    let stem = options.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = stem.chars().filter(|each| !each.is_control()).take(100).collect();
    if name.trim().is_empty() { "file".to_owned() } else { name }
}

/// How the file is written.
fn described(table: &Table, opened: &OpenedFile, guess: &Guess, mapping: &Mapping) -> String {
    let form = match (table.encoding, table.delimiter) {
        (None, _) => "a spreadsheet".to_owned(),
        (Some(encoding), b'\t') => format!("{encoding} text separated by tabs"),
        (Some(encoding), delimiter) => format!("{encoding} text separated by `{}`", char::from(delimiter)),
    };
    let kind = match &mapping.title {
        Some(title) => format!("{} ({title})", guess.shipped.name),
        None => "no export that a shipped mapping is for".to_owned(),
    };
    let days = match &opened.survey.date_format {
        Some(format) => format!("days as {}", format.name()),
        None => "no days".to_owned(),
    };
    let grain = if opened.grain == Grain::Day { "days" } else { "hours" };
    format!(
        "looks like: {kind}\n{form}; header on line {}; {days}, stated as {grain}; decimal {}",
        guess.layout.header_line, opened.survey.mark
    )
}

/// What each column is taken for.
fn columns(layout: &Layout) -> String {
    let named = |index: usize| layout.header[index].as_str();
    let mut lines = Vec::new();
    if let DateFrom::Column(index) = layout.date {
        lines.push(format!("  {} -> day", named(index)));
    }
    lines.extend(layout.campaign_id.map(|index| format!("  {} -> campaign's id", named(index))));
    lines.extend(layout.campaign.map(|index| format!("  {} -> campaign", named(index))));
    match layout.currency {
        CurrencyFrom::Column(index) => lines.push(format!("  {} -> currency", named(index))),
        CurrencyFrom::Header(currency) => lines.push(format!("  a header -> currency {currency}")),
        CurrencyFrom::Source => {}
    }
    for column in &layout.measures {
        let scale = if column.scale.0 == 0 { String::new() } else { format!(", times 10^{}", column.scale.0) };
        let unit = if column.measure.unit() == Unit::Money { " (money)" } else { "" };
        lines.push(format!("  {} -> {}{unit}{scale}", column.header, column.measure));
    }
    lines.join("\n")
}

/// The command that imports the file as it was taken.
fn command(options: &Options, said: &Mapping, layout: &Layout, guess: &Guess, adds_rows: bool) -> String {
    let mut words = vec!["highwater import statements".to_owned(), quoted(&options.file.to_string_lossy())];
    let mut say = |option: &str, value: &str| words.push(format!("{option} {}", quoted(value)));
    let named = |index: usize| layout.header[index].as_str();
    let is_generic = guess.shipped.name == GENERIC.name;
    if is_generic {
        say("--source", options.mapping.source.as_deref().unwrap_or_default());
        if let Some(index) = layout.campaign {
            say("--campaign-from", named(index));
        }
        if let Some(index) = layout.campaign_id {
            say("--campaign-id-from", named(index));
        }
        if let DateFrom::Column(index) = layout.date {
            say("--date-from", named(index));
        }
        if let CurrencyFrom::Column(index) = layout.currency {
            say("--currency-from", named(index));
        }
        for column in &layout.measures {
            let scale = match u32::try_from(-i32::from(column.scale.0)) {
                Ok(0) | Err(_) => String::new(),
                Ok(zeros) => format!("/{}", 10_u64.pow(zeros)),
            };
            say("--measure", &format!("{}={}{scale}", column.measure, column.header));
        }
    } else {
        say("--mapping", guess.shipped.name);
    }
    if let CurrencyFrom::Header(currency) = layout.currency
        && is_generic
    {
        say("--currency", currency.code());
    }
    if let Some(day) = guess.day {
        say("--date", &day.to_string());
    }
    let reading = &options.reading;
    let delimiter = reading.delimiter.map(|delimiter| char::from(delimiter).to_string().replace('\t', "tab"));
    let decimal_mark = said.decimal_mark.map(|mark| mark.to_string());
    let skip_lines = reading.skip_lines.map(|lines| lines.to_string());
    for (option, value) in [
        ("--encoding", reading.encoding.as_deref()),
        ("--delimiter", delimiter.as_deref()),
        ("--sheet", reading.sheet.as_deref()),
        ("--skip-lines", skip_lines.as_deref()),
        ("--date-format", said.date_format.as_deref()),
        ("--decimal-mark", decimal_mark.as_deref()),
    ] {
        if let Some(value) = value {
            say(option, value);
        }
    }
    if adds_rows {
        words.push("--add-rows".to_owned());
    }
    words.join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |each: char| each.is_ascii_alphanumeric() || "_-./=:,".contains(each);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
