use proptest::prelude::*;

use super::*;

#[test]
fn parses_plain_decimals_exactly() {
    for (text, millionths) in [
        ("0", 0),
        ("-0", 0),
        ("12", 12_000_000),
        ("12.34", 12_340_000),
        ("-12.345678", -12_345_678),
        ("0.000001", 1),
        ("1.50000000000", 1_500_000),
        ("000000000000012", 12_000_000),
        ("1000000000000", MAX_MILLIONTHS),
        ("-1000000000000.000000", -MAX_MILLIONTHS),
        ("999999999999.999999", MAX_MILLIONTHS - 1),
    ] {
        assert_eq!(parse_millionths(text), Ok(millionths), "{text}");
    }
}

#[test]
fn rejects_other_text_with_a_reason() {
    for text in
        ["", "-", "+", ".", "-.", "e3", ".e3", "1e", "1e+", "1e1.5", "NaN", "inf", " 1", "1 ", "1,5", "0x10", "1.2.3"]
            .into_iter()
            .chain(["--1", "+-1", "١", "1_000"])
    {
        assert_eq!(parse_millionths(text), Err(DecimalError::Malformed), "{text}");
    }
    assert_eq!(parse_millionths("0.0000001"), Err(DecimalError::TooPrecise));
    let too_large = DecimalError::TooLarge { most: 1_000_000_000_000 };
    for text in [
        "1000000000000.000001",
        "-1000000000001",
        "9223372036854.775808",
        "9999999999999999999",
        "99999999999999999999999999999999999999999",
    ] {
        assert_eq!(parse_millionths(text), Err(too_large), "{text}");
    }
    assert_eq!(too_large.to_string(), "must lie between -1000000000000 and 1000000000000");
}

#[test]
fn reads_numbers_as_programs_print_them() {
    for (text, millionths) in [
        ("+1", 1_000_000),
        (".22", 220_000),
        ("12.", 12_000_000),
        ("-.5", -500_000),
        ("1e3", 1_000_000_000),
        ("1.5E+2", 150_000_000),
        ("25e-7", 2),
        ("0.000001e6", 1_000_000),
        ("0e999999999999999999999", 0),
    ] {
        assert_eq!(round_millionths(text, PowerOfTen::default()).map(|it| it.value), Ok(millionths), "{text}");
    }
    let too_large = DecimalError::TooLarge { most: 1_000_000_000_000 };
    for text in ["1e13", "1e99999999999999999999", "-1e400", "1000000000000.0000005000001"] {
        assert_eq!(round_millionths(text, PowerOfTen::default()), Err(too_large), "{text}");
    }
}

#[test]
fn rounds_half_to_even_at_the_sixth_place() {
    for (text, millionths, is_exact) in [
        ("5.5200001", 5_520_000, false),
        ("0.30000000000000004", 300_000, false),
        ("38.63999999", 38_640_000, false),
        ("0.0000005", 0, false),
        ("0.0000015", 2, false),
        ("0.0000025", 2, false),
        ("-0.0000015", -2, false),
        ("0.00000250000000000000000000000000000000000000001", 3, false),
        ("0.1000000000000000055511151231257827021181583404541015625", 100_000, false),
        ("9e-8", 0, false),
        ("1e-99999999999999999999", 0, false),
        ("0.9999999", 1_000_000, false),
        ("1.50000000000000000000", 1_500_000, true),
        ("0.000000", 0, true),
    ] {
        assert_eq!(
            round_millionths(text, PowerOfTen::default()),
            Ok(Rounded { value: millionths, is_exact }),
            "{text}"
        );
    }
}

#[test]
fn moves_the_point_by_a_power_of_ten() {
    let micros = |text| round_millionths(text, PowerOfTen(-6));
    assert_eq!(micros("36150000"), Ok(Rounded { value: 36_150_000, is_exact: true }));
    assert_eq!(micros("0.5"), Ok(Rounded { value: 0, is_exact: false }));
    assert_eq!(micros("1.5"), Ok(Rounded { value: 2, is_exact: false }));
    assert_eq!(micros("999999999999000000").map(|it| it.value), Ok(999_999_999_999_000_000));
    assert_eq!(round_millionths("1.25", PowerOfTen(2)), Ok(Rounded { value: 125_000_000, is_exact: true }));
    assert_eq!(round_whole("1.2", PowerOfTen(3)), Ok(Some(Rounded { value: 1_200, is_exact: true })));
}

#[test]
fn parses_whole_numbers_to_a_larger_bound() {
    let whole = |text| round_whole(text, PowerOfTen::default());
    let exact = |value| Ok(Some(Rounded { value, is_exact: true }));
    assert_eq!(whole("12.000"), exact(12));
    assert_eq!(whole("1e3"), exact(1_000));
    assert_eq!(whole("-3000000000"), exact(-3_000_000_000));
    assert_eq!(whole("1000000000000000"), exact(MAX_WHOLE));
    assert_eq!(whole("11.99999999999998"), Ok(Some(Rounded { value: 12, is_exact: false })));
    assert_eq!(whole("0.5"), Ok(None));
    assert_eq!(whole("0.000001"), Ok(None));
    for text in ["1000000000000001", "-1000000000000001", "9223372036854775808", "99999999999999999999999999", "1e99"] {
        assert_eq!(whole(text), Err(DecimalError::TooLarge { most: MAX_WHOLE }), "{text}");
    }
}

#[test]
fn prints_all_six_places() {
    assert_eq!(format_millionths(1_234_560_000), "1234.560000");
    assert_eq!(format_millionths(-1), "-0.000001");
    assert_eq!(format_millionths(0), "0.000000");
    assert_eq!(format_millionths(i128::MIN), "-170141183460469231731687303715884.105728");
}

#[test]
fn rounds_half_to_even() {
    for (numerator, denominator, rounded) in [
        (1, 2, 0),
        (3, 2, 2),
        (5, 2, 2),
        (-1, 2, 0),
        (-3, 2, -2),
        (-5, 2, -2),
        (1, -2, 0),
        (3, -2, -2),
        (-5, -2, 2),
        (2, 3, 1),
        (-2, 3, -1),
        (1, 3, 0),
        (i128::MAX, i128::MIN, -1),
        (i128::MIN, i128::MAX, -1),
    ] {
        assert_eq!(divide_half_even(numerator, denominator), Some(rounded), "{numerator}/{denominator}");
    }
}

#[test]
fn undefined_quotient_is_none() {
    assert_eq!(divide_half_even(0, 0), None);
    assert_eq!(divide_half_even(7, 0), None);
    assert_eq!(divide_half_even(i128::MIN, -1), None);
}

/// Rounds by comparing the distances to the two neighbours, in another way than the code does.
fn reference(numerator: i128, denominator: i128) -> i128 {
    let toward_zero = numerator / denominator;
    let away = toward_zero + if (numerator < 0) == (denominator < 0) { 1 } else { -1 };
    let distance = |quotient: i128| (numerator - quotient * denominator).abs();
    match distance(toward_zero).cmp(&distance(away)) {
        std::cmp::Ordering::Less => toward_zero,
        std::cmp::Ordering::Equal if toward_zero % 2 == 0 => toward_zero,
        std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => away,
    }
}

proptest! {
    #[test]
    fn decimals_round_trip(millionths in -MAX_MILLIONTHS..=MAX_MILLIONTHS) {
        prop_assert_eq!(parse_millionths(&format_millionths(i128::from(millionths))), Ok(millionths));
    }

    #[test]
    fn parsing_never_panics(text in ".{0,30}|[-+]?[0-9]{0,25}\\.?[0-9]{0,12}([eE][-+]?[0-9]{0,25})?", scale: i8) {
        if let Ok(rounded) = round_millionths(&text, PowerOfTen(scale)) {
            prop_assert!(rounded.value.abs() <= MAX_MILLIONTHS);
        }
        if let Ok(Some(rounded)) = round_whole(&text, PowerOfTen(scale)) {
            prop_assert!(rounded.value.abs() <= MAX_WHOLE);
        }
    }

    #[test]
    fn rounding_loses_at_most_half_a_millionth(
        digits in -1_000_000_000_000_000_000_i64..1_000_000_000_000_000_000,
        places in 0_u32..25,
        scale in -8_i8..=0,
    ) {
        let text = format!("{digits}e-{places}");
        let rounded = round_millionths(&text, PowerOfTen(scale));
        let exact = i128::from(digits);
        let shift = i64::from(places) - i64::from(scale) - 6;
        if let Ok(Rounded { value, is_exact }) = rounded {
            if shift >= 0 {
                let unit = 10_i128.checked_pow(u32::try_from(shift).unwrap()).filter(|unit| *unit < i128::MAX / 4);
                if let Some(unit) = unit {
                    let lost = exact - i128::from(value) * unit;
                    prop_assert!(lost.abs() * 2 <= unit, "{text}: {value}");
                    prop_assert_eq!(is_exact, lost == 0);
                    prop_assert_eq!(Some(i128::from(value)), divide_half_even(exact, unit));
                } else {
                    prop_assert_eq!(value, 0);
                }
            } else {
                prop_assert!(is_exact);
                prop_assert_eq!(i128::from(value), exact * 10_i128.pow(u32::try_from(-shift).unwrap()));
            }
        } else {
            prop_assert!(shift < 19, "{text}");
        }
    }

    #[test]
    fn spellings_of_a_number_are_read_alike(digits in 0_u64..1_000_000_000_000, places in 0_usize..12) {
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        let plain = round_millionths(&format!("{whole}.{fraction}"), PowerOfTen::default());
        prop_assert_eq!(plain, round_millionths(&format!("+{digits}E-{places}"), PowerOfTen::default()));
        prop_assert_eq!(plain, round_millionths(&format!("{digits}"), PowerOfTen(-i8::try_from(places).unwrap())));
    }

    #[test]
    fn division_matches_the_reference(
        numerator in -1_000_000_000_000_000_000_000_i128..1_000_000_000_000_000_000_000,
        denominator in prop_oneof![-100_i128..100, -1_000_000_000_000_i128..1_000_000_000_000],
    ) {
        prop_assume!(denominator != 0);
        prop_assert_eq!(divide_half_even(numerator, denominator), Some(reference(numerator, denominator)));
    }

    #[test]
    fn small_divisions_match_the_reference(numerator in -60_i128..60, denominator in -12_i128..12) {
        prop_assume!(denominator != 0);
        prop_assert_eq!(divide_half_even(numerator, denominator), Some(reference(numerator, denominator)));
    }

    #[test]
    fn division_never_panics(numerator: i128, denominator: i128) {
        prop_assert_eq!(
            divide_half_even(numerator, denominator).is_none(),
            denominator == 0 || (numerator == i128::MIN && denominator == -1)
        );
    }
}
