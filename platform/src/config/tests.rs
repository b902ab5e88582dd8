use secrecy::ExposeSecret;

use super::*;
use crate::database::DatabaseConfig;
use crate::telemetry::{LogFormat, TelemetryConfig};

#[test]
fn rejects_unknown_fields() {
    assert!(serde_json::from_str::<DatabaseConfig>(r#"{"uri": "x"}"#).is_err());
    assert!(serde_json::from_str::<TelemetryConfig>(r#"{"level": "x"}"#).is_err());
}

#[test]
fn every_field_has_a_default() {
    let telemetry: TelemetryConfig = serde_json::from_str(r#"{"format": "json"}"#).unwrap();
    assert_eq!(telemetry, TelemetryConfig { format: LogFormat::Json, ..TelemetryConfig::default() });
    assert_eq!(telemetry.validate(), Ok(()));
}

#[test]
fn checks_the_database_url_and_never_prints_it() {
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
fn rejects_malformed_log_filter() {
    let filter = TelemetryConfig { filter: "info,=,=".to_owned(), ..TelemetryConfig::default() };
    assert!(matches!(filter.validate(), Err(ConfigError::Filter { .. })));
}
