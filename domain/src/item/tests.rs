use super::*;

fn amount(value: i64, currency: Option<&str>) -> Amount {
    Amount { value, currency: currency.map(|currency| currency.parse().unwrap()) }
}

#[test]
fn rejects_amounts_that_a_measure_cannot_have() {
    let check = |amount: Amount, measure| amount.validate(measure, "value").map_err(|error| error.reason);
    assert_eq!(check(amount(1, Some("EUR")), Measure::Spend), Ok(()));
    assert_eq!(check(amount(1, None), Measure::Clicks), Ok(()));
    assert_eq!(check(amount(1, Some("EUR")), Measure::Clicks), Err(ItemErrorCode::BadValue));
    assert_eq!(check(amount(-1, None), Measure::Clicks), Err(ItemErrorCode::BadValue));
}

#[test]
fn money_is_in_the_currency_of_the_source() {
    let of = |amount: Amount| amount.in_currency("EUR".parse().unwrap(), "value").map_err(|error| error.reason);
    assert_eq!(of(amount(7, None)), Ok(7));
    assert_eq!(of(amount(7, Some("EUR"))), Ok(7));
    assert_eq!(of(amount(7, Some("USD"))), Err(ItemErrorCode::CurrencyMismatch));
}

#[test]
fn external_ids_are_short_and_visible() {
    let check = |id: &str| CampaignRef::External(id.to_owned()).validate().is_ok();
    assert!(check("x") && check(&"ü".repeat(200)));
    assert!(!check("") && !check(&"x".repeat(201)) && !check("a\nb"));
}

#[test]
fn instants_are_cut_to_the_millisecond() {
    let instant = parse_instant("at", "2026-11-21T22:00:00.1239999+01:00").unwrap();
    assert_eq!(instant, "2026-11-21T21:00:00.123Z".parse::<DateTime<Utc>>().unwrap());
    assert_eq!(parse_instant("at", "2026-11-21 22:00").unwrap_err().reason, ItemErrorCode::BadTime);
}

#[test]
fn allows_a_clock_that_runs_five_minutes_ahead() {
    let now: DateTime<Utc> = "2026-11-21T22:00:00Z".parse().unwrap();
    assert_eq!(check_not_ahead("at", now + MAX_CLOCK_SKEW, now), Ok(()));
    let ahead = check_not_ahead("at", now + MAX_CLOCK_SKEW + TimeDelta::milliseconds(1), now);
    assert_eq!(ahead.unwrap_err().reason, ItemErrorCode::InFuture);
}

#[test]
fn texts_that_quote_the_sender_are_cut() {
    assert_eq!(truncate(&"ü".repeat(200)), "ü".repeat(200));
    assert_eq!(truncate(&"ü".repeat(201)), format!("{}…", "ü".repeat(200)));
}
