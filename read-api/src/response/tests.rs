use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};
use platform::principal::{Actor, Principal, Scope};

use super::{ETag, QueryHash};
use crate::version::{Revision, Version};

fn held(value: &'static str) -> bool {
    let tag = ETag::new("campaign_metrics", 7, Version::new(Revision::default(), 1204, None), "9f3c");
    assert_eq!(tag.header(), "W/\"campaign_metrics:7:1204.0:9f3c\"");
    let mut headers = HeaderMap::new();
    headers.insert(IF_NONE_MATCH, HeaderValue::from_static(value));
    tag.is_held_by(&headers)
}

#[test]
fn tags_are_compared_weakly() {
    assert!(held("W/\"campaign_metrics:7:1204.0:9f3c\""));
    assert!(held("\"campaign_metrics:7:1204.0:9f3c\""));
    assert!(held("\"x\", W/\"campaign_metrics:7:1204.0:9f3c\" , W/\"y\""));
    assert!(held("*"));
    assert!(!held("W/\"campaign_metrics:8:1204.0:9f3c\""));
    assert!(!held("\"\""));
    assert!(!held("campaign_metrics:7:1204"));
}

#[test]
fn a_hash_is_the_callers_own() {
    let principal = |workspace, scopes: &[Scope]| Principal {
        actor: Actor::operator(),
        workspace,
        scopes: scopes.iter().copied().collect(),
    };
    let hash = |principal: Principal, query: &str| QueryHash::new("model", &principal, &query).unwrap().hash;
    let ours = hash(principal(1, &[Scope::Read]), "q");
    assert_eq!(ours.len(), 16);
    assert_eq!(ours, hash(principal(1, &[Scope::Read]), "q"));
    assert_ne!(ours, hash(principal(2, &[Scope::Read]), "q"));
    assert_ne!(ours, hash(principal(1, &[Scope::Read, Scope::Command]), "q"));
    assert_ne!(ours, hash(principal(1, &[Scope::Read]), "r"));
    let both = hash(principal(1, &[Scope::Read, Scope::Command]), "q");
    assert_eq!(both, hash(principal(1, &[Scope::Command, Scope::Read]), "q"));

    let query = QueryHash::new("model", &principal(1, &[Scope::Read]), &"q").unwrap();
    assert_ne!(query.page_hash(10, None), query.page_hash(11, None));
    assert_ne!(query.page_hash(10, None), query.page_hash(10, Some("c")));
}
