use chrono::{DateTime, TimeDelta};

use super::*;
use crate::clock::ManualClock;

fn rate(per_s: u32, window_s: u32) -> (RateLimit<u64>, ManualClock) {
    let clock = ManualClock::new(DateTime::UNIX_EPOCH);
    let policy = RatePolicy::new("key", "requests", per_s, window_s).unwrap();
    (RateLimit::new(policy, clock.shared()), clock)
}

fn one() -> NonZeroU32 {
    NonZeroU32::MIN
}

#[test]
fn quota_can_be_used_at_once_and_refills() {
    let (rate, clock) = rate(2, 3);
    for left in (0..6).rev() {
        let standing = rate.spend(&1, one());
        assert_eq!((standing.remaining, standing.wait), (left, None));
    }
    let refused = rate.spend(&1, one());
    assert_eq!(refused.wait, Some(Duration::from_millis(500)));
    assert_eq!((refused.remaining, refused.policy.quota.get(), refused.policy.window_s), (0, 6, 3));
    // Being refused costs nothing.
    clock.advance(TimeDelta::milliseconds(500));
    assert_eq!(rate.spend(&1, one()).wait, None);
    assert_eq!(rate.spend(&1, one()).wait, Some(Duration::from_millis(500)));
    clock.advance(TimeDelta::seconds(3));
    assert_eq!(rate.spend(&1, one()).remaining, 5);
}

#[test]
fn keys_have_separate_quotas() {
    let (rate, _clock) = rate(1, 1);
    assert_eq!(rate.spend(&1, one()).wait, None);
    assert!(rate.spend(&1, one()).wait.is_some());
    assert_eq!(rate.spend(&2, one()).wait, None);
}

#[test]
fn oversized_request_uses_the_whole_quota() {
    let (rate, clock) = rate(10, 2);
    let much = NonZeroU32::new(1_000).unwrap();
    assert_eq!(rate.spend(&1, much).wait, None);
    assert_eq!(rate.spend(&1, one()).wait, Some(Duration::from_millis(100)));
    assert_eq!(rate.spend(&1, much).wait, Some(Duration::from_secs(2)));
    clock.advance(TimeDelta::seconds(2));
    assert_eq!(rate.spend(&1, much).wait, None);
}

#[test]
fn peeking_does_not_use_the_quota() {
    let (rate, clock) = rate(2, 1);
    assert_eq!(rate.spent(&1), None);
    rate.spend(&1, one());
    assert_eq!(rate.spent(&1), None);
    rate.spend(&1, one());
    assert_eq!(rate.spent(&1).and_then(|standing| standing.wait), Some(Duration::from_millis(500)));
    clock.advance(TimeDelta::milliseconds(500));
    assert_eq!(rate.spent(&1), None);
    assert_eq!(rate.spend(&1, one()).wait, None);
}

#[test]
fn forgets_idle_keys_and_bounds_busy_ones() {
    let (rate, clock) = rate(1, 2);
    for key in 0..FEW_KEYS as u64 - 1 {
        rate.spend(&key, one());
    }
    assert_eq!(rate.keys(), FEW_KEYS - 1);
    clock.advance(TimeDelta::seconds(2));
    rate.spend(&u64::MAX, one());
    assert_eq!(rate.keys(), 1);

    for key in 0..MOST_KEYS as u64 * 3 {
        rate.spend(&key, one());
        assert!(rate.keys() <= MOST_KEYS);
    }
}

#[test]
fn stopped_clock_allows_the_quota() {
    let (rate, _clock) = rate(100_000_000, 3_600);
    for _ in 0..1_000 {
        assert_eq!(rate.spend(&1, NonZeroU32::new(1_000_000).unwrap()).wait, None);
    }
}

#[test]
fn zero_means_unlimited() {
    assert_eq!(RatePolicy::new("key", "requests", 0, 10), None);
}
