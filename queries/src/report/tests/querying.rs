use chrono::{Month, Weekday};
use domain::bucket::{FiscalCalendar, RetailWeeks};
use serde_json::{Value, json};

use super::super::query::DataState;
use super::super::request::{ReportRequest, RequestDefaults};
use super::{defaults, query};

#[test]
fn equal_requests_have_one_canonical_query() {
    let canonical = json!({
        "measures": ["clicks", "spend", "ctr", "cpc"],
        "date_from": "2026-11-01",
        "date_to": "2026-11-22",
        "granularity": "15m",
        "time_zone": "Asia/Kathmandu",
        "group_by": ["channel", "source", "campaign"],
        "filters": {"campaign_id": ["00000000-0000-0000-0000-00000000ca01"], "channel": ["crm", "email"],
                    "source": ["a", "b"], "status": ["draft", "active"]},
        "order_by": ["-cpc", "bucket"],
        "data_state": "all",
    });
    for (measures, group_by, campaign) in [
        (
            json!(["cpc", "ctr", "spend", "clicks"]),
            json!(["campaign", "source", "channel"]),
            "00000000-0000-0000-0000-00000000CA01",
        ),
        (
            json!(["ctr", "clicks", "cpc", "spend", "clicks"]),
            json!(["channel", "campaign", "source", "source"]),
            "0000000000000000000000000000ca01",
        ),
    ] {
        let request = json!({
            "measures": measures, "group_by": group_by, "date_from": "2026-11-01", "granularity": "15m",
            "time_zone": "Asia/Kathmandu", "order_by": ["-cpc", "bucket", "-bucket"],
            "filters": {"campaign_id": [campaign], "channel": ["email", "crm", "email"], "source": ["b", "a"],
                        "status": ["active", "draft"]},
        });
        assert_eq!(serde_json::to_value(query(request)).unwrap(), canonical);
    }
}

#[test]
fn canonical_query_is_its_own_canonical_query() {
    let first = serde_json::to_value(query(json!({"measures": ["roas", "clicks"], "order_by": ["-roas"]}))).unwrap();
    assert_eq!(serde_json::to_value(query(first.clone())).unwrap(), first);
    // In any context.
    let again: ReportRequest = serde_json::from_value(first).unwrap();
    assert_eq!(again.canonical(defaults(), DataState::Final).unwrap().0.data_state, DataState::All);
}

#[test]
fn fills_in_defaults() {
    assert_eq!(
        serde_json::to_value(query(json!({}))).unwrap(),
        json!({
            "measures": ["impressions", "clicks", "conversions", "revenue", "spend"],
            "date_from": "2026-10-24", "date_to": "2026-11-22", "granularity": "all", "time_zone": "Europe/Berlin",
            "group_by": [], "filters": {}, "order_by": [], "data_state": "all",
        })
    );
}

#[test]
fn serializes_no_member_that_decides_nothing() {
    let form = |request: Value| serde_json::to_value(query(request)).unwrap();
    let plain = form(json!({"measures": ["clicks"]}));
    let idle = json!({"measures": ["clicks"], "week_start": "sunday", "fill": "none", "totals": false});
    assert_eq!(form(idle), plain);
    let weeks = form(json!({"granularity": "week"}));
    assert_eq!(weeks["week_start"], json!("monday"));
    let request = json!({"granularity": "week", "week_start": "sunday", "fill": "zero_if_complete", "totals": true,
                       "group_by": ["source"], "subtotals": "source",
                       "compare_to": {"date_from": "2026-01-01", "date_to": "2026-01-31"}});
    let canonical = form(request.clone());
    for (member, value) in request.as_object().unwrap() {
        assert_eq!(&canonical[member], value);
    }
    assert_eq!(form(json!({"compare_to": "previous_year"}))["compare_to"], json!("previous_year"));
}

/// The calendar stands in the canonical query where it decides on rows, and nowhere else.
#[test]
fn calendar_of_the_workspace_is_filled_in_where_it_decides() {
    let fiscal = FiscalCalendar { week_start: Weekday::Sun, year_start: Month::April, retail_weeks: None };
    let form_in = |calendar: FiscalCalendar, request: Value| {
        let request: ReportRequest = serde_json::from_value(request).unwrap();
        let canonical = request.canonical(RequestDefaults { calendar, ..defaults() }, DataState::All).unwrap().0;
        let form = serde_json::to_value(canonical).unwrap();
        ["week_start", "year_start", "retail_weeks"].map(|member| form[member].clone())
    };
    let none = || [json!(null), json!(null), json!(null)];
    for granularity in ["15m", "hour", "day", "all"] {
        assert_eq!(form_in(fiscal, json!({"granularity": granularity, "year_start": "may"})), none());
    }
    assert_eq!(form_in(fiscal, json!({"granularity": "week"})), [json!("sunday"), json!(null), json!(null)]);
    assert_eq!(form_in(fiscal, json!({"granularity": "month"})), [json!(null), json!(null), json!("none")]);
    for granularity in ["quarter", "year"] {
        let request = json!({"granularity": granularity});
        assert_eq!(form_in(fiscal, request), [json!(null), json!("april"), json!("none")]);
    }
    let retail = FiscalCalendar { retail_weeks: Some(RetailWeeks::FourFourFive), ..fiscal };
    for granularity in ["month", "quarter", "year"] {
        let request = json!({"granularity": granularity});
        assert_eq!(form_in(retail, request), [json!("sunday"), json!("april"), json!("4-4-5")]);
        let said = json!({"granularity": granularity, "retail_weeks": "none", "week_start": "monday",
                          "year_start": "january"});
        assert_eq!(form_in(retail, said.clone()), form_in(FiscalCalendar::ISO, said));
    }
    assert_eq!(form_in(retail, json!({"granularity": "week"})), [json!("sunday"), json!(null), json!(null)]);
}

#[test]
fn names_all_wrong_fields_at_once() {
    let request: ReportRequest = serde_json::from_value(json!({
        "measures": ["clicks", "nonsense"], "date_to": "soon", "time_zone": "Nowhere", "granularity": "era",
        "group_by": ["moon"], "data_state": "maybe", "filters": {"status": ["asleep"], "campaign_id": ["x"]}, "order_by": ["spend"], "limit": 0,
        "week_start": "mon", "year_start": "jan", "retail_weeks": "4-4-4", "compare_to": "last_week", "fill": "nulls", "subtotals": "bucket",
    }))
    .unwrap();
    let wrong = request.canonical(defaults(), DataState::All).unwrap_err();
    let mut fields: Vec<_> = wrong.iter().map(|error| error.field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "compare_to",
            "data_state",
            "date_to",
            "fill",
            "filters.campaign_id[0]",
            "filters.status[0]",
            "granularity",
            "group_by[0]",
            "limit",
            "measures[1]",
            "order_by[0]",
            "retail_weeks",
            "subtotals",
            "time_zone",
            "week_start",
            "year_start",
        ]
    );
    assert!(wrong.iter().all(|error| !error.detail.is_empty()));
}

#[test]
fn rejects_dates_in_other_formats() {
    let wrong = |date: &str| {
        let request: ReportRequest =
            serde_json::from_value(json!({"date_from": date, "date_to": "2026-11-21"})).unwrap();
        request.canonical(defaults(), DataState::All).unwrap_err().remove(0).detail
    };
    for date in
        ["+2026-1-21", " 2026-1-21", "2026- 11-1", "2026-11-1 ", "2026-1-021", "20261-1-21", "２０26-1-1", "2026-02-30"]
    {
        assert_eq!(wrong(date), "is not a date such as 2026-11-21", "{date}");
    }
    // Near the first date, the default range is shorter.
    assert_eq!(query(json!({"date_to": "1970-01-05"})).dates.from.to_string(), "1970-01-01");
}

#[test]
fn rejects_lists_beyond_the_limit() {
    let wrong = |request: Value| {
        let request: ReportRequest = serde_json::from_value(request).unwrap();
        request
            .canonical(defaults(), DataState::All)
            .map(|_| ())
            .map_err(|wrong| wrong.into_iter().map(|error| (error.field, error.detail)).collect::<Vec<_>>())
    };
    let bound = |field: &str| vec![(field.to_owned(), "must not name more than 1000 values".to_owned())];
    for (member, name) in [("measures", "clicks"), ("group_by", "source"), ("order_by", "bucket")] {
        assert_eq!(wrong(json!({ member: vec![name; 1_000] })), Ok(()));
        let mut names = vec![name; 1_000];
        names.push("nope");
        assert_eq!(wrong(json!({ member: names })), Err(bound(member)));
    }
    let ids = wrong(json!({"filters": {"campaign_id": ["z"]}})).unwrap_err();
    assert_eq!(ids, [("filters.campaign_id[0]".to_owned(), "is not a UUID".to_owned())]);
}

#[test]
fn request_survives_serialization() {
    let sent = json!({"measures": ["clicks"], "filters": {"source": ["a"]}, "limit": 5});
    let request: ReportRequest = serde_json::from_value(sent.clone()).unwrap();
    assert_eq!(serde_json::to_value(&request).unwrap(), sent);
    assert_eq!(serde_json::to_value(ReportRequest::default()).unwrap(), Value::Object(serde_json::Map::new()));
}
