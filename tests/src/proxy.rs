//! A proxy between a program and PostgreSQL. It cuts one connection at the statement that commits.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// The statement to cut at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The call that appends to the log, which is a transaction of its own.
    Append,
    /// The COMMIT of a longer transaction.
    Commit,
}

/// The side of the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The server never receives it.
    Before,
    /// The server carries it out, and its answer is lost.
    After,
}

/// A proxy. It ends with its runtime.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    armed: Armed,
}

type Armed = Arc<Mutex<Option<Cut>>>;

#[derive(Debug)]
struct Cut {
    at: At,
    side: Side,
    done: oneshot::Sender<()>,
}

/// The kinds of messages from a client. A kind is one byte, followed by the length, which includes itself.
const PARSE: u8 = b'P';
const BIND: u8 = b'B';
const SYNC: u8 = b'S';
const QUERY: u8 = b'Q';

impl Proxy {
    /// Starts a proxy in front of a server.
    pub async fn to(host: String, port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let armed = Armed::default();
        let cuts = Arc::clone(&armed);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect((host.as_str(), port)).await {
                    tokio::spawn(relay(client, server, Arc::clone(&cuts)));
                }
            }
        });
        Self { address, armed }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Cuts the next connection at such a statement. Returns after the cut, and with `Side::After` when the server has
    /// carried the statement out.
    pub async fn cut(&self, at: At, side: Side) {
        let (done, cut) = oneshot::channel();
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Cut { at, side, done });
        cut.await.unwrap();
    }
}

/// Relays one connection until either side ends it or it is cut.
async fn relay(mut client: TcpStream, mut server: TcpStream, armed: Armed) {
    let mut questions = Questions::default();
    let (mut sent, mut answered) = ([0; 16 << 10], [0; 16 << 10]);
    loop {
        tokio::select! {
            Ok(length) = client.read(&mut sent) => {
                if length == 0 {
                    return;
                }
                questions.unread.extend_from_slice(&sent[..length]);
                while let Some(message) = questions.next() {
                    let cut = questions.cut_at(&message, &armed);
                    let passes = cut.as_ref().is_none_or(|cut| cut.side == Side::After);
                    if passes && server.write_all(&message).await.is_err() {
                        return;
                    }
                    if let Some(cut) = cut {
                        drop(client);
                        if cut.side == Side::After {
                            hear_out(&mut server).await;
                        }
                        drop(server);
                        // The test may have given up.
                        cut.done.send(()).ok();
                        return;
                    }
                }
            }
            Ok(length) = server.read(&mut answered) => {
                if length == 0 || client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}

/// Reads the server's messages until it is ready for the next query.
async fn hear_out(server: &mut TcpStream) {
    const READY: u8 = b'Z';
    while let Ok(kind) = server.read_u8().await {
        let Ok(length) = server.read_u32().await else { return };
        let mut rest = vec![0; length as usize - 4];
        if server.read_exact(&mut rest).await.is_err() || kind == READY {
            return;
        }
    }
}

/// The messages of a client.
#[derive(Debug, Default)]
struct Questions {
    unread: Vec<u8>,
    /// Whether the first message, which has no kind, was read.
    introduced: bool,
    /// The names of prepared statements that append.
    appending: HashSet<Vec<u8>>,
    /// Whether an append is in flight.
    in_append: bool,
}

impl Questions {
    /// The next whole message.
    fn next(&mut self) -> Option<Vec<u8>> {
        let kind = usize::from(self.introduced);
        let length = self.unread.get(kind..kind + 4)?;
        let length = kind + u32::from_be_bytes(length.try_into().ok()?) as usize;
        if self.unread.len() < length {
            return None;
        }
        self.introduced = true;
        Some(self.unread.drain(..length).collect())
    }

    /// Whether to cut at this message; if so, takes the cut. The server needs every message of an append.
    fn cut_at(&mut self, message: &[u8], armed: &Armed) -> Option<Cut> {
        let mut texts = message.get(5..)?.split(|byte| *byte == 0);
        let at = match message[0] {
            PARSE => {
                let (name, statement) = (texts.next()?, texts.next()?);
                if contains(statement, b"log.append(") {
                    self.appending.insert(name.to_owned());
                } else {
                    self.appending.remove(name);
                }
                return None;
            }
            BIND => {
                let (_portal, name) = (texts.next()?, texts.next()?);
                self.in_append = self.appending.contains(name);
                (self.in_append, At::Append, Side::Before)
            }
            SYNC => (std::mem::take(&mut self.in_append), At::Append, Side::After),
            QUERY => {
                let commits = contains(texts.next()?, b"COMMIT");
                return if commits { take(armed, |cut| cut.at == At::Commit) } else { None };
            }
            _ => return None,
        };
        let (here, at, side) = at;
        if here { take(armed, |cut| cut.at == at && cut.side == side) } else { None }
    }
}

fn take(armed: &Armed, fits: impl Fn(&Cut) -> bool) -> Option<Cut> {
    let mut armed = armed.lock().unwrap_or_else(PoisonError::into_inner);
    armed.take_if(|cut| fits(cut))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
