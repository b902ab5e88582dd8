//! Ours over HTTP: the same campaign, each request with an `Idempotency-Key`, on connections that are kept alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::StatusCode;
use platform::clock::{Clock, SystemClock};
use serde_json::json;
use uuid::Uuid;

use crate::callers;
use crate::connection::Connection;
use crate::server::Database;
use crate::service::Service;
use crate::workspace::Workspace;

pub(super) struct OverHttp {
    workspaces: Vec<Workspace>,
    body: Bytes,
    drafted: Arc<AtomicI64>,
}

/// A server and the callers that are connected to it.
pub(super) struct Served {
    pub(super) service: Service,
    pub(super) callers: Vec<HttpCaller>,
}

impl OverHttp {
    pub(super) async fn open(database: &Database, workspaces: usize) -> Result<Self> {
        let mut opened = Vec::new();
        for number in 0..workspaces {
            opened.push(Workspace::open(database, &format!("over HTTP {number}")).await?);
        }
        let body = json!({
            "name": "Autumn sale, second wave", "channels": ["paid_search", "email"], "currency": "EUR",
            "time_zone": "Europe/Berlin", "starts_on": SystemClock.now().date_naive(),
            "budget": {"amount": "5000.00", "currency": "EUR"}, "attributes": {"region": "DACH"}
        });
        Ok(Self { workspaces: opened, body: body.to_string().into(), drafted: Arc::default() })
    }

    pub(super) async fn serve(&self, database: &Database, connections: usize) -> Result<Served> {
        let service = Service::start(database, "command").await?;
        let mut callers = Vec::new();
        for workspace in self.workspaces.iter().cycle().take(connections) {
            let connection = Connection::open(service.command, &workspace.key).await?;
            callers.push(HttpCaller { connection, body: self.body.clone(), drafted: Arc::clone(&self.drafted) });
        }
        Ok(Served { service, callers })
    }

    /// Every command that was answered is one event and one receipt.
    pub(super) async fn check(&self, database: &Database) -> Result<()> {
        let ids: Vec<i32> = self.workspaces.iter().map(|workspace| workspace.id.0).collect();
        let stored: (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM log.events WHERE workspace = ANY ($1) AND event_type = 'CampaignCreated'),
                    (SELECT count(*) FROM log.receipts WHERE workspace = ANY ($1))",
        )
        .bind(&ids)
        .fetch_one(&database.admin)
        .await?;
        let drafted = self.drafted.load(Ordering::Relaxed);
        ensure!(stored == (drafted, drafted), "{drafted} campaigns were drafted over HTTP, but {stored:?} stored");
        Ok(())
    }
}

pub(super) struct HttpCaller {
    connection: Connection,
    body: Bytes,
    drafted: Arc<AtomicI64>,
}

impl callers::Caller for HttpCaller {
    async fn call(&mut self) -> Result<()> {
        let key = Uuid::now_v7().to_string();
        let answer =
            self.connection.post("/v1/campaigns", self.body.clone(), &[("idempotency-key", key.as_str())]).await?;
        answer.expect(StatusCode::CREATED)?;
        self.drafted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
