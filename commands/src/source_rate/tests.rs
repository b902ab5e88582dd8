use std::time::Duration;

use chrono::DateTime;
use platform::clock::ManualClock;
use uuid::Uuid;

use super::*;

#[test]
fn source_rate_counts_items() {
    let clock = ManualClock::new(DateTime::UNIX_EPOCH);
    let rate = SourceRateLimiter::new(10, 2, clock.shared());
    let (north, south) = (WorkspaceId(1), WorkspaceId(2));
    let (source, other) = (SourceId(Uuid::from_u128(1)), SourceId(Uuid::from_u128(2)));
    rate.check(north, source, 0).unwrap();
    rate.check(north, source, 15).unwrap();
    let refused = rate.check(north, source, 10).unwrap_err();
    assert_eq!((refused.policy.name, refused.policy.quota.get(), refused.remaining), ("source", 20, 0));
    assert_eq!(refused.wait, Some(Duration::from_millis(500)));
    rate.check(north, other, 10).unwrap();
    rate.check(south, source, 10).unwrap();
}

#[test]
fn there_is_no_limit_unless_one_is_set() {
    let source = SourceId(Uuid::from_u128(1));
    SourceRateLimiter::default().check(WorkspaceId(1), source, usize::MAX).unwrap();
    let clock = ManualClock::new(DateTime::UNIX_EPOCH);
    SourceRateLimiter::new(0, 10, clock.shared()).check(WorkspaceId(1), source, usize::MAX).unwrap();
}
