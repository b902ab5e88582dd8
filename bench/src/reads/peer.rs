//! What reads are measured beside, in a process of its own: this program, started again to be nothing but that.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::extract::{FromRef, Path, State};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_edge::HttpConfig;
use http_edge::auth::Authenticated;
use http_edge::edge::{EdgeConfig, edge};
use http_edge::problem::Problem;
use http_edge::{Connections, bind, serve};
use platform::authenticator::Authenticator;
use platform::clock::SystemClock;
use platform::database::{DatabaseConfig, DatabaseRole, connect};
use platform::principal::Scope;
use platform::telemetry::{self, TelemetryConfig};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use sqlx::types::{Json as SqlJson, Uuid};
use tempfile::NamedTempFile;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::server::Database;
use crate::service::{free_address, parent_is_done};

/// Where the started process finds its database.
const DATABASE_URL: &str = "HIGHWATER_DATABASE_URL";

/// What the started process is told.
#[derive(Debug, clap::Args)]
pub(crate) struct PeerArgs {
    #[arg(long)]
    addr: SocketAddr,
    #[arg(long, env = DATABASE_URL, hide_env_values = true)]
    database_url: SecretString,
}

/// A running peer.
pub(super) struct Peer {
    child: Child,
    pub(super) address: SocketAddr,
    /// What it logs: each request, as the server that it stands beside.
    _log: NamedTempFile,
}

impl Peer {
    pub(super) async fn start(database: &Database) -> Result<Self> {
        let (log, address) = (NamedTempFile::new()?, free_address()?);
        let child = Command::new(std::env::current_exe()?)
            .args(["peer", "--addr", &address.to_string()])
            .env(DATABASE_URL, database.config.url.expose_secret())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log.reopen()?)
            .kill_on_drop(true)
            .spawn()?;
        let peer = Self { child, address, _log: log };
        for _ in 0..500 {
            if Connection::open(address, "none").await.is_ok() {
                return Ok(peer);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("the peer was not ready in time")
    }

    pub(super) async fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait().await?;
        ensure!(status.success(), "the peer ended with {status}");
        Ok(())
    }
}

#[derive(Clone)]
struct PeerState {
    pool: PgPool,
    authenticator: Authenticator,
}

impl FromRef<PeerState> for Authenticator {
    fn from_ref(state: &PeerState) -> Self {
        state.authenticator.clone()
    }
}

/// Answers until whoever started it closes its standard input, or is gone.
pub(crate) async fn answer(options: PeerArgs) -> Result<()> {
    telemetry::init(&TelemetryConfig::default())?;
    let pool = connect(&DatabaseConfig::at(options.database_url), DatabaseRole::Read).await?;
    let clock = SystemClock::shared();
    let state = PeerState { authenticator: Authenticator::new(pool.clone(), clock.clone()), pool };
    let http = HttpConfig::default();
    let constant = Router::new().route("/constant/{length}", get(constant)).with_state(state.clone());
    let bare = Router::new().route("/bare/{id}", get(bare)).with_state(state);
    let router = edge(constant, &EdgeConfig::new("read", &http, &clock)).merge(bare);
    let (stop, connections) = (CancellationToken::new(), Connections::new("read", &http.limits));
    let listener = bind(options.addr)?;
    let serving = serve(listener, None, router, connections, stop.clone(), Duration::ZERO);
    tokio::select! {
        ended = serving => ended.context("the peer"),
        ended = parent_is_done() => ended,
    }
}

/// As many bytes as are asked for, through the edge, for whoever has a key.
async fn constant(caller: Authenticated, Path(length): Path<usize>) -> Result<impl IntoResponse, Problem> {
    /// Longer than any answer that is measured.
    static BODY: [u8; 16_384] = [b'x'; 16_384];
    caller.require(Scope::Read)?;
    let body = BODY.get(..length).ok_or_else(Problem::not_found)?;
    Ok(([(CONTENT_TYPE, "application/json")], Bytes::from_static(body)))
}

/// One row by its key, as JSON.
async fn bare(State(state): State<PeerState>, Path(id): Path<Uuid>) -> Result<Json<Row>, StatusCode> {
    let row = sqlx::query_as(
        "SELECT campaign_id, version, name, state, channels, currency, time_zone, budget_micros, external_ids,
                attributes
         FROM read.campaigns WHERE epoch = 1 AND workspace = 1 AND campaign_id = $1",
    )
    .bind(id)
    .fetch_one(&state.pool)
    .await;
    row.map(Json).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[derive(serde::Serialize, sqlx::FromRow)]
struct Row {
    campaign_id: Uuid,
    version: i64,
    name: String,
    state: String,
    channels: Vec<String>,
    currency: String,
    time_zone: String,
    budget_micros: Option<i64>,
    external_ids: SqlJson<Box<serde_json::value::RawValue>>,
    attributes: SqlJson<Box<serde_json::value::RawValue>>,
}
