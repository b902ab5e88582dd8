//! Ours in process: decide, then append with a receipt and a claim.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Result, ensure};
use domain::campaign::{Campaign, decide};
use domain::event::upcast;
use domain::ids::{CampaignId, WorkspaceId};
use event_store::{
    AggregateStore, Appender, AppenderConfig, Claim, ClaimEffect, ClaimPrecondition, CommitContext, Loaded, Metadata,
    Receipt, open_workspace,
};
use platform::clock::{Clock, SystemClock};
use platform::database::{DatabaseRole, connect};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::create;
use crate::callers;
use crate::load::metadata;
use crate::server::Database;

pub(crate) struct HighwaterStore {
    campaigns: AggregateStore<Campaign>,
    workspaces: Vec<WorkspaceId>,
    admin: PgPool,
    drafted: AtomicI64,
}

impl HighwaterStore {
    /// In so many new workspaces.
    pub(super) async fn start(database: &Database, workspaces: usize) -> Result<Self> {
        let mut opened = Vec::new();
        for number in 0..workspaces {
            let mut admin = database.admin.acquire().await?;
            let name = format!("commands {number}");
            opened.push(WorkspaceId(open_workspace(&mut admin, &name, SystemClock.now()).await?));
        }
        Self::in_workspaces(database, opened).await
    }

    pub(crate) async fn in_workspaces(database: &Database, workspaces: Vec<WorkspaceId>) -> Result<Self> {
        let pool = connect(&database.config, DatabaseRole::Command).await?;
        // The writers end with the last clone of the appender.
        let (appender, _writers) = Appender::start(pool.clone(), AppenderConfig::default(), CancellationToken::new());
        let campaigns =
            AggregateStore::new(pool, appender, |name, version, payload| Ok(upcast(name, version, payload)?));
        Ok(Self { campaigns, workspaces, admin: database.admin.clone(), drafted: AtomicI64::new(0) })
    }

    /// So many callers, spread over the first workspaces.
    pub(crate) fn callers(self: &Arc<Self>, callers: usize, workspaces: usize) -> Vec<HighwaterCaller> {
        let workspaces = self.workspaces.iter().take(workspaces).cycle();
        workspaces.take(callers).map(|&workspace| HighwaterCaller { ours: Arc::clone(self), workspace }).collect()
    }

    /// How many commands were answered so far.
    pub(crate) fn drafted(&self) -> i64 {
        self.drafted.load(Ordering::Relaxed)
    }

    /// Every command that was answered is one event, one claim and one receipt.
    pub(super) async fn check(&self) -> Result<()> {
        let ids: Vec<i32> = self.workspaces.iter().map(|workspace| workspace.0).collect();
        let stored: (i64, i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT sum(position)::bigint FROM log.heads WHERE workspace = ANY ($1)),
                    (SELECT count(*) FROM log.events WHERE workspace = ANY ($1) AND event_type = 'CampaignCreated'),
                    (SELECT count(*) FROM log.claims WHERE workspace = ANY ($1)),
                    (SELECT count(*) FROM log.receipts WHERE workspace = ANY ($1))",
        )
        .bind(&ids)
        .fetch_one(&self.admin)
        .await?;
        let drafted = self.drafted();
        ensure!(
            stored == (drafted, drafted, drafted, drafted),
            "{drafted} campaigns were drafted, but {stored:?} stored"
        );
        Ok(())
    }
}

pub(crate) struct HighwaterCaller {
    ours: Arc<HighwaterStore>,
    workspace: WorkspaceId,
}

impl callers::Caller for HighwaterCaller {
    async fn call(&mut self) -> Result<()> {
        let at = SystemClock.now();
        let id = CampaignId(Uuid::now_v7());
        let stream = Loaded::<Campaign>::new_stream(id.stream(self.workspace));
        let events = decide(&stream.aggregate, create(id, at)?)?;
        let owner = id.to_string();
        let claim = Claim {
            kind: "campaign",
            key: owner.clone(),
            expect: ClaimPrecondition::Absent,
            then: ClaimEffect::Put { owner, state: "open".to_owned() },
        };
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(id.0.as_bytes());
        let receipt = Receipt { key: Uuid::now_v7().to_string(), digest, response: format!(r#"{{"created":"{id}"}}"#) };
        let alongside = CommitContext {
            metadata: Metadata(metadata(at)),
            claims: vec![claim],
            receipt: Some(receipt),
            recorded_at: at,
        };
        let appended = self.ours.campaigns.append(&stream, &events, alongside).await?;
        ensure!(appended.version == 1 && !appended.replayed, "a new stream was not new");
        self.ours.drafted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
