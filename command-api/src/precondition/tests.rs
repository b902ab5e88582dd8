use http::HeaderValue;

use super::*;

fn read_all(values: &[&'static str]) -> Result<VersionPrecondition, IfMatchError> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::IF_MATCH, HeaderValue::from_static(value));
    }
    read(&headers)
}

#[test]
fn reads_quoted_versions() {
    assert_eq!(read_all(&[]), Ok(VersionPrecondition::Any));
    assert_eq!(read_all(&["*"]), Ok(VersionPrecondition::Any));
    assert_eq!(read_all(&["\"3\""]), Ok(VersionPrecondition::Versions(vec![3])));
    assert_eq!(read_all(&["\"3\", \"4\""]), Ok(VersionPrecondition::Versions(vec![3, 4])));
    assert_eq!(read_all(&["\"3\"", "\"4\" ,\"5\""]), Ok(VersionPrecondition::Versions(vec![3, 4, 5])));
}

#[test]
fn tags_that_are_no_versions_match_nothing() {
    for value in ["\"abc\"", "W/\"3\"", "\"\"", "\"99999999999999999999\""] {
        let if_match = read_all(&[value]).unwrap();
        assert_eq!(if_match, VersionPrecondition::Versions(Vec::new()), "{value}");
        assert!(!if_match.accepts(3));
    }
    assert!(!read_all(&["\"3\""]).unwrap().accepts(4));
    assert!(read_all(&["\"3\", \"4\""]).unwrap().accepts(4));
}

#[test]
fn rejects_malformed_if_match() {
    for value in ["3", "", "\"3", "3\"", "\"3\" \"4\"", "\"3\",", "w/\"3\"", "**"] {
        assert_eq!(read_all(&[value]), Err(IfMatchError), "{value:?}");
    }
}
