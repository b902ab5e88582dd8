use http::HeaderValue;

use super::*;

fn read(value: &'static str) -> Result<Option<String>, IdempotencyKeyError> {
    let mut headers = HeaderMap::new();
    headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_static(value));
    key(&headers)
}

#[test]
fn reads_bare_and_quoted_keys() {
    assert_eq!(key(&HeaderMap::new()), Ok(None));
    assert_eq!(read("order-1"), Ok(Some("order-1".to_owned())));
    assert_eq!(read("  order-1 "), Ok(Some("order-1".to_owned())));
    assert_eq!(read("\"order-1\""), Ok(Some("order-1".to_owned())));
    assert_eq!(read(r#""a\"b\\c""#), Ok(Some(r#"a"b\c"#.to_owned())));
    assert_eq!(read("!~"), Ok(Some("!~".to_owned())));
}

#[test]
fn rejects_malformed_idempotency_keys() {
    for value in ["", "\"\"", "a b", "\"a b\"", "\"open", "\"a\"b", r#""\a""#, "\"a\"\"", "\"a\\"] {
        assert_eq!(read(value), Err(IdempotencyKeyError::Malformed), "{value:?}");
    }
    let mut headers = HeaderMap::new();
    headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_bytes("schlüssel".as_bytes()).unwrap());
    assert_eq!(key(&headers), Err(IdempotencyKeyError::Malformed));
    headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&"k".repeat(256)).unwrap());
    assert_eq!(key(&headers), Err(IdempotencyKeyError::Malformed));
    headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&"k".repeat(255)).unwrap());
    assert_eq!(key(&headers), Ok(Some("k".repeat(255))));
    headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("another"));
    assert_eq!(key(&headers), Err(IdempotencyKeyError::Repeated));
}

fn digest(parts: &[&str], body: &[u8]) -> [u8; 32] {
    let mut content = parts.iter().fold(RequestDigest::of(&Method::POST, "/v1/a"), |content, part| content.with(part));
    content.add(body);
    content.digest()
}

#[test]
fn digest_depends_on_method_path_parts_and_body() {
    let whole = |method: &Method, path: &str| RequestDigest::of(method, path).digest();
    let all = [
        whole(&Method::POST, "/v1/a"),
        whole(&Method::PUT, "/v1/a"),
        whole(&Method::POST, "/v1/b"),
        digest(&[], b"{}"),
        digest(&[], b"{} "),
        digest(&["shop"], b"{}"),
        digest(&["shop{}"], b""),
        digest(&["sh", "op"], b"{}"),
    ];
    for (index, one) in all.iter().enumerate() {
        for other in &all[index + 1..] {
            assert_ne!(one, other);
        }
    }
    let mut in_pieces = RequestDigest::of(&Method::POST, "/v1/a");
    in_pieces.add(b"{");
    in_pieces.add(b"}");
    assert_eq!(in_pieces.digest(), all[3]);
}
