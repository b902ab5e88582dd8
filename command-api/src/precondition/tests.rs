use http::HeaderValue;

use super::*;

fn read(values: &[&'static str]) -> Result<IfMatch, IfMatchError> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::IF_MATCH, HeaderValue::from_static(value));
    }
    IfMatch::read(&headers)
}

#[test]
fn versions_are_quoted() {
    assert_eq!(read(&[]), Ok(IfMatch::Any));
    assert_eq!(read(&["*"]), Ok(IfMatch::Any));
    assert_eq!(read(&["\"3\""]), Ok(IfMatch::Versions(vec![3])));
    assert_eq!(read(&["\"3\", \"4\""]), Ok(IfMatch::Versions(vec![3, 4])));
    assert_eq!(read(&["\"3\"", "\"4\" ,\"5\""]), Ok(IfMatch::Versions(vec![3, 4, 5])));
}

#[test]
fn a_tag_that_is_no_version_matches_nothing() {
    for value in ["\"abc\"", "W/\"3\"", "\"\"", "\"99999999999999999999\""] {
        let if_match = read(&[value]).unwrap();
        assert_eq!(if_match, IfMatch::Versions(Vec::new()), "{value}");
        assert!(!if_match.accepts(3));
    }
    assert!(!read(&["\"3\""]).unwrap().accepts(4));
    assert!(read(&["\"3\", \"4\""]).unwrap().accepts(4));
}

#[test]
fn what_is_no_tag_is_refused() {
    for value in ["3", "", "\"3", "3\"", "\"3\" \"4\"", "\"3\",", "w/\"3\"", "**"] {
        assert_eq!(read(&[value]), Err(IfMatchError), "{value:?}");
    }
}
