use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use domain::measure::Measure;
use serde_json::json;

use super::batches::{Batch, Batches, LineStatement};
use super::layout::{Columns, DateFormat, DateFormatError};
use super::plan::Plan;
use super::replacing::ReplacedDays;
use super::scan::{FileSummary, SurveyError, survey};

fn columns() -> Columns {
    Columns {
        source: "Datasource".to_owned(),
        campaign: "Campaign".to_owned(),
        date: "Date".to_owned(),
        date_format: "%d.%m.%Y".parse().unwrap(),
        measures: vec![
            (Measure::Clicks, "Clicks".to_owned()),
            (Measure::Impressions, "Impressions".to_owned()),
            (Measure::Spend, "Cost".to_owned()),
        ],
    }
}

const HEADER: &str = "Date,Datasource,Campaign,Clicks,Impressions,Cost\n";

/// Surveys the lines under the usual header: what was found, and what was reported.
#[track_caller]
fn surveyed(lines: &str) -> (FileSummary, Vec<String>) {
    let mut reported = Vec::new();
    let file = format!("{HEADER}{lines}");
    let found = survey(file.as_bytes(), &columns(), &mut |bad| reported.push(bad.to_string()), &|_| ()).unwrap();
    (found, reported)
}

/// The batches of the lines under the usual header.
#[track_caller]
fn batches(lines: &str) -> (Vec<Batch>, u64) {
    let file = format!("{HEADER}{lines}");
    let (survey, _) = surveyed(lines);
    let mut reader = Batches::new(file.as_bytes(), &columns(), &survey).unwrap();
    let mut read = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        read.push(batch);
    }
    (read, reader.silent)
}

#[track_caller]
fn reports(lines: &str, expected: &[&str]) {
    assert_eq!(surveyed(lines).1, expected);
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn finds_sources_and_the_first_day_of_each_campaign() {
    let (found, reported) = surveyed("02.01.2019,A,One,1,2,\n01.01.2019,B,One,1,,0.5\n03.01.2019,A,Two,0,0,\n");
    assert!(reported.is_empty(), "{reported:?}");
    assert_eq!(found.rows, 3);
    assert_eq!(found.sources, BTreeSet::from(["A".to_owned(), "B".to_owned()]));
    assert_eq!(found.campaigns["One"].first_date, date("2019-01-01"));
    assert_eq!(found.campaigns["One"].sources.len(), 2);
    assert_eq!(found.campaigns["Two"].first_date, date("2019-01-03"));
}

#[test]
fn duplicate_key_names_both_lines_and_sends_neither() {
    let lines = "01.01.2019,A,One,1,1,\n01.01.2019,B,One,1,1,\n01.01.2019,A,One,2,2,\n";
    reports(lines, &["line 4 repeats the source, campaign and date of line 2: `A`, `One`, 2019-01-01"]);
    let (found, _) = surveyed(lines);
    assert_eq!(found.bad, BTreeSet::from([2, 4]));
    let (sent, _) = batches(lines);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].source, "B");
}

#[test]
fn ignores_spaces_around_cells() {
    reports(
        "01.01.2019,A,One,1,1,\n 01.01.2019 ,A , One,2,2,\n",
        &["line 3 repeats the source, campaign and date of line 2: `A`, `One`, 2019-01-01"],
    );
}

#[test]
fn reports_bad_lines_and_goes_on() {
    reports(
        "2019-01-01,A,One,1,1,\n31.02.2019,A,One,1,1,\n01.01.2019,A,One,many,1,\n02.01.2019,A,One,1.5,1,\n\
         03.01.2019,A,One,-1,1,\n04.01.2019,A,One,\"1,000\",1,\n05.01.2019,A,One,1,1,0.1234567\n\
         06.01.2019,,One,1,1,\n07.01.2019,A,,1,1,\n08.01.2019,A,One,1\n09.01.2019,A,One,1,1,\n",
        &[
            "line 2 `2019-01-01` is not a date in the given format",
            "line 3 `31.02.2019` is not a date in the given format",
            "line 4 clicks `many` is not a decimal number such as 12 or 12.34",
            "line 5 clicks `1.5` must be a whole number",
            "line 6 clicks `-1` must not be negative",
            "line 7 clicks `1,000` is not a decimal number such as 12 or 12.34",
            "line 9 the source is empty",
            "line 10 the campaign is empty",
            "line 11 has 4 fields where the header has 6",
        ],
    );
}

#[test]
fn invalid_utf_8_is_a_bad_line() {
    let file = [HEADER.as_bytes(), b"01.01.2019,A,Sch\xf6n,1,1,\n01.01.2019,A,Two,1,1,\n"].concat();
    let mut reported = Vec::new();
    let found = survey(file.as_slice(), &columns(), &mut |bad| reported.push(bad.to_string()), &|_| ()).unwrap();
    assert_eq!(reported, ["line 2 the campaign is not UTF-8 text"]);
    assert_eq!(found.campaigns.len(), 1);
}

#[test]
fn ignores_byte_order_mark_and_carriage_returns() {
    let file = "\u{feff}Date,Datasource,Campaign,Clicks,Impressions,Cost\r\n01.01.2019,A,One,1,1,2\r\n\r\n02.01.2019,A,One,x,1,\r\n";
    let mut reported = Vec::new();
    let found = survey(file.as_bytes(), &columns(), &mut |bad| reported.push(bad.to_string()), &|_| ()).unwrap();
    assert_eq!(found.campaigns.keys().collect::<Vec<_>>(), ["One"]);
    assert_eq!(reported, ["line 4 clicks `x` is not a decimal number such as 12 or 12.34"]);
}

#[test]
fn quoted_cells_may_hold_commas_quotes_and_line_breaks() {
    let (sent, _) =
        batches("01.01.2019,A,\"Sale, \"\"big\"\"\",1,1,\n02.01.2019,A,\"two\nlines\",1,1,\n03.01.2019,A,Last,1,1,\n");
    let named: Vec<(&str, u64)> = sent[0].statements.iter().map(|it| (it.campaign.as_str(), it.line)).collect();
    assert_eq!(named, [("Sale, \"big\"", 2), ("two\nlines", 3), ("Last", 5)]);
}

#[test]
fn empty_cell_states_nothing_but_zero_does() {
    let (sent, silent) = batches("01.01.2019,A,One,0,,1.25\n02.01.2019,A,One,,,\n");
    assert_eq!(silent, 1);
    let statement = LineStatement {
        line: 2,
        campaign: "One".to_owned(),
        date: date("2019-01-01"),
        measures: vec![(Measure::Clicks, 0), (Measure::Spend, 1_250_000)],
    };
    assert_eq!(sent, [Batch { number: 0, source: "A".to_owned(), replaces: None, statements: vec![statement] }]);
}

#[test]
fn batches_hold_one_source_each_and_every_line_once() {
    use std::fmt::Write;
    let mut lines = String::new();
    for number in 0..2_500 {
        writeln!(lines, "01.01.2019,{},C{number},1,1,", if number % 3 == 0 { "A" } else { "B" }).unwrap();
    }
    let (sent, _) = batches(&lines);
    assert!(sent.iter().all(|batch| batch.statements.len() <= super::batches::BATCH));
    let numbers: Vec<u64> = sent.iter().map(|batch| batch.number).collect();
    assert_eq!(numbers, (0..sent.len() as u64).collect::<Vec<_>>());
    let mut all: Vec<u64> = sent.iter().flat_map(|batch| &batch.statements).map(|statement| statement.line).collect();
    all.sort_unstable();
    assert_eq!(all, (2..2_502).collect::<Vec<u64>>());
}

#[test]
fn detects_a_file_changed_between_readings() {
    let (survey, _) = surveyed("01.01.2019,A,One,1,1,\n");
    let file = format!("{HEADER}01.01.2019,A,Other,1,1,\n");
    let mut reader = Batches::new(file.as_bytes(), &columns(), &survey).unwrap();
    assert!(matches!(reader.next_batch(), Err(SurveyError::Changed(2))));
}

#[test]
fn missing_column_lists_the_existing_ones() {
    let file = "Day,Datasource,Campaign,Clicks,Impressions,Cost\n";
    let error = survey(file.as_bytes(), &columns(), &mut |_| (), &|_| ()).unwrap_err().to_string();
    assert!(error.contains("no column `Date`") && error.contains("`Day`"), "{error}");
    let file = "Date,Date,Datasource,Campaign,Clicks,Impressions,Cost\n";
    let error = survey(file.as_bytes(), &columns(), &mut |_| (), &|_| ()).unwrap_err().to_string();
    assert!(error.contains("more than one column `Date`"), "{error}");
}

#[test]
fn date_format_must_spell_a_whole_date() {
    for format in ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%y", "%e %B %Y", "%Y%m%d", "%F"] {
        assert!(format.parse::<DateFormat>().is_ok(), "{format}");
    }
    for format in ["", "%Y", "%d.%m.", "%H:%M", "%Y-%m-%d %H"] {
        assert_eq!(format.parse::<DateFormat>(), Err(DateFormatError::NotADate), "{format}");
    }
    assert_eq!("%Y-%Q".parse::<DateFormat>(), Err(DateFormatError::Unknown));
}

fn plan() -> Plan {
    Plan {
        columns: columns(),
        channels: BTreeMap::from([("A".to_owned(), "paid_search".parse().unwrap())]),
        reference: BTreeSet::from(["G".to_owned()]),
        time_zone: "Europe/Berlin".parse().unwrap(),
        currency: "EUR".parse().unwrap(),
        complete_through: None,
        replace: None,
    }
}

#[test]
fn assigns_channel_and_role_to_sources() {
    assert_eq!(plan().source("A")["channel"], "paid_search");
    assert_eq!(plan().source("A")["role"], "primary");
    assert_eq!(plan().source("G")["channel"], "unassigned");
    assert_eq!(plan().source("G")["role"], "reference");
}

#[test]
fn campaign_gets_the_channels_of_its_primary_sources() {
    let (found, _) = surveyed("01.01.2019,A,One,1,1,\n01.01.2019,G,One,1,1,\n01.01.2019,G,Two,1,1,\n");
    let one = plan().campaign("One", &found.campaigns["One"]);
    assert_eq!(one["channels"], json!(["paid_search"]));
    assert_eq!(one["external_ids"], json!([{ "id": "One" }]));
    assert_eq!(one["starts_on"], "2019-01-01");
    assert_eq!(plan().campaign("Two", &found.campaigns["Two"])["channels"], json!(["unassigned"]));
}

#[test]
fn reports_names_missing_from_the_file() {
    let (found, _) = surveyed("01.01.2019,A,One,1,1,\n");
    assert_eq!(plan().unknown_names(&found.sources).collect::<Vec<_>>(), ["G"]);
}

#[test]
fn statements_are_exact_and_dated_by_arrival() {
    let (sent, _) = batches("01.01.2019,A,One,3,,1.1\n");
    assert_eq!(
        plan().statements(&sent[0]),
        json!({
            "source": "A",
            "grain": "day",
            "time_zone": "Europe/Berlin",
            "statements": [{
                "external_campaign_id": "One",
                "bucket": "2019-01-01",
                "measures": { "clicks": 3, "spend": "1.100000" },
            }],
        })
    );
}

#[test]
fn complete_through_is_the_end_of_the_day_in_the_zone() {
    let completed = plan().completed(date("2019-06-30")).unwrap();
    assert_eq!(completed["complete_through"], "2019-06-30T22:00:00.000Z");
}

#[test]
fn numbers_lines_as_an_editor_does() {
    for line_break in ["\n", "\r\n"] {
        let lines = [
            "Date,Datasource,Campaign,Clicks,Impressions,Cost",
            "",
            "01.01.2019,A,One,x,,",
            "",
            "",
            "02.01.2019,A,One,y",
            "",
        ];
        let file = lines.join(line_break);
        let mut reported = Vec::new();
        survey(file.as_bytes(), &columns(), &mut |bad| reported.push(bad.line), &|_| ()).unwrap();
        assert_eq!(reported, [3, 6], "{line_break:?}");
    }
}

#[test]
fn replaced_days_are_two_dates_in_order() {
    for wrong in ["", "2019-01-01", "2019-01-02..2019-01-01", "2019-01-01..soon", "..2019-01-01"] {
        assert!(wrong.parse::<ReplacedDays>().is_err(), "{wrong}");
    }
}

#[test]
fn each_source_and_day_is_replaced_by_one_batch() {
    let lines = "02.01.2019,A,One,3,,\n01.01.2019,A,One,1,,\n04.01.2019,B,One,4,,\n01.01.2019,A,Two,2,,\n";
    let (found, _) = surveyed(lines);
    let days: ReplacedDays = "2019-01-01..2019-01-02".parse().unwrap();
    let gathered = days.gather(batches(lines).0, &found.sources).unwrap();
    let shown: Vec<_> = gathered
        .iter()
        .map(|batch| (batch.number, batch.source.as_str(), batch.replaces, batch.statements.len()))
        .collect();
    let (first, second) = (Some(date("2019-01-01")), Some(date("2019-01-02")));
    assert_eq!(
        shown,
        [(0, "A", first, 2), (1, "A", second, 1), (2, "B", first, 0), (3, "B", second, 0), (4, "B", None, 1)]
    );
    let replace = json!({ "from": "2019-01-01", "to": "2019-01-01", "measures": ["clicks", "impressions", "spend"] });
    assert_eq!(plan().statements(&gathered[0])["replace"], replace);
    assert_eq!(plan().statements(&gathered[4])["replace"], json!(null));
}
