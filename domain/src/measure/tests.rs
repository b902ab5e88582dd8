use proptest::prelude::*;

use super::*;

#[test]
fn names_round_trip() {
    for measure in Measure::ALL {
        assert_eq!(measure.name().parse(), Ok(*measure));
        assert_eq!(serde_json::to_string(measure).unwrap(), format!("\"{}\"", measure.name()));
    }
    assert_eq!("reach".parse::<Measure>(), Err(MeasureError::Unknown));
}

#[test]
fn catalogue_is_consistent() {
    let mut names: Vec<&str> = Measure::ALL.iter().map(|measure| measure.name()).collect();
    names.extend(DERIVED.iter().map(|derived| derived.name));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a name is used twice");
    for derived in DERIVED {
        assert_eq!(DerivedMeasure::find(derived.name), Some(derived));
        for side in Side::ALL {
            assert_eq!(derived.operand(side), format!("{}.{}", derived.name, derived.side(side)));
        }
        assert!(derived.formula.ends_with(&format!("{} / {}", derived.numerator, derived.denominator)));
        assert!(matches!(derived.unit, Unit::Money | Unit::Ratio), "{}", derived.name);
        let money_by_money = derived.numerator.unit() == Unit::Money && derived.denominator.unit() == Unit::Money;
        assert_eq!(
            derived.unit == Unit::Money,
            derived.numerator.unit() == Unit::Money && !money_by_money,
            "{}: money by a count is money, anything else a ratio",
            derived.name
        );
    }
}

fn value(measure: Measure, text: &str) -> Result<i64, MeasureError> {
    measure.parse_value(text).map(|rounded| rounded.value)
}

#[test]
fn parses_values_in_the_measures_unit() {
    assert_eq!(value(Measure::Clicks, "12"), Ok(12));
    assert_eq!(value(Measure::Clicks, "12.000"), Ok(12));
    assert_eq!(value(Measure::Clicks, "12.5"), Err(MeasureError::NotWhole));
    assert_eq!(value(Measure::Conversions, "12.5"), Ok(12_500_000));
    assert_eq!(value(Measure::Spend, "3.41"), Ok(3_410_000));
    for signed in [Measure::Spend, Measure::Revenue, Measure::Conversions] {
        assert_eq!(value(signed, "-3.41"), Ok(-3_410_000));
    }
    assert_eq!(Measure::Spend.parse_value("3.4100001"), Ok(Rounded { value: 3_410_000, is_exact: false }));
    assert_eq!(
        Measure::Spend.parse_scaled("3410000", PowerOfTen(-6)),
        Ok(Rounded { value: 3_410_000, is_exact: true })
    );
}

#[test]
fn counts_and_what_is_paid_back_are_never_negative() {
    for measure in Measure::ALL.iter().filter(|measure| !measure.may_be_negative()) {
        assert_eq!(value(*measure, "-1"), Err(MeasureError::Negative), "{measure}");
        assert_eq!(value(*measure, "-0"), Ok(0), "{measure}");
    }
    assert_eq!(value(Measure::Refunds, "3.41"), Ok(3_410_000));
}

#[test]
fn bounds_follow_the_unit() {
    assert_eq!(value(Measure::Impressions, "3000000000"), Ok(3_000_000_000));
    assert_eq!(value(Measure::Impressions, "1000000000000000"), Ok(1_000_000_000_000_000));
    assert_eq!(value(Measure::Conversions, "1000000000000"), Ok(1_000_000_000_000_000_000));
    assert_eq!(value(Measure::Spend, "-1000000000000"), Ok(-1_000_000_000_000_000_000));
    let told = |measure: Measure, text: &str| measure.parse_value(text).unwrap_err().to_string();
    assert_eq!(told(Measure::Clicks, "1000000000000001"), "must not be larger than 1000000000000000");
    assert_eq!(told(Measure::Refunds, "1000000000000.01"), "must not be larger than 1000000000000");
    assert_eq!(told(Measure::Spend, "1000000000000.01"), "must lie between -1000000000000 and 1000000000000");
    assert_eq!(told(Measure::Conversions, "-1000000000001"), "must lie between -1000000000000 and 1000000000000");
}

#[track_caller]
fn check(name: &str, numerator: i128, denominator: i128, millionths: Option<i128>) {
    assert_eq!(DerivedMeasure::find(name).unwrap().millionths(numerator, denominator), millionths);
}

#[test]
fn quotients_come_out_in_millionths() {
    check("ctr", 12, 1_000, Some(12_000));
    check("cvr", 1_500_000, 30, Some(50_000));
    check("cpc", 3_410_000, 12, Some(284_167));
    check("cpm", 3_410_000, 1_000, Some(3_410_000));
    check("cpa", 9_000_000, 1_500_000, Some(6_000_000));
    check("cost_per_lead", 9_000_000, 4, Some(2_250_000));
    check("roas", 7_000_000, 2_000_000, Some(3_500_000));
    check("aov", 90_000_000, 1_500_000, Some(60_000_000));
    check("open_rate", 1, 3, Some(333_333));
}

#[test]
fn zero_denominator_gives_none() {
    for derived in DERIVED {
        assert_eq!(derived.millionths(5, 0), None, "{}", derived.name);
        assert_eq!(derived.millionths(0, 0), None, "{}", derived.name);
    }
}

proptest! {
    #[test]
    fn quotients_of_large_sums_are_not_negative(
        index in 0..DERIVED.len(),
        numerator in 0..i128::from(i64::MAX) * 1_000_000,
        denominator in 0..i128::from(i64::MAX) * 1_000_000,
    ) {
        let quotient = DERIVED[index].millionths(numerator, denominator);
        if denominator == 0 {
            prop_assert_eq!(quotient, None);
        } else if let Some(quotient) = quotient {
            prop_assert!(quotient >= 0);
        }
    }

    #[test]
    fn scaling_both_sides_keeps_the_quotient(clicks in 0_i128..1_000_000, shown in 1_i128..1_000_000, by in 1_i128..1_000) {
        let ctr = DerivedMeasure::find("ctr").unwrap();
        prop_assert_eq!(ctr.millionths(clicks, shown), ctr.millionths(clicks * by, shown * by));
    }
}
