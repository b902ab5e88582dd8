use http_edge::json;

use super::*;

fn quantity(json: &str) -> Result<(String, Option<String>), String> {
    let raw: &RawValue = serde_json::from_str(json).unwrap();
    let quantity = RawAmount::read(raw)?;
    Ok((quantity.text.into_owned(), quantity.currency.map(|currency| currency.to_string())))
}

#[test]
fn amounts_keep_the_number_as_it_was_written() {
    assert_eq!(quantity("12.50"), Ok(("12.50".to_owned(), None)));
    assert_eq!(quantity("0.1000000000000000055"), Ok(("0.1000000000000000055".to_owned(), None)));
    assert_eq!(quantity("\"12.50\""), Ok(("12.50".to_owned(), None)));
    assert_eq!(quantity("\"\\u0031\""), Ok(("1".to_owned(), None)));
    let euros = Ok(("1".to_owned(), Some("EUR".to_owned())));
    assert_eq!(quantity(r#"{"amount": "1", "currency": "EUR"}"#), euros);
    assert_eq!(quantity(r#"{"currency": "EUR", "amount": 1}"#), euros);
}

#[test]
fn rejects_malformed_amounts() {
    let nested = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    for json in [
        "true",
        "[]",
        "[1]",
        "{}",
        r#"{"amount": 1}"#,
        r#"{"amount": [], "currency": "EUR"}"#,
        r#"{"amount": 1, "currency": "eur"}"#,
        r#"{"amount": 1, "currency": 7}"#,
        r#"{"amount": 1, "currency": "EUR", "more": 1}"#,
        r#"{"amount": 1, "amount": 2, "currency": "EUR"}"#,
        "\"\\ud800\"",
        &nested,
    ] {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        assert!(RawAmount::read(&raw).is_err(), "{}", &json[..json.len().min(80)]);
    }
}

#[test]
fn amounts_are_integers_of_their_measure() {
    let of = |json: &str, measure| {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let amount = RawAmount::read(raw)
            .unwrap()
            .amount(measure, "value", &mut Rounding::default())
            .map_err(|error| error.reason)?;
        Ok((amount.value, amount.currency.map(|currency| currency.to_string())))
    };
    assert_eq!(of("12.5", Measure::Spend), Ok((12_500_000, None)));
    let euros = Ok((12_500_000, Some("EUR".to_owned())));
    assert_eq!(of(r#"{"amount": "12.5", "currency": "EUR"}"#, Measure::Spend), euros);
    assert_eq!(of("12", Measure::Clicks), Ok((12, None)));
    assert_eq!(of("12.000", Measure::Clicks), Ok((12, None)));
    assert_eq!(of("0.25", Measure::Conversions), Ok((250_000, None)));
    assert_eq!(of("1.2e1", Measure::Clicks), Ok((12, None)));
    assert_eq!(of("\" 1\"", Measure::Clicks), Err(ItemErrorCode::BadValue));
    for bad in ["12.5", "-1", "99999999999999999999999999", "\"\"", "\"NaN\""] {
        assert_eq!(of(bad, Measure::Clicks), Err(ItemErrorCode::BadValue), "{bad}");
    }
}

#[test]
fn counts_the_values_that_are_rounded() {
    let mut rounding = Rounding::default();
    let mut value = |json: &str, measure| {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        RawAmount::read(raw).unwrap().amount(measure, "value", &mut rounding).unwrap().value
    };
    assert_eq!(value("0.3333333333333333", Measure::Conversions), 333_333);
    assert_eq!(value("5.5200001", Measure::Spend), 5_520_000);
    assert_eq!(value("5.52000000", Measure::Spend), 5_520_000);
    assert_eq!(value("\".22\"", Measure::Spend), 220_000);
    assert_eq!(rounding.count, 2);
}

#[test]
fn rejects_repeated_members() {
    let UniqueKeyMap(members): UniqueKeyMap<'_, i32> = serde_json::from_str(r#"{"b": 1, "a\u0062": 2}"#).unwrap();
    assert_eq!(members, [(Cow::Borrowed("b"), 1), (Cow::Borrowed("ab"), 2)]);
    assert!(serde_json::from_str::<UniqueKeyMap<'_, i32>>(r#"{"a": 1, "\u0061": 2}"#).is_err());
    let many: Vec<String> = (0..100).map(|name| format!("\"{name}\": 1")).collect();
    assert!(serde_json::from_str::<UniqueKeyMap<'_, i32>>(&format!("{{{}}}", many.join(","))).is_err());
}

#[test]
fn millionths_are_exact_and_errors_name_their_field() {
    #[derive(Debug, Deserialize)]
    struct Body {
        amount: Millionths,
    }
    let amount = |text: &str| json::parse::<Body>(text).map(|body| body.amount.0);
    assert_eq!(amount(r#"{"amount": 0.1}"#).unwrap(), 100_000);
    assert_eq!(amount(r#"{"amount": "1234.567891"}"#).unwrap(), 1_234_567_891);
    assert_eq!(amount(r#"{"amount": 1e2}"#).unwrap(), 100_000_000);
    for bad in [r#"{"amount": null}"#, r#"{"amount": {}}"#, r#"{"amount": "1.0000001"}"#] {
        let json::JsonError::Invalid(error) = amount(bad).unwrap_err() else { panic!("{bad} is JSON") };
        assert_eq!(error.field, "amount", "{bad}");
    }
}
