use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Params {
    q: Option<String>,
    limit: Option<i64>,
    totals: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[track_caller]
fn wrong<T: DeserializeOwned + std::fmt::Debug>(query: &str) -> (String, String) {
    let problem = parse::<T>(query).unwrap_err();
    assert_eq!((problem.status().as_u16(), problem.code()), (400, "invalid-query"));
    let [error] = problem.errors() else { panic!("{problem:?}") };
    (error.field.clone(), error.detail.clone())
}

#[test]
fn explains_invalid_parameters() {
    for (query, field, detail) in [
        ("limit=abc", "limit", "is not a whole number"),
        ("limit=", "limit", "is not a whole number"),
        ("limit=99999999999999999999", "limit", "is out of range"),
        ("limit=-99999999999999999999", "limit", "is out of range"),
        ("totals=yes", "totals", "is neither true nor false"),
        ("limit=1&limit=2", "limit", "is there more than once"),
        ("colour=red", "colour", "is not known; known are q, limit, totals"),
        ("q=a%00b", "q", "must not hold the character NUL (%00)"),
        ("q=%ff", "q", "is not UTF-8"),
        ("q=%zz", "q", "holds a % without two hexadecimal digits behind it; % itself is written %25"),
        ("limit=1&q=50%", "q", "holds a % without two hexadecimal digits behind it; % itself is written %25"),
        ("q=%c3%28", "q", "is not UTF-8"),
        ("q%00=a", "q\0", "must not hold the character NUL (%00)"),
    ] {
        assert_eq!(wrong::<Params>(query), (field.to_owned(), detail.to_owned()), "{query}");
    }
    assert_eq!(wrong::<Nothing>("verbose=1"), ("verbose".to_owned(), "is not known; there are none".to_owned()));
}

#[test]
fn decodes_percent_encoded_text() {
    let params: Params = parse("q=%C3%A9+100%25%2Cx&limit=7&totals=true").unwrap();
    assert_eq!((params.q.as_deref(), params.limit, params.totals), (Some("é 100%,x"), Some(7), Some(true)));
    assert!(parse::<Params>("").is_ok());
}

#[derive(Debug, Default, PartialEq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
struct Lists {
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<CommaList>,
    #[serde(skip_serializing_if = "Option::is_none")]
    q: Option<String>,
}

#[track_caller]
fn sources(query: &str) -> CommaList {
    parse::<Lists>(query).unwrap().source.unwrap()
}

#[test]
fn lists_are_split_before_they_are_decoded() {
    assert_eq!(sources("source=a,b%2Cc,%20d+e%20").names(), ["a", "b,c", "d e"]);
    assert_eq!(sources("source=").names(), [""]);
    assert_eq!(sources("source=a%2Cb,%20c").words(), ["a", "b", "c"]);
    let other: Lists = parse("q=a,b%2Cc").unwrap();
    assert_eq!(other.q.as_deref(), Some("a,b,c"));
}

#[test]
fn lists_keep_their_commas_in_the_address_of_the_next_page() {
    let params: Lists = parse("source=a%2Cb,c&q=x%2Cy,z").unwrap();
    let again = to_string(&params).unwrap();
    assert_eq!(again, "source=a%2Cb,c&q=x%2Cy%2Cz");
    assert_eq!(parse::<Lists>(&again).unwrap(), params);
}

#[test]
fn pairs_without_name_or_value_are_read_as_before() {
    assert_eq!(wrong::<Params>("&limit&"), ("limit".to_owned(), "is not a whole number".to_owned()));
    assert_eq!(wrong::<Params>("=1"), (String::new(), "is not known; known are q, limit, totals".to_owned()));
    assert_eq!(parse::<Params>("&&q=a=b&").unwrap().q.as_deref(), Some("a=b"));
}
