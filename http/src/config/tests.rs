use super::*;

#[test]
fn rejects_unknown_field() {
    assert!(serde_json::from_str::<HttpConfig>(r#"{"adr": "127.0.0.1:1"}"#).is_err());
}

#[test]
fn every_field_has_a_default() {
    let http: HttpConfig = serde_json::from_str("{}").unwrap();
    assert_eq!(http, HttpConfig::default());
    assert_eq!(http.validate(), Ok(()));
}

#[test]
fn origin_is_a_scheme_and_an_authority() {
    let with = |origin: &str| HttpConfig { cors_origins: vec![origin.to_owned()], ..HttpConfig::default() };
    for right in ["*", "https://dash.example.com", "http://localhost:8082", "http://[::1]:3000"] {
        assert_eq!(with(right).validate(), Ok(()), "{right}");
    }
    for wrong in ["dash.example.com", "https://dash.example.com/", "https://a@b", "ftp://x", "https://", "null"] {
        assert_eq!(with(wrong).validate(), Err(HttpConfigError::Origin { origin: wrong.to_owned() }));
    }
}

#[test]
fn rejects_half_of_a_tls_pair() {
    let half = HttpConfig { tls_cert: Some("cert.pem".into()), ..HttpConfig::default() };
    assert_eq!(half.validate(), Err(HttpConfigError::HalfOfTls { missing: "http.tls_key" }));
    assert_eq!(half.tls_files(), None);
}

#[test]
fn limits_have_bounds() {
    let tiny = HttpConfig { max_body_bytes: 3, ..HttpConfig::default() };
    assert!(matches!(
        tiny.validate(),
        Err(HttpConfigError::Config(ConfigError::OutOfRange { field: "http.max_body_bytes", .. }))
    ));
    let never = HttpConfig { request_timeout_s: 0, ..HttpConfig::default() };
    assert!(matches!(
        never.validate(),
        Err(HttpConfigError::Config(ConfigError::OutOfRange { field: "http.request_timeout_s", .. }))
    ));
}
