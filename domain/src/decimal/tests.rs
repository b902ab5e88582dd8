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
    for text in ["", "-", "+1", ".5", "5.", "1e3", "NaN", "inf", " 1", "1 ", "1,5", "0x10", "1.2.3", "--1", "١"] {
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
fn parses_whole_numbers_to_a_larger_bound() {
    assert_eq!(parse_whole("12.000"), Ok(Some(12)));
    assert_eq!(parse_whole("-3000000000"), Ok(Some(-3_000_000_000)));
    assert_eq!(parse_whole("1000000000000000"), Ok(Some(MAX_WHOLE)));
    assert_eq!(parse_whole("0.5"), Ok(None));
    assert_eq!(parse_whole("1e3"), Err(DecimalError::Malformed));
    for text in ["1000000000000001", "-1000000000000001", "9223372036854775808", "99999999999999999999999999"] {
        assert_eq!(parse_whole(text), Err(DecimalError::TooLarge { most: MAX_WHOLE }), "{text}");
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
    fn parsing_never_panics(text in ".{0,30}|-?[0-9]{0,25}\\.?[0-9]{0,12}") {
        if let Ok(millionths) = parse_millionths(&text) {
            prop_assert!(millionths.abs() <= MAX_MILLIONTHS);
        }
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
