//! Serves a router over a listener, in clear or with TLS, as HTTP/1.1 and HTTP/2, until told to stop; then drains.

mod connections; // how many at a time, and none that says nothing

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;

pub use self::connections::Connections;
use self::connections::LimitedAcceptor;

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {addr}")]
    Bind { addr: SocketAddr, source: io::Error },
    #[error("the server stopped")]
    Serve(#[source] io::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read a certificate chain (PEM) from {}", path.display())]
    Certificate { path: PathBuf, source: pem::Error },
    #[error("cannot read a private key (PEM) from {}", path.display())]
    Key { path: PathBuf, source: pem::Error },
    #[error("there is no certificate in {}", path.display())]
    NoCertificate { path: PathBuf },
    #[error("the certificate and the key cannot be used together")]
    Mismatch(#[source] rustls::Error),
}

/// A certificate and its key, ready to serve.
#[derive(Debug, Clone)]
pub struct TlsConfig(RustlsConfig);

impl TlsConfig {
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let unreadable = |source| TlsError::Certificate { path: certificate.to_owned(), source };
        let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
            .map_err(unreadable)?
            .collect::<Result<_, _>>()
            .map_err(unreadable)?;
        if chain.is_empty() {
            return Err(TlsError::NoCertificate { path: certificate.to_owned() });
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Key { path: key.to_owned(), source })?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsError::Mismatch)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(RustlsConfig::from_config(Arc::new(config))))
    }
}

/// Connections that wait to be accepted: a thousand callers may arrive at once.
const BACKLOG: u32 = 1_024;

/// Takes the address, so that a caller knows its port before it serves. Needs the runtime.
pub fn bind(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    let listen = || {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)?.into_std()
    };
    listen().map_err(|source| ServeError::Bind { addr, source })
}

/// What of a head the server itself takes, at least, so that the edge can say what is wrong with one that is too large.
const HEAD_BYTES: u32 = 64 << 10;

/// What may be under way to one HTTP/2 connection, and to one of its streams, before anybody has asked for it.
const CONNECTION_WINDOW: u32 = 512 << 10;
const STREAM_WINDOW: u32 = 256 << 10;

/// Requests that one HTTP/2 connection may have under way. Streams that are reset are bounded by the h2 crate: 20 that
/// wait to be accepted, 1,024 for the caller's own errors.
const STREAMS: u32 = 200;

/// An HTTP/2 connection is asked this often whether anybody is still there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Serves until `shutdown`, then accepts nothing more and gives the requests underway `drain` to finish.
///
/// A connection that was upgraded (a WebSocket) is no longer the server's: its handler has to watch `shutdown` itself,
/// and a stream of events has to end by itself to be said farewell to.
pub async fn serve(
    listener: TcpListener,
    tls: Option<TlsConfig>,
    router: Router,
    connections: Connections,
    shutdown: CancellationToken,
    drain: Duration,
) -> Result<(), ServeError> {
    let mut server = axum_server::from_tcp(listener).map_err(ServeError::Serve)?;
    configure_http(server.http_builder(), &connections);

    let handle = Handle::new();
    let _cut_off = ShutdownOnDrop(handle.clone());
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server: Server<SocketAddr> = server.handle(handle.clone());
    let running = async {
        match tls {
            Some(TlsConfig(config)) => {
                let inner = RustlsAcceptor::new(config).acceptor(NoDelayAcceptor);
                server.acceptor(LimitedAcceptor { inner, connections }).serve(service).await
            }
            None => server.acceptor(LimitedAcceptor { inner: NoDelayAcceptor, connections }).serve(service).await,
        }
    };
    tokio::pin!(running);
    tokio::select! {
        stopped = &mut running => stopped,
        () = shutdown.cancelled() => {
            handle.graceful_shutdown(Some(drain));
            running.await
        }
    }
    .map_err(ServeError::Serve)
}

/// How much the server reads by itself, and for how long, before there is a request.
fn configure_http(http: &mut Builder<TokioExecutor>, connections: &Connections) {
    let head_bytes = connections.max_header_bytes.saturating_mul(2).max(HEAD_BYTES);
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(connections.head_within)
        .max_buf_size(usize::try_from(head_bytes).unwrap_or(usize::MAX));
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .max_header_list_size(head_bytes)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .initial_stream_window_size(STREAM_WINDOW)
        .max_concurrent_streams(STREAMS)
        .enable_connect_protocol();
}

/// Connections run in tasks of their own, which must not outlive a server that is dropped.
struct ShutdownOnDrop(Handle<SocketAddr>);

impl Drop for ShutdownOnDrop {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}
