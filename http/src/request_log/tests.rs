use std::io;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use serde_json::Value;
use tower::ServiceExt;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::HttpConfig;
use crate::edge::{EdgeConfig, edge};
use platform::clock::SystemClock;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn take(&self) -> Vec<Value> {
        let written = std::mem::take(&mut *self.0.lock().unwrap());
        written.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn logs_one_line_per_request() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().json().with_max_level(Level::INFO).with_writer(lines.clone()).finish();
    let _subscribed = tracing::subscriber::set_default(subscriber);

    let broken = async || Problem::internal(io::Error::new(io::ErrorKind::NotFound, "no such relation"));
    let router = Router::new()
        .route("/things/{id}", get(async || "thing"))
        .route("/broken", get(broken))
        .route("/healthz", get(async || "ok"));
    let config = EdgeConfig::new("test", &HttpConfig::default(), &SystemClock::shared());
    let app = edge(router, &config);
    let ask = async |path: &str| {
        let request = Request::get(path).header("authorization", "Bearer hw_s3cret").body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        (response, lines.take())
    };

    let (response, lines) = ask("/things/7?q=pr1vate").await;
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let fields = &line["fields"];
    assert_eq!((&line["level"], &line["target"]), (&Value::from("INFO"), &Value::from("highwater::request")));
    assert_eq!(fields["api"], "test");
    assert_eq!(fields["route"], "/things/{id}");
    assert_eq!(fields["path"], "/things/7");
    assert_eq!(fields["status"], 200);
    assert_eq!(fields["request_id"], response.headers()[REQUEST_ID].to_str().unwrap());
    assert!(fields["request_id"].as_str().unwrap().starts_with(line["span"]["trace_id"].as_str().unwrap()));
    assert!(fields["duration_ms"].as_f64().unwrap() >= 0.0);
    let text = line.to_string();
    assert!(!text.contains("s3cret") && !text.contains("pr1vate"), "{text}");

    let (_, lines) = ask("/broken").await;
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((&line["level"], &line["fields"]["problem"]), (&Value::from("ERROR"), &Value::from("internal")));
    assert_eq!(line["fields"]["cause"], "no such relation");

    let (_, lines) = ask("/healthz").await;
    assert_eq!(lines, Vec::<Value>::new());
}
