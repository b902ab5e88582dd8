use super::*;

#[test]
fn token_round_trips() {
    for token in [
        ConsistencyToken { workspace: 1, position: 0, recorded_at: 0 },
        ConsistencyToken { workspace: i32::MAX, position: i64::MAX, recorded_at: i64::MAX },
    ] {
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
    refused(&encoded("1.1.5"), ConsistencyTokenError::UnknownVersion);
    refused(&encoded("3.1.5.7"), ConsistencyTokenError::UnknownVersion);
    for inner in [
        "2",
        "2.1",
        "2.1.5",
        "2.1.5.",
        "2.x.5.7",
        "2.1.5.7.8",
        "2.-1.5.7",
        "2.1.-5.7",
        "2.1.5.-7",
        "2.1.99999999999999999999.7",
    ] {
        refused(&encoded(inner), ConsistencyTokenError::Malformed);
    }
    refused(&URL_SAFE_NO_PAD.encode([0xff, 0xfe]), ConsistencyTokenError::Malformed);
}
