use secrecy::ExposeSecret;

use super::*;

#[test]
fn an_unknown_field_of_a_section_is_an_error() {
    assert!(serde_json::from_str::<HttpConfig>(r#"{"adr": "127.0.0.1:1"}"#).is_err());
    assert!(serde_json::from_str::<DatabaseConfig>(r#"{"uri": "x"}"#).is_err());
    assert!(serde_json::from_str::<TelemetryConfig>(r#"{"level": "x"}"#).is_err());
}

#[test]
fn every_field_has_a_default() {
    let http: HttpConfig = serde_json::from_str("{}").unwrap();
    assert_eq!(http, HttpConfig::default());
    assert_eq!(http.validate(), Ok(()));
    let telemetry: TelemetryConfig = serde_json::from_str(r#"{"format": "json"}"#).unwrap();
    assert_eq!(telemetry, TelemetryConfig { format: LogFormat::Json, ..TelemetryConfig::default() });
    assert_eq!(telemetry.validate(), Ok(()));
}

#[test]
fn a_database_address_is_checked_and_never_printed() {
    let config: DatabaseConfig = serde_json::from_str(r#"{"url": "postgres://me:s3cret@db/highwater"}"#).unwrap();
    assert_eq!(config.validate(), Ok(()));
    assert_eq!(config.url.expose_secret(), "postgres://me:s3cret@db/highwater");
    assert!(!format!("{config:?}").contains("s3cret"));
    let missing = DatabaseConfig::default();
    assert_eq!(missing.validate(), Err(ConfigError::Empty { field: "database.url" }));
    for wrong in ["mysql://me@db/x", "db", "postgres://db:port/x"] {
        assert_eq!(DatabaseConfig::at(wrong.to_owned().into()).validate(), Err(ConfigError::DatabaseUrl), "{wrong}");
    }
    let too_few = DatabaseConfig { max_connections: 3, ..config };
    assert!(matches!(too_few.validate(), Err(ConfigError::OutOfRange { field: "database.max_connections", .. })));
}

#[test]
fn an_origin_is_a_scheme_and_an_authority() {
    let with = |origin: &str| HttpConfig { cors_origins: vec![origin.to_owned()], ..HttpConfig::default() };
    for right in ["*", "https://dash.example.com", "http://localhost:8082", "http://[::1]:3000"] {
        assert_eq!(with(right).validate(), Ok(()), "{right}");
    }
    for wrong in ["dash.example.com", "https://dash.example.com/", "https://a@b", "ftp://x", "https://", "null"] {
        assert_eq!(with(wrong).validate(), Err(ConfigError::Origin { origin: wrong.to_owned() }));
    }
}

#[test]
fn half_of_tls_is_refused() {
    let half = HttpConfig { tls_cert: Some("cert.pem".into()), ..HttpConfig::default() };
    assert_eq!(half.validate(), Err(ConfigError::HalfOfTls { missing: "http.tls_key" }));
    assert_eq!(half.tls_files(), None);
}

#[test]
fn limits_have_bounds() {
    let tiny = HttpConfig { max_body_bytes: 3, ..HttpConfig::default() };
    assert!(matches!(tiny.validate(), Err(ConfigError::OutOfRange { field: "http.max_body_bytes", .. })));
    let never = HttpConfig { request_timeout_s: 0, ..HttpConfig::default() };
    assert!(matches!(never.validate(), Err(ConfigError::OutOfRange { field: "http.request_timeout_s", .. })));
    let filter = TelemetryConfig { filter: "info,=,=".to_owned(), ..TelemetryConfig::default() };
    assert!(matches!(filter.validate(), Err(ConfigError::Filter { .. })));
}
