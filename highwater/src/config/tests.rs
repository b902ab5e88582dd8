use std::path::Path;
use std::time::Duration;

use http_edge::config::LimitConfig;
use platform::telemetry::LogFormat;
use secrecy::ExposeSecret;

use super::*;
use crate::system::ProjectorLimits;

fn environment(variables: &[(&str, &str)]) -> ConfigSources {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ConfigSources { environment, ..ConfigSources::default() }
}

fn with_file(text: &str) -> (tempfile::NamedTempFile, ConfigSources) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let sources = ConfigSources { file: Some(file.path().to_owned()), ..ConfigSources::default() };
    (file, sources)
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = ConfigSources::default().load().unwrap();
    assert_eq!(config.command.addr.to_string(), "127.0.0.1:8081");
    assert_eq!(config.read.addr.to_string(), "127.0.0.1:8082");
}

#[test]
fn example_file_has_the_defaults() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../highwater.example.toml");
    let commented = std::fs::read_to_string(&example).unwrap();
    // Settings that have no default value stand behind `#= `.
    let spelt: String = commented.lines().filter(|line| !line.starts_with("#= ")).collect::<Vec<_>>().join("\n");
    let (_file, sources) = with_file(&spelt);
    let defaults = ConfigSources::default().load().unwrap();
    assert_eq!(format!("{:?}", sources.load().unwrap()), format!("{defaults:?}"));
}

#[test]
fn example_file_documents_exactly_the_settings() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../highwater.example.toml");
    let text = std::fs::read_to_string(&example).unwrap().replace("#= ", "");
    let (_file, sources) = with_file(&text);
    let error = sources.load().err().map(|error| error.to_string());
    assert_eq!(error, None, "an optional setting of the example is refused");

    // Each field of the sections, as they print themselves, must be spelt.
    let printed = format!("{:?}", ConfigSources::default().load().unwrap());
    let fields = printed.split(['{', ',']).filter_map(|part| part.trim().split_once(": ")).map(|(field, _)| field);
    for field in fields.filter(|field| field.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')) {
        let headings = [format!("\n[{field}]"), format!(".{field}]\n")];
        let spelt = text.contains(&format!("\n{field} = ")) || headings.iter().any(|heading| text.contains(heading));
        assert!(spelt, "highwater.example.toml does not document `{field}`");
    }
}

#[test]
fn flags_override_environment_overrides_file() {
    let (_file, mut sources) = with_file(
        "[command]\naddr = \"127.0.0.1:1\"\n[read]\naddr = \"127.0.0.1:1\"\n[telemetry]\nformat = \"json\"\n",
    );
    sources.environment = environment(&[
        ("HIGHWATER_COMMAND__ADDR", "127.0.0.1:2"),
        ("HIGHWATER_READ__ADDR", "127.0.0.1:2"),
        ("HIGHWATER_READ__CORS_ORIGINS", "[\"https://dash.example.com\"]"),
        ("HIGHWATER_DATABASE_URL", "postgres://somewhere/highwater"),
    ])
    .environment;
    let config = sources.flag("command.addr", Some("127.0.0.1:3")).flag("read.addr", None::<String>).load().unwrap();
    assert_eq!(config.command.addr.port(), 3);
    assert_eq!(config.read.addr.port(), 2);
    assert_eq!(config.read.cors_origins, ["https://dash.example.com"]);
    assert_eq!(config.telemetry.format, LogFormat::Json);
    assert_eq!(config.database().unwrap().url.expose_secret(), "postgres://somewhere/highwater");
}

#[test]
fn lists_of_the_environment_have_commas_or_brackets() {
    for text in [
        "https://a.example, https://b.example",
        "https://a.example,https://b.example",
        "[\"https://a.example\", \"https://b.example\"]",
    ] {
        let config = environment(&[("HIGHWATER_READ__CORS_ORIGINS", text)]).load().unwrap();
        assert_eq!(config.read.cors_origins, ["https://a.example", "https://b.example"], "{text}");
    }
    let error = environment(&[("HIGHWATER_READ__CORS_ORIGINS", "7")]).load().unwrap_err().to_string();
    assert!(error.contains("`read.cors_origins` must be a list (from the environment)"), "{error}");
}

#[test]
fn rejects_unknown_keys_with_path_and_place() {
    let (_file, sources) = with_file("[database]\nmax_conections = 3\n");
    let error = sources.load().unwrap_err().to_string();
    assert!(error.contains("`database.max_conections`"), "{error}");
    assert!(error.contains("max_connections"), "{error}");

    let error = environment(&[("HIGHWATER_COMAND__ADDR", "127.0.0.1:1")]).load().unwrap_err().to_string();
    assert!(error.contains("`comand`") && error.contains("the environment"), "{error}");
}

#[test]
fn rejects_values_of_the_wrong_type_with_their_path() {
    let error = environment(&[("HIGHWATER_COMMAND__ADDR", "nowhere")]).load().unwrap_err().to_string();
    assert!(error.contains("`command.addr`"), "{error}");
    let error = environment(&[("HIGHWATER_READ__MAX_BODY_BYTES", "1")]).load().unwrap_err().to_string();
    assert!(error.contains("`read.max_body_bytes`"), "{error}");
}

#[test]
fn limits_are_set_one_by_one() {
    let limits = |variables: &[(&str, &str)]| environment(variables).load().map(|config| config.command.limits);
    let set = limits(&[("HIGHWATER_COMMAND__LIMITS__KEY_REQUESTS_PER_S", "5")]).unwrap();
    assert_eq!((set.key_requests_per_s, set.max_connections), (5, LimitConfig::default().max_connections));
    // A body that is taken must find room.
    let error = limits(&[("HIGHWATER_COMMAND__LIMITS__MAX_BODY_BYTES_IN_FLIGHT", "1000")]).unwrap_err().to_string();
    assert!(error.contains("`command.limits.max_body_bytes_in_flight` must be from 8388608"), "{error}");
    let error = limits(&[("HIGHWATER_COMMAND__LIMITS__RATE_WINDOW_S", "0")]).unwrap_err().to_string();
    assert!(error.contains("`command.limits.rate_window_s`"), "{error}");
}

#[test]
fn projector_limits_can_be_set_and_are_bounded() {
    let limits = |variables: &[(&str, &str)]| environment(variables).load().map(|config| config.projector.limits());
    assert_eq!(limits(&[]).unwrap(), ProjectorLimits::default());
    assert_eq!(limits(&[("HIGHWATER_PROJECTOR__MAX_LAG_S", "5")]).unwrap().lag, Duration::from_secs(5));
    let error = limits(&[("HIGHWATER_PROJECTOR__MAX_SILENCE_S", "0")]).unwrap_err().to_string();
    assert!(error.contains("`projector.max_silence_s`"), "{error}");
}

#[test]
fn rebuild_memory_is_bounded() {
    let memory = |mib: &str| environment(&[("HIGHWATER_PROJECTOR__REPLAY_MEMORY_MB", mib)]).load();
    assert_eq!(environment(&[]).load().unwrap().projector.replay_memory(), ReplayMemory::default());
    assert_eq!(memory("256").unwrap().projector.replay_memory().to_string(), "256 MiB");
    for mib in ["0", "15", "16385"] {
        let error = memory(mib).unwrap_err().to_string();
        assert!(error.contains("`projector.replay_memory_mb` must be from 16 to 16384"), "{error}");
    }
}

#[test]
fn ignores_variables_of_orchestrators() {
    let sources = environment(&[("HIGHWATER_PORT", "tcp://10.0.0.1:8081"), ("HIGHWATER_SERVICE_HOST", "10.0.0.1")]);
    assert!(sources.load().is_ok());
}

#[test]
fn secrets_are_never_printed() {
    let url = "postgres://user:open-sesame@localhost/highwater";
    let config = environment(&[("HIGHWATER_DATABASE_URL", url)]).load().unwrap();
    assert!(!format!("{config:?}").contains("open-sesame"));

    let refused = environment(&[("HIGHWATER_DATABASE_URL", "mysql://user:open-sesame@localhost/x")]).load().unwrap();
    let error = refused.database().unwrap_err().to_string();
    assert!(error.contains("database.url") && !error.contains("open-sesame"), "{error}");
}

#[test]
fn missing_database_url_says_how_to_set_it() {
    let error = ConfigSources::default().load().unwrap().database().unwrap_err().to_string();
    assert!(error.contains("HIGHWATER_DATABASE_URL"), "{error}");
}
