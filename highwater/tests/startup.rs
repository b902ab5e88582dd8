//! A start before the database is there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use highwater::system::{self, SystemConfig};
use highwater::tls;
use platform::clock::SystemClock;
use platform::database::DatabaseConfig;
use secrecy::SecretString;
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgPool};
use tokio::net::{TcpStream, UnixStream};

const PATIENCE: Duration = Duration::from_secs(30);

/// An address at which nothing listens.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A system whose database is to be at `database`.
fn config(pool: &PgPool, database: SocketAddr, wait: Duration) -> SystemConfig {
    tls::install_provider();
    let options = (*pool.connect_options()).clone().host(&database.ip().to_string()).port(database.port());
    let url = SecretString::from(options.to_url_lossy().to_string());
    let database = DatabaseConfig { max_connections: 4, ..DatabaseConfig::at(url) };
    let health_addr = Some(free_address());
    SystemConfig { database_wait: wait, health_addr, ..SystemConfig::all_roles(database) }
}

/// Answers at `addr` for the database of the test.
async fn forward(addr: SocketAddr, to: PgConnectOptions) {
    let listener = tokio::net::TcpListener::bind(addr).await.unwrap();
    let socket =
        to.get_socket().cloned().or_else(|| to.get_host().starts_with('/').then(|| PathBuf::from(to.get_host())));
    loop {
        let (mut caller, _) = listener.accept().await.unwrap();
        let (socket, host, port) = (socket.clone(), to.get_host().to_owned(), to.get_port());
        tokio::spawn(async move {
            // A connection that breaks off is the business of its two ends.
            let _ = if let Some(directory) = socket {
                let mut server = UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await.unwrap();
                tokio::io::copy_bidirectional(&mut caller, &mut server).await
            } else {
                let mut server = TcpStream::connect((host, port)).await.unwrap();
                tokio::io::copy_bidirectional(&mut caller, &mut server).await
            };
        });
    }
}

/// What is answered at `/healthz` and `/readyz`, once something is.
async fn probes(addr: SocketAddr) -> (u16, u16, Value) {
    let deadline = Instant::now() + PATIENCE;
    let alive = loop {
        match reqwest::get(format!("http://{addr}/healthz")).await {
            Ok(alive) => break alive,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    };
    let ready = reqwest::get(format!("http://{addr}/readyz")).await.unwrap();
    let status = ready.status().as_u16();
    let body: Value = serde_json::from_str(&ready.text().await.unwrap()).unwrap();
    (alive.status().as_u16(), status, body["not_ready"].clone())
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn start_waits_for_the_database(pool: PgPool) {
    let database = free_address();
    let config = config(&pool, database, PATIENCE);
    let health = config.health_addr.unwrap();
    let starting = tokio::spawn(system::start(config, SystemClock::shared()));
    assert_eq!(probes(health).await, (200, 503, serde_json::json!(["database"])));
    let forwarding = tokio::spawn(forward(database, (*pool.connect_options()).clone()));
    let running = starting.await.unwrap().unwrap();
    let (alive, _, _) = probes(health).await;
    assert_eq!(alive, 200);
    let ready = reqwest::get(format!("http://{}/readyz", running.command_addr.unwrap())).await.unwrap();
    assert_eq!(ready.status().as_u16(), 200);
    running.shutdown().await.unwrap();
    forwarding.abort();
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn start_gives_up_after_its_wait(pool: PgPool) {
    for wait in [Duration::ZERO, Duration::from_millis(300)] {
        let error = system::start(config(&pool, free_address(), wait), SystemClock::shared()).await.unwrap_err();
        assert!(error.to_string().contains("cannot connect to the database"), "{error}");
    }
}
