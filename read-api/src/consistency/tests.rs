use chrono::TimeDelta;
use http::{HeaderMap, HeaderValue};
use http_edge::consistency::{CONSISTENCY_TOKEN, ConsistencyToken};

use super::{ConsistencyParams, ConsistencyRequirement, parse_duration, preferred_wait};

fn prefer(values: &[&'static str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append("prefer", HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn durations_have_a_unit() {
    assert_eq!(parse_duration("500ms"), Some(TimeDelta::milliseconds(500)));
    assert_eq!(parse_duration("5s"), Some(TimeDelta::seconds(5)));
    assert_eq!(parse_duration("2m"), Some(TimeDelta::minutes(2)));
    assert_eq!(parse_duration("1h"), Some(TimeDelta::hours(1)));
    for nonsense in ["", "5", "s", "-5s", "5.5s", "5 s", "5d", "PT5S", "99999999999999999999s", "9223372036854775807s"]
    {
        assert_eq!(parse_duration(nonsense), None, "{nonsense}");
    }
}

#[test]
fn a_preference_that_cannot_be_read_is_none() {
    assert_eq!(preferred_wait(&prefer(&["wait=5"])), Some(5));
    assert_eq!(preferred_wait(&prefer(&["respond-async, Wait = \"7\"; x=y"])), Some(7));
    assert_eq!(preferred_wait(&prefer(&["return=minimal", "wait=9"])), Some(9));
    assert_eq!(preferred_wait(&prefer(&["wait=4000000000"])), Some(30));
    for nonsense in ["wait", "wait=", "wait=soon", "wait=-1", "wait=1.5", "waiting=5"] {
        assert_eq!(preferred_wait(&prefer(&[nonsense])), None, "{nonsense}");
    }
}

#[test]
fn the_further_of_both_positions_counts() {
    let mut headers = HeaderMap::new();
    headers.insert(CONSISTENCY_TOKEN, ConsistencyToken { workspace: 3, position: 40 }.header_value());
    let position = |min_position| {
        ConsistencyRequirement::read(&ConsistencyParams { min_position, ..ConsistencyParams::default() }, &headers, 3)
            .unwrap()
            .min_position
    };
    assert_eq!([position(None), position(Some(39)), position(Some(41))], [Some(40), Some(40), Some(41)]);
    assert!(ConsistencyRequirement::read(&ConsistencyParams::default(), &headers, 4).is_err());
}
