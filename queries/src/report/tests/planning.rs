use chrono::NaiveDate;
use domain::bucket::Grain;
use serde_json::json;

use super::super::plan::Plan;
use super::super::rollup::{EpochLimits, RetentionBound, RollupChoice, Stretch};
use super::{at, query};

fn plan(from: &str, to: &str, granularity: &str, zone: &str) -> Plan {
    let request = json!({"date_from": from, "date_to": to, "granularity": granularity, "time_zone": zone});
    Plan::new(&query(request)).unwrap()
}

#[test]
fn months_are_the_utc_months_of_the_range() {
    assert_eq!(plan("2026-11-01", "2026-11-30", "day", "UTC").months(), ["2026-11"]);
    assert_eq!(plan("2026-11-01", "2026-11-30", "day", "Europe/Berlin").months(), ["2026-10", "2026-11"]);
    assert_eq!(plan("2026-11-01", "2026-11-30", "day", "America/New_York").months(), ["2026-11", "2026-12"]);
    assert_eq!(plan("2025-12-31", "2026-02-01", "all", "UTC").months(), ["2025-12", "2026-01", "2026-02"]);
    assert_eq!(plan("2026-12-31", "2026-12-31", "15m", "Pacific/Pago_Pago").months(), ["2026-12", "2027-01"]);
}

/// A stated day of any zone shares a UTC month with every query of any zone that shows its date.
#[test]
fn days_of_every_zone_share_a_month_with_their_query() {
    let zones =
        ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu", "UTC", "America/St_Johns", "Pacific/Apia"];
    for date in ["2026-02-28", "2026-03-01", "2011-12-31", "2012-01-01", "2026-11-30"] {
        for of_query in zones {
            let shown = plan(date, date, "day", of_query).months();
            for of_source in zones {
                let stated = plan(date, date, "day", of_source).months();
                assert!(stated.iter().any(|month| shown.contains(month)), "{date} of {of_source} in {of_query}");
            }
        }
    }
}

#[test]
fn places_dates_in_their_cells() {
    let weeks = plan("2026-11-18", "2026-12-01", "week", "Europe/Berlin");
    let labels: Vec<_> = weeks.cells().iter().map(|cell| cell.label.as_str()).collect();
    assert_eq!(labels, ["2026-11-18", "2026-11-23", "2026-11-30"]);
    let cells: Vec<_> = weeks.days.iter().map(|day| day.cell).collect();
    assert_eq!(cells, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2]);

    let apia = plan("2011-12-29", "2011-12-31", "day", "Pacific/Apia");
    let skipped = NaiveDate::from_ymd_opt(2011, 12, 30).unwrap();
    let place = apia.days.iter().find(|day| day.date == skipped).unwrap();
    assert_eq!((place.cell, place.span), (0, None));
    assert_eq!(apia.days.iter().map(|day| day.cell).collect::<Vec<_>>(), [0, 0, 1]);
    assert!(plan("2011-12-30", "2011-12-30", "all", "Pacific/Apia").days.is_empty());
}

#[test]
fn grain_fits_cells_that_are_not_finer() {
    let fits = |granularity: &str| {
        let plan = plan("2026-11-18", "2026-11-19", granularity, "UTC");
        (plan.fitting, plan.too_coarse, plan.days.len())
    };
    assert_eq!(fits("15m"), (vec![Grain::QuarterHour], vec![Grain::Hour, Grain::Day], 0));
    assert_eq!(fits("hour"), (vec![Grain::QuarterHour, Grain::Hour], vec![Grain::Day], 0));
    for granularity in ["day", "week", "month", "quarter", "year", "all"] {
        assert_eq!(fits(granularity), (vec![Grain::QuarterHour, Grain::Hour], vec![], 2), "{granularity}");
    }
}

fn rollup(from: &str, to: &str, granularity: &str, zone: &str, limits: &EpochLimits) -> RollupChoice {
    let query = query(json!({"date_from": from, "date_to": to, "granularity": granularity, "time_zone": zone}));
    RollupChoice::choose(&Plan::new(&query).unwrap(), Stretch::default(), &query, limits)
}

#[test]
fn chooses_the_coarsest_rollup_that_fits() {
    let grain = |from, to, granularity, zone| rollup(from, to, granularity, zone, &EpochLimits::default()).grain;
    for granularity in ["day", "week", "month", "quarter", "year", "all"] {
        assert_eq!(grain("2026-03-01", "2026-04-02", granularity, "UTC"), Grain::Day, "{granularity}");
        // With and without a clock change in the range.
        assert_eq!(grain("2026-03-01", "2026-04-02", granularity, "America/New_York"), Grain::Hour, "{granularity}");
        assert_eq!(grain("2026-05-01", "2026-05-02", granularity, "America/New_York"), Grain::Hour, "{granularity}");
        assert_eq!(
            grain("2026-03-01", "2026-04-02", granularity, "Asia/Kathmandu"),
            Grain::QuarterHour,
            "{granularity}"
        );
        assert_eq!(grain("2011-12-29", "2011-12-31", granularity, "Pacific/Apia"), Grain::Hour, "{granularity}");
    }
    assert_eq!(grain("2026-05-01", "2026-05-02", "hour", "UTC"), Grain::Hour);
    assert_eq!(grain("2026-05-01", "2026-05-02", "15m", "UTC"), Grain::QuarterHour);
    // Lord Howe is 11 hours ahead in summer and 10:30 in winter: its hours fit in one of them alone.
    assert_eq!(grain("2026-11-01", "2026-11-05", "day", "Australia/Lord_Howe"), Grain::Hour);
    assert_eq!(grain("2026-06-01", "2026-06-05", "day", "Australia/Lord_Howe"), Grain::QuarterHour);
    assert_eq!(grain("2026-10-03", "2026-10-05", "day", "Australia/Lord_Howe"), Grain::QuarterHour);
}

#[test]
fn chooses_the_rollup_that_is_kept_longest() {
    let limit = |table: &str, before: &str| {
        (table.to_owned(), RetentionBound { before: at(before), changed_at: at("2026-11-22T00:00:00Z") })
    };
    let limits = EpochLimits {
        version: 1,
        dimension_values: 1_000,
        kept: vec![limit("rollup_15m", "2026-06-01T00:00:00Z"), limit("rollup_daily", "2026-02-01T00:00:00Z")],
    };
    let beyond = |from, granularity, zone| {
        let rollup = rollup(from, "2026-08-01", granularity, zone, &limits);
        (rollup.grain, rollup.beyond.map(|bound| bound.before))
    };
    // Days fit, but hours are kept longer.
    assert_eq!(beyond("2026-01-31", "month", "UTC"), (Grain::Hour, None));
    assert_eq!(beyond("2026-02-01", "month", "UTC"), (Grain::Day, None));
    let june = Some(at("2026-06-01T00:00:00Z"));
    assert_eq!(beyond("2026-06-01", "month", "Asia/Kathmandu"), (Grain::QuarterHour, june));
    assert_eq!(beyond("2026-06-02", "month", "Asia/Kathmandu"), (Grain::QuarterHour, None));
}
