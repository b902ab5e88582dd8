//! Ours over HTTP: the batches as JSON, each on the next free one of some connections that are kept alive.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::StatusCode;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::feed::Batches;
use crate::wire::{self, BatchAnswer};
use crate::workspace::Workspace;

/// A batch as it is sent.
struct BatchRequest {
    workspace: usize,
    observations: usize,
    body: Bytes,
}

/// Batches, and the connections that will carry them: one of each workspace for each sender.
pub(super) struct Requests {
    batches: Vec<BatchRequest>,
    senders: Vec<Vec<Connection>>,
}

impl Requests {
    pub(super) async fn connect(
        address: SocketAddr,
        workspaces: &[Workspace],
        senders: u16,
        batches: &Batches,
    ) -> Result<Self> {
        let mut connected = Vec::new();
        for _ in 0..senders {
            let mut connections = Vec::new();
            for workspace in workspaces {
                connections.push(Connection::open(address, &workspace.key).await?);
            }
            connected.push(connections);
        }
        let sent = batches.0.iter().map(|(workspace, batch)| BatchRequest {
            workspace: *workspace,
            observations: batch.observations.len(),
            body: wire::batch(batch),
        });
        Ok(Self { batches: sent.collect(), senders: connected })
    }

    /// Sends everything, and returns when all of it was accepted.
    pub(super) async fn send(self) -> Result<()> {
        let (batches, next) = (Arc::new(self.batches), Arc::new(AtomicUsize::new(0)));
        let mut sending = JoinSet::new();
        for mut connections in self.senders {
            let (batches, next) = (Arc::clone(&batches), Arc::clone(&next));
            sending.spawn(async move {
                while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let connection = &mut connections[batch.workspace];
                    let answer = connection.post("/v1/observations", batch.body.clone(), &[]).await?;
                    let answer = answer.expect(StatusCode::OK)?;
                    let BatchAnswer { accepted, .. } = answer.json()?;
                    ensure!(accepted == batch.observations, "{accepted} of {} were accepted", batch.observations);
                }
                anyhow::Ok(())
            });
        }
        while let Some(sent) = sending.join_next().await {
            sent??;
        }
        Ok(())
    }
}
