use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};

use super::ETag;

fn held(value: &'static str) -> bool {
    let tag = ETag::new("campaign_metrics:7:1204.0:9f3c".to_owned());
    assert_eq!(tag.header(), "W/\"campaign_metrics:7:1204.0:9f3c\"");
    let mut headers = HeaderMap::new();
    headers.insert(IF_NONE_MATCH, HeaderValue::from_static(value));
    tag.is_held_by(&headers)
}

#[test]
fn compares_etags_weakly() {
    assert!(held("W/\"campaign_metrics:7:1204.0:9f3c\""));
    assert!(held("\"campaign_metrics:7:1204.0:9f3c\""));
    assert!(held("\"x\", W/\"campaign_metrics:7:1204.0:9f3c\" , W/\"y\""));
    assert!(held("*"));
    assert!(!held("W/\"campaign_metrics:8:1204.0:9f3c\""));
    assert!(!held("\"\""));
    assert!(!held("campaign_metrics:7:1204"));
}
