use domain::measure::Measure;
use proptest::prelude::*;

use super::*;

const AS_IS: PowerOfTen = PowerOfTen(0);

fn read_as(mark: DecimalMark, cell: &str, measure: Measure) -> Result<Option<i64>, NumberError> {
    let notation = Notation { mark, scale: AS_IS, currency: "EUR".parse().ok() };
    read(cell, measure, notation).map(|read| read.map(|rounded| rounded.value))
}

#[track_caller]
fn spend(mark: DecimalMark, cell: &str) -> i64 {
    read_as(mark, cell, Measure::Spend).unwrap().unwrap()
}

/// What the cells of a file decide.
fn decide(delimiter: u8, cells: &[(&str, Measure)]) -> Result<DecimalMark, MarkError> {
    let mut evidence = MarkEvidence::default();
    for (line, (cell, measure)) in (2..).zip(cells) {
        note_mark(cell, *measure, AS_IS, line, &mut evidence);
    }
    evidence.decide(delimiter)
}

#[test]
fn reads_numbers_in_the_spellings_of_exports() {
    for (cell, micros) in [
        ("1,234.50", 1_234_500_000),
        ("1,23,456", 123_456_000_000),
        ("12,34,567.25", 1_234_567_250_000),
        ("1 234.50", 1_234_500_000),
        ("1'234.50", 1_234_500_000),
        ("1’234’567.50", 1_234_567_500_000),
        (".22", 220_000),
        ("+5", 5_000_000),
        ("12.", 12_000_000),
        ("-.5", -500_000),
        ("1.5e3", 1_500_000_000),
        ("\u{2212}5", -5_000_000),
        ("(5.25)", -5_250_000),
        ("5.25-", -5_250_000),
        ("€ 12.50", 12_500_000),
        ("12.50 EUR", 12_500_000),
        ("-€12.50", -12_500_000),
        (" 7 ", 7_000_000),
    ] {
        assert_eq!(spend(DecimalMark::Point, cell), micros, "{cell}");
    }
    for (cell, micros) in [("1.234,50", 1_234_500_000), ("1 234,5", 1_234_500_000), ("1.234.567", 1_234_567_000_000)] {
        assert_eq!(spend(DecimalMark::Comma, cell), micros, "{cell}");
    }
}

#[test]
fn words_and_thresholds_are_no_value() {
    for cell in ["", " ", " --", "-", "—", "n/a", "N/A", "null", "NaN", "#N/A", "< 10", "<10", "< 10%", "> 90%"] {
        assert_eq!(read_as(DecimalMark::Point, cell, Measure::Clicks), Ok(None), "{cell}");
    }
    assert_eq!(read_as(DecimalMark::Point, "0", Measure::Clicks), Ok(Some(0)));
}

#[test]
fn says_why_a_cell_is_no_value_of_its_measure() {
    let told = |cell: &str, measure| read_as(DecimalMark::Point, cell, measure).unwrap_err().to_string();
    assert_eq!(told("12.5%", Measure::Spend), "is a percentage, and no amount");
    assert_eq!(told("$5", Measure::Spend), "is written with `$`, but is in EUR");
    assert_eq!(told("5 USD", Measure::Spend), "is written with `USD`, but is in EUR");
    assert_eq!(told("€5", Measure::Clicks), "has the currency sign `€`, but is not money");
    assert_eq!(told("1,23", Measure::Spend), "is not grouped as numbers are, where `.` is the decimal mark");
    assert_eq!(told("1,2345", Measure::Spend), "is not grouped as numbers are, where `.` is the decimal mark");
    for cell in ["1.2K", "5 apples", "1.2.3", "--5", "12:30", "$"] {
        assert!(read_as(DecimalMark::Point, cell, Measure::Spend).is_err(), "{cell}");
    }
}

#[test]
fn other_units_are_brought_into_the_measures() {
    let notation = Notation { mark: DecimalMark::Point, scale: PowerOfTen(-6), currency: None };
    let read = read("36,150,000", Measure::Spend, notation).unwrap().unwrap();
    assert_eq!((read.value, read.is_exact), (36_150_000, true));
}

#[test]
fn one_cell_decides_for_the_file() {
    use Measure::{Clicks, Spend};
    let is = |cells: &[(&str, Measure)], mark| assert_eq!(decide(b';', cells), Ok(mark), "{cells:?}");
    is(&[("1.000", Clicks), ("1.500,25", Spend)], DecimalMark::Comma);
    is(&[("1.000", Clicks), ("10,5", Spend)], DecimalMark::Comma);
    is(&[("1.234", Clicks)], DecimalMark::Comma);
    is(&[("1,234", Clicks)], DecimalMark::Point);
    is(&[("1.500", Spend), ("0.125", Spend)], DecimalMark::Point);
    is(&[("1.500", Spend), ("98.0", Spend)], DecimalMark::Point);
    is(&[("1 234,567", Spend)], DecimalMark::Comma);
    is(&[("1.234.567", Spend)], DecimalMark::Comma);
    is(&[("1,234,567", Spend)], DecimalMark::Point);
    is(&[("12", Clicks), ("--", Spend)], DecimalMark::Point);
}

#[test]
fn file_that_leaves_it_open_is_refused() {
    let told = decide(b';', &[("7", Measure::Clicks), ("1.000", Measure::Clicks)]).unwrap_err().to_string();
    assert!(told.starts_with("line 3: `1.000` is 1000 or 1.000, and nothing in the file decides"), "{told}");
    assert!(decide(b',', &[("1.500", Measure::Spend)]).is_err());
    // A comma that is quoted in a file of commas groups digits.
    assert_eq!(decide(b',', &[("1,500", Measure::Spend)]), Ok(DecimalMark::Point));
    assert!(decide(b';', &[("1,500", Measure::Spend)]).is_err());
}

#[test]
fn contradiction_is_refused_unless_it_is_a_slip() {
    let cells = [("1.5", Measure::Spend), ("1,5", Measure::Spend)];
    let told = decide(b';', &cells).unwrap_err().to_string();
    assert!(told.contains("line 2: `1.5` has a decimal point, and line 3: `1,5` has a decimal comma"), "{told}");
    let mut many = vec![("1.5", Measure::Spend); 200];
    many.push(("1,5", Measure::Spend));
    assert_eq!(decide(b';', &many), Ok(DecimalMark::Point));
}

/// Digits grouped from the right.
fn grouped(digits: &str, separator: char, sizes: impl Fn(usize) -> usize) -> String {
    let mut groups = Vec::new();
    let mut rest = digits;
    for place in 0.. {
        let size = sizes(place).min(rest.len());
        let (left, group) = rest.split_at(rest.len() - size);
        groups.push(group);
        rest = left;
        if rest.is_empty() {
            break;
        }
    }
    groups.reverse();
    groups.join(&separator.to_string())
}

proptest! {
    #[test]
    fn any_spelling_of_an_amount_reads_as_the_amount(
        micros in -1_000_000_000_000_000_000_i64..=1_000_000_000_000_000_000,
    ) {
        let plain = domain::decimal::format_millionths(micros.unsigned_abs().into());
        let (whole, fraction) = plain.split_once('.').unwrap();
        let sign = if micros < 0 { "-" } else { "" };
        let threes = |_| 3;
        let indian = |place| if place == 0 { 3 } else { 2 };
        for (mark, whole) in [
            (DecimalMark::Point, whole.to_owned()),
            (DecimalMark::Point, grouped(whole, ',', threes)),
            (DecimalMark::Point, grouped(whole, ',', indian)),
            (DecimalMark::Point, grouped(whole, '\'', threes)),
            (DecimalMark::Comma, grouped(whole, '.', threes)),
            (DecimalMark::Comma, grouped(whole, '\u{202f}', threes)),
        ] {
            let cell = format!("{sign}{whole}{}{fraction}", mark.character());
            prop_assert_eq!(read_as(mark, &cell, Measure::Spend), Ok(Some(micros)), "{}", cell);
            // Six digits after the mark leave no doubt.
            prop_assert_eq!(decide(b';', &[(cell.as_str(), Measure::Spend)]), Ok(mark), "{}", cell);
        }
    }

    #[test]
    fn rounding_loses_at_most_half_a_micro(whole in 0_i64..1_000_000_000, digits in "[0-9]{0,18}") {
        let cell = format!("{whole}.{digits}");
        let micros = i128::from(spend(DecimalMark::Point, &cell));
        let unit = 10_i128.pow(18);
        let exact = i128::from(whole) * unit + format!("{digits:0<18}").parse::<i128>().unwrap();
        prop_assert!((micros * (unit / 1_000_000) - exact).abs() * 2 <= unit / 1_000_000, "{}", cell);
    }

    #[test]
    fn any_text_is_read_or_refused(cell in ".{0,12}") {
        for mark in [DecimalMark::Point, DecimalMark::Comma] {
            let _ = read_as(mark, &cell, Measure::Spend);
            let _ = decide(b';', &[(cell.as_str(), Measure::Clicks)]);
        }
    }
}
