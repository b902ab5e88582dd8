//! The connections of one API: their limit, and the timeout of silent ones.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum_server::accept::Accept;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use metrics::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};

use super::super::config::LimitConfig;
use super::super::limit::count_refusal;

/// The most connections of an API, and the longest time until a connection sends a request.
#[derive(Debug, Clone)]
pub struct Connections {
    api: &'static str,
    /// None if there is no limit.
    room: Option<Arc<Semaphore>>,
    pub(super) head_within: Duration,
    pub(super) max_header_bytes: u32,
}

impl Connections {
    pub fn new(api: &'static str, limits: &LimitConfig) -> Self {
        metrics::describe_gauge!("highwater_http_connections", "Connections that are open.");
        let most = usize::try_from(limits.max_connections).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            api,
            room: (most > 0).then(|| Arc::new(Semaphore::new(most))),
            head_within: Duration::from_secs(limits.head_timeout_s),
            max_header_bytes: limits.max_header_bytes,
        }
    }

    fn enter(&self) -> io::Result<ConnectionPermit> {
        let permit = match &self.room {
            None => None,
            Some(room) => Some(Arc::clone(room).try_acquire_owned().map_err(|_full| {
                count_refusal(self.api, "connections");
                io::Error::new(ErrorKind::ConnectionRefused, "there are too many connections")
            })?),
        };
        let open = metrics::gauge!("highwater_http_connections", "api" => self.api);
        open.increment(1);
        Ok(ConnectionPermit { _permit: permit, open })
    }
}

/// The place of one connection.
struct ConnectionPermit {
    _permit: Option<OwnedSemaphorePermit>,
    open: Gauge,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.open.decrement(1);
    }
}

/// An acceptor that accepts connections up to the limit and closes others at once.
#[derive(Debug, Clone)]
pub(super) struct LimitedAcceptor<A> {
    pub(super) inner: A,
    pub(super) connections: Connections,
}

impl<A, S> Accept<TcpStream, S> for LimitedAcceptor<A>
where
    A: Accept<TcpStream, S>,
    A::Future: Send + 'static,
{
    type Stream = Connection<A::Stream>;
    type Service = A::Service;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // A handshake is part of the connection, so the place is taken before it.
        let accepted = self.connections.enter().map(|place| (place, self.inner.accept(stream, service)));
        let first_within = self.connections.head_within;
        async move {
            let (place, accepted) = accepted?;
            let (stream, service) = accepted.await?;
            Ok((Connection { stream, opening: Some(HandshakeTimeout::new(first_within)), _place: place }, service))
        }
        .boxed()
    }
}

/// The beginning of an HTTP/2 connection, up to its first frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;

/// A connection whose protocol is not known yet. The server itself would wait for ever.
struct HandshakeTimeout {
    /// The number of bytes received so far that match [`PREFACE`].
    seen: usize,
    deadline: Pin<Box<Sleep>>,
}

impl HandshakeTimeout {
    fn new(within: Duration) -> Self {
        Self { seen: 0, deadline: Box::pin(sleep(within)) }
    }

    /// Whether the protocol is known now: another than HTTP/2, or HTTP/2 that has begun.
    fn is_over(&mut self, arrived: &[u8]) -> bool {
        let expected = PREFACE.get(self.seen..).unwrap_or_default();
        let compared = expected.len().min(arrived.len());
        self.seen += arrived.len();
        expected[..compared] != arrived[..compared] || self.seen >= PREFACE.len() + FRAME_HEAD
    }
}

/// A connection with its place.
pub(super) struct Connection<S> {
    stream: S,
    opening: Option<HandshakeTimeout>,
    _place: ConnectionPermit,
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(opening) = &mut self.opening else { return read };
        if read.is_pending() {
            ready!(opening.deadline.as_mut().poll(context));
            return Poll::Ready(Err(ErrorKind::TimedOut.into()));
        }
        if opening.is_over(&buffer.filled()[before..]) {
            self.opening = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
