//! Serves a router over a listener until shutdown, then drains. It speaks HTTP/1.1 and HTTP/2, in clear or with TLS.

mod connections; // their limit, and the timeout of silent ones

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

/// The most connections that wait to be accepted. A thousand callers may arrive at once.
const BACKLOG: u32 = 1_024;

/// Binds the address, so that a caller knows its port before it serves. It needs the runtime.
pub fn bind(addr: SocketAddr) -> Result<TcpListener, ServeError> {
    let listen = || {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)?.into_std()
    };
    listen().map_err(|source| ServeError::Bind { addr, source })
}

/// The least size of a head that the server reads, so that the edge can explain one that is too large.
const HEAD_BYTES: u32 = 64 << 10;

/// The flow-control windows of an HTTP/2 connection and of one of its streams: bytes in flight that no handler has
/// read.
const CONNECTION_WINDOW: u32 = 512 << 10;
const STREAM_WINDOW: u32 = 256 << 10;

/// The most requests in flight of one HTTP/2 connection. The h2 crate limits reset streams: 20 that wait to be
/// accepted, 1,024 for the caller's own errors.
const STREAMS: u32 = 200;

/// How often an HTTP/2 connection is pinged.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Serves until `shutdown`. Then it accepts nothing more and gives the requests in flight `drain` to finish.
///
/// The server does not manage an upgraded connection (a WebSocket): its handler has to watch `shutdown` itself. A
/// stream of events has to end by itself, to send its last message.
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

/// Limits the size and the time of a request's head.
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

/// Shuts the connection tasks down when the server is dropped, because they are separate tasks.
struct ShutdownOnDrop(Handle<SocketAddr>);

impl Drop for ShutdownOnDrop {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}
