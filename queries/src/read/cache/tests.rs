use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::zone::Zone;
use uuid::Uuid;

use super::{CachedResult, Key, OVERHEAD, ResultCache, SnapshotStamp};
use crate::access::Access;
use crate::campaign::CampaignQuery;
use crate::database::model_head::ModelHead;
use crate::paging::Paging;
use crate::probe::Validity;
use crate::query::{CanonicalQuery, Data, QueryResult, ResolvedQuery};
use crate::read::encoded::EncodedResult;
use crate::result::ResultMeta;
use crate::version::{RecordedEvent, Revision, Version};

const MODEL: &str = "campaigns";

fn query(n: u128, paging: Option<Paging>) -> ResolvedQuery {
    let query = CanonicalQuery::Campaign(CampaignQuery { campaign_id: Uuid::from_u128(n) });
    ResolvedQuery::new(MODEL, Access::to_workspace(1), query, paging).unwrap()
}

fn key(n: u128) -> Key {
    Key::new(Access::to_workspace(1), &query(n, None))
}

fn noon() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn head() -> ModelHead {
    ModelHead {
        epoch: 7,
        applied: 1204,
        head: 1206,
        revision: Revision::default(),
        retained_at: None,
        calendar_position: 0,
        server_started_at: noon(),
        database: sqlx::postgres::types::Oid(7),
        applied_at: Some(noon()),
        oldest_unapplied: None,
    }
}

fn version() -> Version {
    Version::new(RecordedEvent { position: 1204, recorded_at: Some(noon()) }, 0, None)
}

/// A result without rows.
fn nothing() -> QueryResult {
    let (time_zone, currency, freshness, warnings) = (Zone::UTC, None, None, Vec::new());
    let meta = ResultMeta { model: MODEL, epoch: 7, version: version(), time_zone, currency, freshness, warnings };
    QueryResult::whole(meta, Data::Campaigns(Vec::new()))
}

/// What a result without rows and encodings takes.
fn least() -> usize {
    OVERHEAD + nothing().weight(Data::weight)
}

/// A result with an encoding of so many bytes.
fn kept(bytes: usize) -> CachedResult {
    let encoded = EncodedResult::new(nothing());
    encoded.encoding("json", |_| Ok::<_, ()>(vec![b'x'; bytes])).unwrap();
    CachedResult {
        stamp: SnapshotStamp::at_head(&head(), Instant::now(), noon()),
        validity: Validity::Until(None),
        status: head().status(1, noon()),
        id: query(1, None).result_id(MODEL, 7, version()),
        encoded: Some(Arc::new(encoded)),
    }
}

fn bytes(results: &ResultCache, key: &Key) -> usize {
    let kept = results.get(key).unwrap();
    let encoding = kept.encoded.as_ref().unwrap().encoding("json", |_| Err(()));
    encoding.unwrap().0.len()
}

#[test]
fn evicts_the_least_used_when_full() {
    let results = ResultCache::new(10 * (least() + 100));
    for n in 0..10 {
        results.insert(key(n), Arc::new(kept(100)));
    }
    assert!(results.get(&key(0)).is_some());
    results.insert(key(10), Arc::new(kept(100)));
    assert!(results.get(&key(0)).is_some(), "used a moment ago");
    assert!(results.get(&key(1)).is_none(), "the least used");
    assert!(results.get(&key(10)).is_some());
}

#[test]
fn replacing_a_result_frees_its_weight() {
    let results = ResultCache::new(10 * (least() + 100));
    for _ in 0..50 {
        results.insert(key(1), Arc::new(kept(100)));
    }
    results.insert(key(2), Arc::new(kept(100)));
    assert!(results.get(&key(1)).is_some() && results.get(&key(2)).is_some());
}

#[test]
fn keeps_no_result_larger_than_its_share() {
    let results = ResultCache::new(80_000);
    results.insert(key(1), Arc::new(kept(100)));
    results.insert(key(2), Arc::new(kept(10_001)));
    assert!(results.get(&key(2)).is_none());
    assert!(results.get(&key(1)).is_some());
    let nothing = ResultCache::new(0);
    nothing.insert(key(1), Arc::new(kept(0)));
    assert!(nothing.get(&key(1)).is_none());
}

#[test]
fn keeps_the_later_of_two_snapshots() {
    let results = ResultCache::new(1 << 20);
    let (earlier, later) = (kept(1), kept(2));
    let after = earlier.stamp.after + Duration::from_millis(1);
    let later = CachedResult { stamp: SnapshotStamp { after, ..later.stamp }, ..later };
    results.insert(key(1), Arc::new(later));
    results.insert(key(1), Arc::new(earlier));
    assert_eq!(bytes(&results, &key(1)), 2);
}

#[test]
fn result_is_valid_at_its_own_head_until_its_end() {
    let second = TimeDelta::seconds(1);
    let one = CachedResult { validity: Validity::Until(Some(noon() + second)), ..kept(1) };
    assert!(one.is_valid_at(&head(), noon()));
    assert!(one.is_valid_at(&ModelHead { head: 9_999, oldest_unapplied: Some(noon()), ..head() }, noon()));
    assert!(!one.is_valid_at(&head(), noon() + second), "at its end");
    assert!(!one.is_valid_at(&head(), noon() - second), "the clock was set back");
    assert!(!one.is_valid_at(&ModelHead { applied: 1205, ..head() }, noon()));
    assert!(!one.is_valid_at(&ModelHead { applied: 1203, ..head() }, noon()), "restored from a backup");
    let rewritten = ModelHead { applied_at: Some(noon() + second), ..head() };
    assert!(!one.is_valid_at(&rewritten, noon()), "another event at this position");
    assert!(!one.is_valid_at(&ModelHead { epoch: 8, ..head() }, noon()));
    assert!(!one.is_valid_at(&ModelHead { retained_at: Some(noon()), ..head() }, noon()));
    assert!(!CachedResult { validity: Validity::AlwaysProbe, ..kept(1) }.is_valid_at(&head(), noon()));
}

#[test]
fn keys_differ_by_page() {
    let page = |limit, cursor: Option<&str>| {
        let paging = Paging { limit, cursor: cursor.map(str::to_owned) };
        Key::new(Access::to_workspace(1), &query(1, Some(paging)))
    };
    assert_eq!(page(1, None), page(1, None));
    assert_ne!(page(1, None), page(2, None));
    assert_ne!(page(1, None), page(1, Some("c")));
}

#[test]
fn keys_differ_by_access() {
    let key = |workspace| Key::new(Access::to_workspace(workspace), &query(1, None));
    assert_eq!(key(1), key(1));
    assert_ne!(key(1), key(2));
}

#[test]
fn reweighs_a_result_with_a_new_encoding() {
    let results = ResultCache::new(10 * (least() + 100));
    for n in 0..10 {
        results.insert(key(n), Arc::new(kept(100)));
    }
    let last = results.get(&key(9)).unwrap();
    let encoded = last.encoded.as_ref().unwrap();
    let made = |times: &mut u32| {
        let encoding = encoded.encoding("csv", |_| {
            *times += 1;
            Ok::<_, ()>(vec![b'x'; 100])
        });
        encoding.unwrap()
    };
    let mut times = 0;
    let ((_, first), (again, second)) = (made(&mut times), made(&mut times));
    assert_eq!((first, second, again.len(), times), (true, false, 100, 1));
    results.reweigh(&key(9), encoded);
    assert!(results.get(&key(0)).is_none(), "the least used makes room");
    assert!(results.get(&key(1)).is_some() && results.get(&key(9)).is_some());
}
