use chrono::NaiveDate;

use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn guess(cells: &[&str]) -> Result<Option<DateFormat>, DateGuessError> {
    let mut evidence = DateEvidence::default();
    for (line, cell) in (2..).zip(cells) {
        evidence.note(cell, line);
    }
    evidence.decide()
}

/// The first cell as the format of all of them reads it.
#[track_caller]
fn guessed(cells: &[&str]) -> String {
    let format = guess(cells).unwrap().unwrap();
    match format.read(cells[0]).unwrap() {
        Moment::Day(day) => day.to_string(),
        Moment::Local(local) => local.to_string(),
        Moment::Fixed(fixed) => fixed.to_rfc3339(),
    }
}

#[test]
fn format_must_spell_a_whole_date() {
    for format in [
        "%Y-%m-%d",
        "%d.%m.%Y",
        "%m/%d/%y",
        "%e %B %Y",
        "%Y%m%d",
        "%F",
        "%Y-%m-%dT%H:%M:%S%z",
        "%Y-%m-%d %H:%M",
        "%Y-%m",
        "%b %Y",
        "excel",
    ] {
        assert!(format.parse::<DateFormat>().is_ok(), "{format}");
    }
    for format in ["", "%Y", "%d.%m.", "%H:%M", "%d"] {
        assert_eq!(format.parse::<DateFormat>(), Err(DateFormatError::NotADate), "{format}");
    }
    assert_eq!("%Y-%Q".parse::<DateFormat>(), Err(DateFormatError::Unknown));
}

#[test]
fn guesses_days_times_months_and_serial_numbers() {
    assert_eq!(guessed(&["2026-02-01"]), "2026-02-01");
    assert_eq!(guessed(&["2026/05/27"]), "2026-05-27");
    assert_eq!(guessed(&["20260201"]), "2026-02-01");
    assert_eq!(guessed(&["1.2.2026"]), "2026-02-01");
    assert_eq!(guessed(&["01.02.26"]), "2026-02-01");
    assert_eq!(guessed(&["31-08-2023"]), "2023-08-31");
    assert_eq!(guessed(&["02/28/2026", "03/01/2026"]), "2026-02-28");
    assert_eq!(guessed(&["28/02/2026", "01/03/2026"]), "2026-02-28");
    assert_eq!(guessed(&["2020-04-06 00:00:00"]), "2020-04-06 00:00:00");
    assert_eq!(guessed(&["2022-05-29T10:00:00"]), "2022-05-29 10:00:00");
    assert_eq!(guessed(&["2021-09-15 5:00:00"]), "2021-09-15 05:00:00");
    assert_eq!(guessed(&["2026-02-01T00:00:00+0200"]), "2026-02-01T00:00:00+02:00");
    assert_eq!(guessed(&["2026-02-01T00:00:00Z"]), "2026-02-01T00:00:00+00:00");
    assert_eq!(guessed(&["46054"]), "2026-02-01");
    assert_eq!(guessed(&["46054.75"]), "2026-02-01 18:00:00");
    assert_eq!(guessed(&["2026-03"]), "2026-03-01");
    assert_eq!(guessed(&["2026030105"]), "2026-03-01 05:00:00");
}

#[test]
fn knows_months_by_their_names() {
    for cell in [
        "1. März 2026",
        "1 March 2026",
        "1 mars 2026",
        "1 Mar. 2026",
        "March 1, 2026",
        "1 de marzo de 2026",
        "1-Mar-26",
    ] {
        assert_eq!(guessed(&[cell]), "2026-03-01", "{cell}");
    }
    assert_eq!(guessed(&["15 févr. 2026"]), "2026-02-15");
    assert_eq!(guessed(&["15 Dez 2026"]), "2026-12-15");
}

#[test]
fn days_that_can_be_read_in_two_ways_are_refused() {
    let error = guess(&["05/06/2026", "06/06/2026"]).unwrap_err();
    let told = error.to_string();
    assert!(told.contains("`05/06/2026` is 2026-05-06 as %m/%d/%Y and 2026-06-05 as %d/%m/%Y"), "{told}");
    // Where both ways read the same day, nothing is open.
    assert_eq!(guessed(&["06/06/2026"]), "2026-06-06");
}

#[test]
fn the_format_is_that_of_most_cells() {
    assert_eq!(guessed(&["2026-02-01", "2026-02-02", "soon"]), "2026-02-01");
    assert_eq!(guess(&[]), Ok(None));
    assert!(guess(&["yesterday"]).unwrap_err().to_string().contains("line 2: `yesterday` is not a date"));
}

#[test]
fn serial_numbers_outside_of_our_times_are_no_days() {
    let excel: DateFormat = "excel".parse().unwrap();
    assert_eq!(excel.read("46082"), Some(Moment::Day(day("2026-03-01"))));
    assert_eq!(excel.read("12"), None);
    assert_eq!(excel.read("NaN"), None);
}
