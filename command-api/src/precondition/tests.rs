use chrono::DateTime;
use http::HeaderValue;

use super::*;

fn read_all(values: &[&'static str]) -> Result<VersionPrecondition, IfMatchError> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::IF_MATCH, HeaderValue::from_static(value));
    }
    read(&headers)
}

fn version(number: i64, micros: i64) -> CampaignVersion {
    CampaignVersion::new(number, DateTime::from_timestamp_micros(micros).unwrap())
}

#[test]
fn reads_quoted_tags() {
    let one_of = |versions: &[CampaignVersion]| Ok(VersionPrecondition::Versions(versions.to_vec()));
    assert_eq!(read_all(&[]), Ok(VersionPrecondition::Any));
    assert_eq!(read_all(&["*"]), Ok(VersionPrecondition::Any));
    assert_eq!(read_all(&["\"3.17\""]), one_of(&[version(3, 17)]));
    assert_eq!(read_all(&["\"3.17\", \"4.18\""]), one_of(&[version(3, 17), version(4, 18)]));
    let lines = read_all(&["\"3.17\"", "\"4.18\" ,\"5.19\""]);
    assert_eq!(lines, one_of(&[version(3, 17), version(4, 18), version(5, 19)]));
}

#[test]
fn tags_that_are_no_versions_match_nothing() {
    for value in ["\"abc\"", "W/\"3.17\"", "\"\"", "\"3.99999999999999999999\"", "\"3.x\"", "\"3.17.1\""] {
        let if_match = read_all(&[value]).unwrap();
        assert_eq!(if_match, VersionPrecondition::Versions(Vec::new()), "{value}");
        assert!(!if_match.accepts(version(3, 17)));
    }
}

#[test]
fn accepts_a_version_of_the_same_history_only() {
    assert!(!read_all(&["\"3.17\""]).unwrap().accepts(version(4, 17)));
    assert!(!read_all(&["\"3.17\""]).unwrap().accepts(version(3, 18)), "another event made version 3");
    assert!(read_all(&["\"3.17\", \"4.18\""]).unwrap().accepts(version(4, 18)));
}

#[test]
fn rejects_malformed_if_match() {
    for value in ["3", "", "\"3.17", "3.17\"", "\"3.17\" \"4.18\"", "\"3.17\",", "w/\"3.17\"", "**", "\"3\""] {
        assert_eq!(read_all(&[value]), Err(IfMatchError), "{value:?}");
    }
}
