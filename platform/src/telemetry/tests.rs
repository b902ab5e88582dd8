use super::*;

#[test]
fn second_start_changes_nothing() {
    let text = TelemetryConfig::default();
    let json = TelemetryConfig { format: LogFormat::Json, filter: "debug".to_owned() };
    init(&text).unwrap();
    init(&json).unwrap();
    ::metrics::counter!("highwater_test_total").increment(2);
    ::metrics::histogram!("highwater_test_seconds").record(0.2);
    let rendered = metrics_handle().unwrap().render();
    assert!(rendered.contains("highwater_test_total 2"), "{rendered}");
    assert!(rendered.contains(r#"highwater_test_seconds_bucket{le="0.25"} 1"#), "{rendered}");
}

#[test]
fn parses_format_names() {
    assert_eq!("json".parse(), Ok(LogFormat::Json));
    assert_eq!("text".parse(), Ok(LogFormat::Text));
    assert_eq!("xml".parse::<LogFormat>(), Err(UnknownLogFormat));
}

#[test]
fn forgets_metrics_rendered_once() {
    let set = |label: &'static str| ::metrics::gauge!("highwater_test_moment", "label" => label).set(3.0);
    let first = render_once(|| set("first"));
    assert!(first.contains(r#"highwater_test_moment{label="first"} 3"#), "{first}");
    let second = render_once(|| set("second"));
    assert!(second.contains("second") && !second.contains("first"), "{second}");
    assert!(!metrics_handle().unwrap().render().contains("highwater_test_moment"));
}
