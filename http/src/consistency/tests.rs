use super::*;

#[test]
fn token_round_trips() {
    for token in
        [ConsistencyToken { workspace: 1, position: 0 }, ConsistencyToken { workspace: i32::MAX, position: i64::MAX }]
    {
        assert_eq!(ConsistencyToken::parse(&token.encode()), Ok(token));
        let mut headers = HeaderMap::new();
        assert_eq!(ConsistencyToken::from_headers(&headers), Ok(None));
        headers.insert(CONSISTENCY_TOKEN, token.header_value());
        assert_eq!(ConsistencyToken::from_headers(&headers), Ok(Some(token)));
    }
}

#[test]
fn malformed_token_says_why() {
    let encoded = |inner: &str| URL_SAFE_NO_PAD.encode(inner);
    let refused = |text: &str, error| assert_eq!(ConsistencyToken::parse(text), Err(error), "{text}");
    refused("€", ConsistencyTokenError::NotBase64Url);
    refused("a=b", ConsistencyTokenError::NotBase64Url);
    refused("", ConsistencyTokenError::Malformed);
    refused(&encoded("2.1.5"), ConsistencyTokenError::UnknownVersion);
    for inner in ["1", "1.1", "1.1.", "1.x.5", "1.1.5.6", "1.-1.5", "1.1.-5", "1.1.99999999999999999999"] {
        refused(&encoded(inner), ConsistencyTokenError::Malformed);
    }
    refused(&URL_SAFE_NO_PAD.encode([0xff, 0xfe]), ConsistencyTokenError::Malformed);
}
