//! `read.campaign_sources`: which sources feed a campaign, because they ever sent a number of it, and since which event.
//!
//! A set only grows, and a least position does not depend on batches.

use std::collections::BTreeMap;

use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use super::observed::observed_months;
use crate::engine::{Recorded, Refusal, View, WriteError};

/// By (workspace, campaign, source): the position of the first event.
#[derive(Debug, Default)]
pub(super) struct CampaignSources(BTreeMap<(i32, CampaignId, SourceId), i64>);

impl View for CampaignSources {
    fn absorb(&mut self, recorded: &Recorded<'_>) -> Result<(), Refusal> {
        match &recorded.event {
            Event::Observations(batch) => {
                // A campaign that the batch lists but no observation names was not fed.
                for (campaign, _) in observed_months(batch)? {
                    self.feed(recorded, campaign, batch.source);
                }
            }
            Event::Statements(batch) => {
                for statement in &batch.statements {
                    self.feed(recorded, statement.campaign, batch.source);
                }
            }
            Event::Workspace(_) | Event::Campaign(_) | Event::Source(_) | Event::Sync(_) => {}
        }
        Ok(())
    }

    fn rows(&self) -> usize {
        self.0.len()
    }

    fn write<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.0.is_empty() {
                return Ok(());
            }
            let workspaces: Vec<i32> = self.0.keys().map(|(workspace, ..)| *workspace).collect();
            let campaigns: Vec<Uuid> = self.0.keys().map(|(_, campaign, _)| campaign.0).collect();
            let sources: Vec<Uuid> = self.0.keys().map(|(.., source)| source.0).collect();
            let positions: Vec<i64> = self.0.values().copied().collect();
            sqlx::query!(
                "INSERT INTO read.campaign_sources AS f (epoch, workspace, campaign_id, source_id, position)
                 SELECT $1, * FROM unnest($2::integer[], $3::uuid[], $4::uuid[], $5::bigint[])
                 ON CONFLICT (epoch, workspace, campaign_id, source_id) DO UPDATE
                 SET position = excluded.position WHERE excluded.position < f.position",
                epoch,
                &workspaces,
                &campaigns,
                &sources,
                &positions
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}

impl CampaignSources {
    fn feed(&mut self, recorded: &Recorded<'_>, campaign: CampaignId, source: SourceId) {
        let first = self.0.entry((recorded.workspace, campaign, source)).or_insert(recorded.position);
        *first = recorded.position.min(*first);
    }
}
