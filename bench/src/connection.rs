//! One HTTP/1.1 connection, kept alive, that costs the load as little as it can: the machine is shared with the server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};

/// What a request brings.
type Body = BoxBody<Bytes, Infallible>;

/// A connection of one caller with one key.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    host: HeaderValue,
    bearer: HeaderValue,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, key: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot reach {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with its sender. What goes wrong on it the request under way is told.
        tokio::spawn(connection);
        let host = HeaderValue::from_str(&address.to_string())?;
        Ok(Self { sender, host, bearer: HeaderValue::from_str(&format!("Bearer {key}"))? })
    }

    pub(crate) async fn get(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        self.send(Method::GET, path, Full::default().boxed(), headers).await
    }

    pub(crate) async fn post(&mut self, path: &str, json: Bytes, headers: &[(&str, &str)]) -> Result<Answer> {
        let json_type = [(CONTENT_TYPE.as_str(), "application/json")];
        let headers: Vec<_> = json_type.iter().chain(headers).copied().collect();
        self.send(Method::POST, path, Full::new(json).boxed(), &headers).await
    }

    /// Sends a body that is made on the way.
    pub(crate) async fn post_parts<I>(&mut self, path: &str, content_type: &str, parts: I) -> Result<Answer>
    where
        I: Iterator<Item = Bytes> + Send + Sync + 'static,
    {
        let frames = parts.map(|part| Ok(Frame::data(part)));
        let body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
        self.send(Method::POST, path, body, &[(CONTENT_TYPE.as_str(), content_type)]).await
    }

    async fn send(&mut self, method: Method, path: &str, body: Body, headers: &[(&str, &str)]) -> Result<Answer> {
        let mut request =
            Request::builder().method(method).uri(path).header(HOST, &self.host).header(AUTHORIZATION, &self.bearer);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await?;
        let response = self.sender.send_request(request.body(body)?).await?;
        let (head, body) = response.into_parts();
        Ok(Answer { status: head.status, headers: head.headers, body: body.collect().await?.to_bytes() })
    }
}

/// Connections of one caller, for requests that are sent whether or not earlier ones are answered.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Connection>>,
    /// One permit for each idle connection.
    room: Semaphore,
}

/// A connection that goes back to its pool.
pub(crate) struct PooledConnection<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
    _room: SemaphorePermit<'a>,
}

impl Pool {
    pub(crate) async fn open(address: SocketAddr, key: &str, connections: usize) -> Result<Self> {
        let mut idle = Vec::new();
        for _ in 0..connections {
            idle.push(Connection::open(address, key).await?);
        }
        Ok(Self { idle: Mutex::new(idle), room: Semaphore::new(connections) })
    }

    /// The next connection that is idle.
    pub(crate) async fn take(&self) -> Result<PooledConnection<'_>> {
        let room = self.room.acquire().await?;
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(PooledConnection { pool: self, connection, _room: room })
    }
}

impl Deref for PooledConnection<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().unwrap_or_else(|| unreachable!("a permit stands for a connection"))
    }
}

impl DerefMut for PooledConnection<'_> {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().unwrap_or_else(|| unreachable!("a permit stands for a connection"))
    }
}

impl Drop for PooledConnection<'_> {
    fn drop(&mut self) {
        // Before its permit goes back, which happens after this.
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.connection.take());
    }
}

impl Answer {
    /// This answer, if its status is the one that was meant to come.
    pub(crate) fn expect(self, status: StatusCode) -> Result<Self> {
        ensure!(self.status == status, "answered {}: {}", self.status, String::from_utf8_lossy(&self.body));
        Ok(self)
    }

    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("an answer that was not expected: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> Result<&str> {
        let value = self.headers.get(name).with_context(|| format!("no header {name}"))?;
        Ok(value.to_str()?)
    }
}
