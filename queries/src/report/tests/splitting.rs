use domain::measure::Measure;

use super::super::dimension::split;
use super::super::sum::{DimensionValue, Sum};
use super::sum;

fn named(value: &str, sum: &Sum) -> Sum {
    Sum { dimension_value: Some(DimensionValue::Value(value.to_owned())), ..sum.clone() }
}

fn rest(sum: &Sum) -> Sum {
    Sum { dimension_value: Some(DimensionValue::None), ..sum.clone() }
}

#[test]
fn rest_of_a_total_has_no_value() {
    let clicks = |cell, value| sum(cell, 1, Measure::Clicks, value);
    let totals =
        vec![clicks(0, 10), clicks(1, 7), clicks(2, 0), sum(0, 1, Measure::Spend, 40), sum(0, 2, Measure::Clicks, 5)];
    let values = vec![named("DE", &clicks(0, 6)), named("(other)", &clicks(0, 1)), named("DE", &clicks(1, 7))];
    let mut expected = values.clone();
    // The values cover cell 1. Cell 2 has a total of 0 without values.
    expected.extend([rest(&clicks(0, 3)), rest(&clicks(2, 0)), rest(&sum(0, 1, Measure::Spend, 40))]);
    expected.push(rest(&sum(0, 2, Measure::Clicks, 5)));
    assert_eq!(split(totals, values, &DimensionValue::None).unwrap(), expected);
}

#[test]
fn rest_may_be_negative() {
    let totals = vec![sum(0, 1, Measure::Clicks, 2)];
    let values = vec![named("DE", &sum(0, 1, Measure::Clicks, 5))];
    let parts = split(totals, values, &DimensionValue::None).unwrap();
    assert_eq!(parts.iter().map(|part| part.value).sum::<i128>(), 2);
    assert_eq!(parts[1], rest(&sum(0, 1, Measure::Clicks, -3)));
}

#[test]
fn values_without_a_total_leave_their_opposite() {
    let values = vec![named("DE", &sum(0, 1, Measure::Clicks, 5)), named("AT", &sum(0, 1, Measure::Clicks, 2))];
    let rest = DimensionValue::Value("(not broken down)".to_owned());
    let parts = split(Vec::new(), values, &rest).unwrap();
    assert_eq!(parts.iter().map(|part| part.value).sum::<i128>(), 0);
    assert_eq!(parts[2].dimension_value, Some(rest));
}
