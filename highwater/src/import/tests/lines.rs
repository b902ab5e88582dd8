use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::import::judge::Item;

#[track_caller]
fn reports(lines: &str, expected: &[&str]) {
    assert_eq!(judged(lines).reports(), expected);
}

#[test]
fn finds_sources_and_the_days_of_each_campaign() {
    let file = judged("02.01.2019,A,One,1,2,\n01.01.2019,B,One,1,,0.5\n03.01.2019,A,Two,0,0,\n");
    assert_eq!(file.reports(), [""; 0]);
    assert_eq!(file.verdict.rows, 3);
    assert_eq!(file.verdict.sources, ["A", "B"]);
    let one = &file.verdict.campaigns[0];
    assert_eq!((one.name.as_str(), one.first_day, one.last_day), ("One", date("2019-01-01"), date("2019-01-02")));
    assert_eq!(one.sources, BTreeSet::from([0, 1]));
    assert_eq!(file.verdict.campaigns[1].first_day, date("2019-01-03"));
}

#[test]
fn repeated_key_names_both_lines_and_sends_neither() {
    let file = judged("01.01.2019,A,One,1,1,\n01.01.2019,B,One,1,1,\n01.01.2019,A,One,2,2,\n");
    assert_eq!(
        file.reports(),
        [
            "line 2 is repeated by line 4, so it is unknown which of the two is right",
            "line 4 repeats the source, campaign and date of line 2: `A`, `One`, 2019-01-01; --add-rows adds such \
             lines",
        ]
    );
    assert_eq!(file.verdict.items.iter().map(|item| item.line).collect::<Vec<_>>(), [3]);
    assert_eq!(file.told(Measure::Clicks), 1);
}

#[test]
fn lines_of_one_key_are_added_on_request() {
    let mut options = options();
    options.mapping.add_rows = Some(true);
    let lines = "01.01.2019,A,One,1,,0.10\n01.01.2019,A,One,2,5,0.20\n02.01.2019,A,One,4,,\n";
    let file = judge(format!("{HEADER}{lines}"), &options);
    assert_eq!((file.verdict.items.len(), file.verdict.added), (2, 1));
    let sums = vec![(Measure::Impressions, 5), (Measure::Clicks, 3), (Measure::Spend, 300_000)];
    assert_eq!(file.verdict.items[0].values, sums);
}

#[test]
fn reports_bad_lines_and_goes_on() {
    reports(
        "2019-01-01,A,One,1,1,\n31.02.2019,A,One,1,1,\n01.01.2019,A,One,many,1,\n02.01.2019,A,One,1.5,1,\n\
         03.01.2019,A,One,-1,1,\n06.01.2019,,One,1,1,\n07.01.2019,A,,1,1,\n08.01.2019,A,One,1\n09.01.2019,A,One,1,1,\n\
         10.01.0026,A,One,1,1,\n10.01.2119,A,One,1,1,\n,A,One,1,1,\n",
        &[
            "line 2 `2019-01-01` is not a date in the format %d.%m.%Y",
            "line 3 `31.02.2019` is not a date in the format %d.%m.%Y",
            "line 4 clicks `many` is not a decimal number such as 12 or 12.34",
            "line 5 clicks `1.5` must be a whole number",
            "line 6 clicks `-1` must not be negative",
            "line 7 the source is empty",
            "line 8 the campaign is empty; --without-campaign NAME says which campaign takes such lines",
            "line 9 has 4 fields where the header has 6",
            "line 11 `10.01.0026` must lie in the years 1970 to 2199",
            "line 12 `10.01.2119` lies in the future",
            "line 13 the date is empty",
        ],
    );
}

#[test]
fn invalid_utf_8_is_a_bad_line() {
    let file = judge([HEADER.as_bytes(), b"01.01.2019,A,Sch\xf6n,1,1,\n01.01.2019,A,Two,1,1,\n"].concat(), &options());
    assert!(file.reports()[0].starts_with("line 2 the campaign is not UTF-8 text"), "{:?}", file.reports());
    assert_eq!(file.verdict.campaigns.len(), 1);
}

#[test]
fn names_are_mended_before_they_are_judged() {
    let file = judged(
        "01.01.2019,A,\"New\nchairs\there\",1,1,\n02.01.2019,A,\"New\r\nchairs here\",1,1,\n\
         03.01.2019,A,New\u{0}\u{7} chairs here ,1,1,\n",
    );
    assert_eq!(file.reports(), [""; 0]);
    assert_eq!(file.verdict.mended, 3);
    assert_eq!(file.verdict.campaigns.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["New chairs here"]);
    assert_eq!(file.verdict.items.iter().map(|item| item.line).collect::<Vec<_>>(), [2, 4, 6]);
}

#[test]
fn names_that_are_too_long_are_refused_by_line() {
    let long = "x".repeat(201);
    reports(
        &format!("01.01.2019,A,{long},1,1,\n01.01.2019,A,One,1,1,\n"),
        &["line 2 the campaign has 201 characters, at most 200 are allowed"],
    );
}

#[test]
fn cell_without_a_value_states_nothing_but_zero_does() {
    let file = judged("01.01.2019,A,One,0,--,1.25\n02.01.2019,A,One,,n/a,\n");
    assert_eq!(file.verdict.silent, 1);
    let item = Item {
        line: 2,
        source: 0,
        campaign: 0,
        bucket: domain::bucket::Bucket::Day(date("2019-01-01")),
        day: date("2019-01-01"),
        values: vec![(Measure::Clicks, 0), (Measure::Spend, 1_250_000)],
    };
    assert_eq!(file.verdict.items, [item]);
}

#[test]
fn says_how_much_of_each_measure_is_left_out() {
    let file = judged("01.01.2019,A,One,1,100,1.00\n02.01.2019,A,One,many,300,3.00\n");
    assert_eq!(
        file.verdict.totals.shares(),
        [
            "impressions: 300 of 400 (75.0 %)",
            "clicks: 0 of 1 (0.0 %) and 1 cell that cannot be read",
            "spend: 3.000000 of 4.000000 (75.0 %)",
        ]
    );
}

#[test]
fn counts_what_is_rounded() {
    let file = judged("01.01.2019,A,One,1,1,5.5200001\n02.01.2019,A,One,1,1,0.30000000000000004\n");
    assert_eq!((file.verdict.rounded, file.told(Measure::Spend)), (2, 5_820_000));
}

#[test]
fn a_few_bad_lines_are_no_reason_to_send_nothing() {
    let good = |count: usize| {
        let lines: Vec<String> = (0..count).map(|place| format!("01.01.2019,A,C{place},1,1,\n")).collect();
        lines.concat()
    };
    let bad = |count: usize| "01.01.2019,A,One,many,1,\n".repeat(count);
    assert!(!judged(&format!("{}{}", good(10), bad(10))).verdict.is_mostly_refused());
    assert!(judged(&format!("{}{}", good(10), bad(11))).verdict.is_mostly_refused());
    assert!(!judged(&format!("{}{}", good(1_200), bad(11))).verdict.is_mostly_refused());
}

#[test]
fn numbers_lines_as_an_editor_does() {
    for line_break in ["\n", "\r\n"] {
        let lines = [HEADER.trim_end(), "", "01.01.2019,A,One,x,,", "", "", "02.01.2019,A,One,y", ""];
        let file = judge(lines.join(line_break), &options());
        let lines: Vec<u64> = file.verdict.refused.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [3, 6], "{line_break:?}");
    }
}

#[test]
fn quoted_cells_may_hold_commas_quotes_and_line_breaks() {
    let file =
        judged("01.01.2019,A,\"Sale, \"\"big\"\"\",1,1,\n02.01.2019,A,\"two\nlines\",1,1,\n03.01.2019,A,Last,1,1,\n");
    let named: Vec<(&str, u64)> =
        file.verdict.items.iter().map(|it| (file.verdict.campaigns[it.campaign].name.as_str(), it.line)).collect();
    assert_eq!(named, [("Sale, \"big\"", 2), ("two lines", 3), ("Last", 5)]);
}

proptest! {
    /// Every line is told, added, silent, left out or refused, and nothing of its numbers is lost.
    #[test]
    fn every_line_is_accounted_for(
        lines in proptest::collection::vec(
            ("[ab]?", "[xy]{0,2}", "(1[0-5]|32)", "([0-9]{0,3}|--|many)", "([0-9]{1,2}[.][0-9]{1,9})?"), 0..40,
        ),
        adds_rows: bool,
    ) {
        let mut options = options();
        options.mapping.add_rows = Some(adds_rows);
        options.mapping.decimal_mark = "point".parse().ok();
        let mut file = HEADER.to_owned();
        let mut clicks = 0;
        for (source, campaign, day, count, cost) in &lines {
            writeln!(file, "{day}.01.2019,{source},{campaign},{count},,{cost}").unwrap();
            clicks += count.parse::<i128>().unwrap_or_default();
        }
        let verdict = judge(file, &options).verdict;
        prop_assert_eq!(verdict.rows, lines.len() as u64);
        let accounted = verdict.items.len() as u64 + verdict.added + verdict.silent + verdict.refused.len() as u64;
        prop_assert_eq!(accounted, verdict.rows);
        let all: i128 = verdict.totals.iter().filter(|(_, measure, _)| *measure == Measure::Clicks)
            .map(|(.., sum)| sum.told + sum.withheld).sum();
        prop_assert_eq!(all, clicks);
        let stated: i128 = verdict.items.iter().flat_map(|item| &item.values)
            .filter(|(measure, _)| *measure == Measure::Clicks).map(|(_, value)| i128::from(*value)).sum();
        let told: i128 = verdict.totals.iter().filter(|(_, measure, _)| *measure == Measure::Clicks)
            .map(|(.., sum)| sum.told).sum();
        prop_assert_eq!(stated, told);
    }

    #[test]
    fn any_bytes_are_judged_or_refused(bytes: Vec<u8>) {
        let _ = try_judge([HEADER.as_bytes(), &bytes].concat(), &options());
        let _ = try_judge(bytes, &options());
    }
}
