//! Campaigns at the model head of their workspace, loaded for many requests by one statement.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;
use sqlx::types::Json;
use uuid::Uuid;

use super::CampaignRow;
use crate::CAMPAIGN_MODEL;
use crate::database::connection::Connection;
use crate::database::model_head::{HeadContext, ModelHead};
use crate::error::ReadError;
use crate::version::RecordedEvent;

/// A campaign at a model head, as a key of the loader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CampaignAtHeadKey {
    campaign_id: Uuid,
    workspace: i32,
    epoch: i32,
    applied: i64,
    applied_at: Option<DateTime<Utc>>,
    revisions: i32,
}

/// A campaign that was loaded at a model head.
#[derive(Debug, Clone)]
pub(crate) struct LoadedCampaign {
    pub row: CampaignRow,
    /// The last event that touched the campaign or its sources.
    pub last_touched: RecordedEvent,
}

impl CampaignAtHeadKey {
    pub(crate) fn new(at: HeadContext<'_>, campaign_id: Uuid) -> Self {
        let ModelHead { epoch, applied, applied_at, revision, .. } = *at.head;
        Self { campaign_id, workspace: at.workspace, epoch, applied, applied_at, revisions: revision.count }
    }
}

/// Loads the campaigns that exist and whose workspace is still at the head of the key.
pub(crate) fn load_campaigns_at_head<'a>(
    db: &'a mut Connection,
    keys: &'a [CampaignAtHeadKey],
) -> BoxFuture<'a, Result<HashMap<CampaignAtHeadKey, LoadedCampaign>, ReadError>> {
    read(db, keys).boxed()
}

async fn read(
    db: &mut Connection,
    keys: &[CampaignAtHeadKey],
) -> Result<HashMap<CampaignAtHeadKey, LoadedCampaign>, ReadError> {
    let ids: Vec<_> = keys.iter().map(|at| at.campaign_id).collect();
    let workspaces: Vec<_> = keys.iter().map(|at| at.workspace).collect();
    let epochs: Vec<_> = keys.iter().map(|at| at.epoch).collect();
    let applied: Vec<_> = keys.iter().map(|at| at.applied).collect();
    let revisions: Vec<_> = keys.iter().map(|at| at.revisions).collect();
    // The number of keys is hidden from the planner, so that the plan is made once, and each is looked up by itself.
    let rows = sqlx::query!(
        r#"SELECT n.number AS "number!", c.campaign_id, c.version, c.name, c.state, c.channels, c.currency, c.time_zone,
                  c.starts_on, c.ends_on AS "ends_on?", c.starts_at, c.budget_micros AS "budget_micros?",
                  c.budget_per AS "budget_per?",
                  c.external_ids AS "external_ids: Json<Box<RawValue>>",
                  c.attributes AS "attributes: Json<Box<RawValue>>",
                  c.created_by_source AS "created_by_source?", c.created_at, c.changed_at,
                  t.position AS "last_touched!",
                  log.recorded_at_of(n.workspace, t.position) AS touched_at
           FROM unnest((SELECT $2::uuid[]), $3::integer[], $4::integer[], $5::bigint[], $6::integer[])
                WITH ORDINALITY n (campaign_id, workspace, epoch, applied, revisions, number)
           CROSS JOIN LATERAL (SELECT FROM read.live_epochs l
                               JOIN read.checkpoints k ON k.projection = l.projection AND k.epoch = l.epoch
                                 AND k.workspace = l.workspace
                               WHERE l.projection = $1 AND l.workspace = n.workspace AND l.epoch = n.epoch
                                 AND k.position = n.applied AND k.revision = n.revisions LIMIT 1) here
           CROSS JOIN LATERAL (SELECT * FROM read.campaigns c
                               WHERE c.epoch = n.epoch AND c.workspace = n.workspace AND c.campaign_id = n.campaign_id
                               LIMIT 1) c
           CROSS JOIN LATERAL (SELECT max(f.position) AS position FROM read.campaign_sources f
                               WHERE f.epoch = n.epoch AND f.workspace = n.workspace
                                 AND f.campaign_id = n.campaign_id) f
           CROSS JOIN LATERAL (SELECT greatest(c.position, f.position) AS position) t"#,
        CAMPAIGN_MODEL,
        &ids,
        &workspaces,
        &epochs,
        &applied,
        &revisions,
    )
    .fetch_all(db.statement())
    .await?;
    let found = rows.into_iter().filter_map(|row| {
        let at = *keys.get(usize::try_from(row.number).ok()?.checked_sub(1)?)?;
        let campaign = CampaignRow {
            campaign_id: row.campaign_id,
            version: row.version,
            name: row.name,
            state: row.state,
            channels: row.channels,
            currency: row.currency,
            time_zone: row.time_zone,
            starts_on: row.starts_on,
            ends_on: row.ends_on,
            starts_at: row.starts_at,
            budget_micros: row.budget_micros,
            budget_per: row.budget_per,
            external_ids: row.external_ids,
            attributes: row.attributes,
            created_by_source: row.created_by_source,
            created_at: row.created_at,
            changed_at: row.changed_at,
        };
        let last_touched = RecordedEvent { position: row.last_touched, recorded_at: row.touched_at };
        Some((at, LoadedCampaign { row: campaign, last_touched }))
    });
    Ok(found.collect())
}
