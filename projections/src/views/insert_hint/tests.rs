use chrono::TimeDelta;
use domain::bucket::{Grain, utc_bucket};

use super::*;

fn quarter(n: i32) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(15) * n
}

#[test]
fn rows_after_newest_bucket_are_new() {
    let written = InsertHint::Nothing.and([quarter(3), quarter(7), quarter(5)].into_iter());
    assert_eq!(written, InsertHint::UpTo(quarter(7)));
    assert!(!written.is_certainly_new(quarter(7)) && written.is_certainly_new(quarter(8)));
    assert_eq!(written.and([quarter(4)].into_iter()), written, "late rows change nothing");
    assert_eq!(written.and([].into_iter()), written);
}

#[test]
fn hour_is_new_if_no_quarter_of_it_was_written() {
    for newest in 0..12 {
        let written = InsertHint::Nothing.and([quarter(newest)].into_iter());
        for next in newest..12 {
            let hour = utc_bucket(Grain::Hour, quarter(next));
            assert_eq!(
                written.is_certainly_new(hour),
                hour > utc_bucket(Grain::Hour, quarter(newest)),
                "{newest}, {next}"
            );
        }
    }
}

#[test]
fn nothing_is_new_without_knowledge() {
    assert!(!InsertHint::Unknown.and([quarter(1)].into_iter()).is_certainly_new(quarter(9)));
    assert!(InsertHint::Nothing.is_certainly_new(quarter(0)));
}
