use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use platform::principal::{Actor, Principal, Scope, Scopes};

use super::{CachedResult, Key, OVERHEAD, ResultCache, SnapshotStamp};
use crate::model_head::ModelHead;
use crate::pipeline::Validity;
use crate::report::query::Paging;
use crate::response::{ETag, FreshnessHeaders, PositionHeaders, QueryHash};
use crate::version::{Revision, Version};

fn key(n: usize) -> Key {
    let principal = Principal { actor: Actor::operator(), workspace: 1, scopes: Scopes::from_iter([Scope::Read]) };
    let canonical = QueryHash::new("campaigns", &principal, &n).unwrap();
    Key::new(1, "campaigns", &canonical, Some(&Paging { limit: 100, cursor: None }))
}

fn noon() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn tip() -> ModelHead {
    ModelHead {
        epoch: 7,
        applied: 1204,
        head: 1206,
        revision: Revision::default(),
        retained_at: None,
        oldest_unapplied: None,
        place: PositionHeaders::new(1, 7, 1204, 1206),
    }
}

fn kept(body: usize) -> CachedResult {
    CachedResult {
        taken: SnapshotStamp::at(&tip(), Instant::now(), noon()),
        lasting: Validity::Until(None),
        standing: FreshnessHeaders::at_tip(&tip(), noon()),
        tag: ETag::new("campaigns", 7, Version::new(Revision::default(), 1204, None), "9f3c"),
        body: Some(Bytes::from(vec![b'x'; body])),
        next_cursor: None,
    }
}

#[test]
fn the_least_used_go_when_the_room_is_full() {
    let results = ResultCache::new(10 * (OVERHEAD + 100));
    for n in 0..10 {
        results.insert(key(n), kept(100));
    }
    assert!(results.get(&key(0)).is_some());
    results.insert(key(10), kept(100));
    assert!(results.get(&key(0)).is_some(), "used a moment ago");
    assert!(results.get(&key(1)).is_none(), "the least used");
    assert!(results.get(&key(10)).is_some());
}

#[test]
fn a_result_in_place_of_another_takes_its_room() {
    let results = ResultCache::new(10 * (OVERHEAD + 100));
    for _ in 0..50 {
        results.insert(key(1), kept(100));
    }
    results.insert(key(2), kept(100));
    assert!(results.get(&key(1)).is_some() && results.get(&key(2)).is_some());
}

#[test]
fn what_would_displace_most_others_is_not_kept() {
    let results = ResultCache::new(80_000);
    results.insert(key(1), kept(100));
    results.insert(key(2), kept(10_001));
    assert!(results.get(&key(2)).is_none());
    assert!(results.get(&key(1)).is_some());
    let nothing = ResultCache::new(0);
    nothing.insert(key(1), kept(0));
    assert!(nothing.get(&key(1)).is_none());
}

#[test]
fn the_later_of_two_readings_stays() {
    let results = ResultCache::new(1 << 20);
    let (earlier, later) = (kept(1), kept(2));
    let after = earlier.taken.after + Duration::from_millis(1);
    let later = CachedResult { taken: SnapshotStamp { after, ..later.taken }, ..later };
    results.insert(key(1), later);
    results.insert(key(1), earlier);
    assert_eq!(results.get(&key(1)).unwrap().body.as_ref().unwrap().len(), 2);
}

#[test]
fn it_holds_at_its_own_tip_and_until_its_end() {
    let second = TimeDelta::seconds(1);
    let one = CachedResult { lasting: Validity::Until(Some(noon() + second)), ..kept(1) };
    assert!(one.is_valid_at(&tip(), noon()));
    assert!(one.is_valid_at(&ModelHead { head: 9_999, oldest_unapplied: Some(noon()), ..tip() }, noon()));
    assert!(!one.is_valid_at(&tip(), noon() + second), "at its end");
    assert!(!one.is_valid_at(&tip(), noon() - second), "the clock was set back");
    assert!(!one.is_valid_at(&ModelHead { applied: 1205, ..tip() }, noon()));
    assert!(!one.is_valid_at(&ModelHead { applied: 1203, ..tip() }, noon()), "restored from a backup");
    assert!(!one.is_valid_at(&ModelHead { epoch: 8, ..tip() }, noon()));
    assert!(!one.is_valid_at(&ModelHead { retained_at: Some(noon()), ..tip() }, noon()));
    assert!(!CachedResult { lasting: Validity::Unknown, ..kept(1) }.is_valid_at(&tip(), noon()));
}

#[test]
fn pages_are_told_apart() {
    let principal = Principal { actor: Actor::operator(), workspace: 1, scopes: Scopes::from_iter([Scope::Read]) };
    let canonical = QueryHash::new("campaigns", &principal, &1).unwrap();
    let page = |limit, cursor: Option<&str>| {
        Key::new(1, "campaigns", &canonical, Some(&Paging { limit, cursor: cursor.map(str::to_owned) }))
    };
    assert_eq!(page(1, None), page(1, None));
    assert_ne!(page(1, None), page(2, None));
    assert_ne!(page(1, None), page(1, Some("c")));
}
