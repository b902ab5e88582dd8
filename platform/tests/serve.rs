//! The server over real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Version;
use axum::routing::get;
use platform::http::{ServeError, TlsConfig, TlsError, bind, serve};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_hours(1);

struct Running {
    addr: SocketAddr,
    stop: CancellationToken,
    ended: JoinHandle<Result<(), ServeError>>,
}

fn start(router: Router, tls: Option<TlsConfig>, drain: Duration) -> Running {
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let ended = tokio::spawn(serve(listener, tls, router, stop.clone(), drain));
    Running { addr, stop, ended }
}

fn client() -> reqwest::ClientBuilder {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy()
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

#[tokio::test]
async fn plain_http_speaks_both_versions() {
    let server = start(hello(), None, LONG);
    let url = format!("http://{}/", server.addr);
    let response = client().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((response.version(), response.text().await.unwrap().as_str()), (Version::HTTP_11, "hello"));
    let response = client().http2_prior_knowledge().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let first = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let addr = first.local_addr().unwrap();
    let error = bind(addr).unwrap_err();
    assert!(matches!(error, ServeError::Bind { addr: named, .. } if named == addr));
}

/// A router whose `/slow` says when it was entered and answers when it is let go.
fn slow() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let router = {
        let (entered, go) = (entered.clone(), go.clone());
        hello().route(
            "/slow",
            get(move || async move {
                entered.notify_one();
                go.notified().await;
                "done"
            }),
        )
    };
    (router, entered, go)
}

#[tokio::test]
async fn a_request_underway_is_answered_before_the_server_ends() {
    let (router, entered, go) = slow();
    let server = start(router, None, LONG);
    let client = client().build().unwrap();
    let asked = tokio::spawn(client.get(format!("http://{}/slow", server.addr)).send());
    entered.notified().await;
    server.stop.cancel();
    // The listener is gone when a new connection is refused.
    while tokio::net::TcpStream::connect(server.addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.ended.is_finished());
    go.notify_one();
    assert_eq!(asked.await.unwrap().unwrap().text().await.unwrap(), "done");
    server.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_drain_has_a_deadline() {
    let (router, entered, _go) = slow();
    let server = start(router, None, Duration::from_millis(10));
    let asked = tokio::spawn(client().build().unwrap().get(format!("http://{}/slow", server.addr)).send());
    entered.notified().await;
    server.stop.cancel();
    server.ended.await.unwrap().unwrap();
    assert!(asked.await.unwrap().is_err());
}

/// A certificate authority and, in files, a certificate for 127.0.0.1 that it signed.
fn certificates(directory: &Path) -> reqwest::Certificate {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    std::fs::write(directory.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
    reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap()
}

#[tokio::test]
async fn tls_speaks_both_versions() {
    let files = tempfile::tempdir().unwrap();
    let authority = certificates(files.path());
    let tls = TlsConfig::from_pem_files(&files.path().join("cert.pem"), &files.path().join("key.pem")).unwrap();
    let server = start(hello(), Some(tls), LONG);
    let url = format!("https://{}/", server.addr);
    let client = || client().tls_certs_only([authority.clone()]);
    let response = client().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((response.version(), response.text().await.unwrap().as_str()), (Version::HTTP_2, "hello"));
    let response = client().http1_only().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(response.version(), Version::HTTP_11);
}

#[tokio::test]
async fn a_wrong_certificate_says_which_file() {
    let (files, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(files.path());
    certificates(others.path());
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    let load = TlsConfig::from_pem_files;
    assert!(matches!(load(Path::new("/none.pem"), &key), Err(TlsError::Certificate { .. })));
    assert!(matches!(load(&key, &key), Err(TlsError::NoCertificate { .. })));
    assert!(matches!(load(&cert, &cert), Err(TlsError::Key { .. })));
    assert!(matches!(load(&cert, &others.path().join("key.pem")), Err(TlsError::Mismatch(_))));
}
