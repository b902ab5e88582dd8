//! The server over real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Version;
use axum::routing::get;
use http_edge::config::LimitConfig;
use http_edge::{Connections, ServeError, TlsConfig, TlsError, bind, serve};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
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
    start_within(&LimitConfig::default(), router, tls, drain)
}

fn start_within(limits: &LimitConfig, router: Router, tls: Option<TlsConfig>, drain: Duration) -> Running {
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let ended = tokio::spawn(serve(listener, tls, router, Connections::new("test", limits), stop.clone(), drain));
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
async fn serves_http_1_and_2_in_plain_text() {
    let server = start(hello(), None, LONG);
    let url = format!("http://{}/", server.addr);
    let response = client().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!((response.version(), response.text().await.unwrap().as_str()), (Version::HTTP_11, "hello"));
    let response = client().http2_prior_knowledge().build().unwrap().get(&url).send().await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
}

#[tokio::test]
async fn names_an_address_in_use() {
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
async fn drain_answers_requests_in_flight() {
    let (router, entered, go) = slow();
    let server = start(router, None, LONG);
    let client = client().build().unwrap();
    let request = tokio::spawn(client.get(format!("http://{}/slow", server.addr)).send());
    entered.notified().await;
    server.stop.cancel();
    // The listener is gone when a new connection is refused.
    while tokio::net::TcpStream::connect(server.addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.ended.is_finished());
    go.notify_one();
    assert_eq!(request.await.unwrap().unwrap().text().await.unwrap(), "done");
    server.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn drain_has_a_deadline() {
    let (router, entered, _go) = slow();
    let server = start(router, None, Duration::from_millis(10));
    let request = tokio::spawn(client().build().unwrap().get(format!("http://{}/slow", server.addr)).send());
    entered.notified().await;
    server.stop.cancel();
    server.ended.await.unwrap().unwrap();
    assert!(request.await.unwrap().is_err());
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
async fn serves_http_1_and_2_over_tls() {
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
async fn names_the_file_of_a_bad_certificate() {
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

/// Everything that comes until the other side closes, in good order or not.
async fn until_closed(mut connection: TcpStream) -> String {
    let mut came = Vec::new();
    let mut buffer = [0; 1_024];
    while let Ok(bytes) = connection.read(&mut buffer).await {
        if bytes == 0 {
            break;
        }
        came.extend_from_slice(&buffer[..bytes]);
    }
    String::from_utf8_lossy(&came).into_owned()
}

#[tokio::test]
async fn closes_connections_above_the_limit() {
    let limits = LimitConfig { max_connections: 2, ..LimitConfig::default() };
    let server = start_within(&limits, hello(), None, LONG);
    let answered = async |connection: &mut TcpStream| {
        connection.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 512];
        let length = connection.read(&mut answer).await.unwrap_or_default();
        String::from_utf8_lossy(&answer[..length]).starts_with("HTTP/1.1 200")
    };
    let mut first = TcpStream::connect(server.addr).await.unwrap();
    let mut second = TcpStream::connect(server.addr).await.unwrap();
    assert!(answered(&mut first).await && answered(&mut second).await);
    let third = TcpStream::connect(server.addr).await.unwrap();
    assert_eq!(until_closed(third).await, "");
    assert!(answered(&mut first).await);

    // When one is gone there is room again.
    drop(second);
    let mut next = TcpStream::connect(server.addr).await.unwrap();
    while !answered(&mut next).await {
        next = TcpStream::connect(server.addr).await.unwrap();
    }
}

#[tokio::test]
async fn closes_silent_connections() {
    let limits = LimitConfig { head_timeout_s: 1, ..LimitConfig::default() };
    let server = start_within(&limits, hello(), None, LONG);
    // Nothing, half a head, the beginning of HTTP/2, and all of its beginning but what follows.
    for sent in ["", "GET / HTTP/1.1\r\nhost", "PRI * HTT", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut silent = TcpStream::connect(server.addr).await.unwrap();
        silent.write_all(sent.as_bytes()).await.unwrap();
        tokio::time::timeout(Duration::from_secs(30), until_closed(silent)).await.unwrap();
    }
    // Whoever goes on talking is not.
    let client = client().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/", server.addr);
    assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "hello");
}

#[tokio::test]
async fn rejects_an_endless_head() {
    let server = start(hello(), None, LONG);
    let mut flood = TcpStream::connect(server.addr).await.unwrap();
    flood.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-flood: ").await.unwrap();
    // It may be refused before all of it is sent.
    let _ = flood.write_all(&vec![b'a'; 200_000]).await;
    let answer = until_closed(flood).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
}
