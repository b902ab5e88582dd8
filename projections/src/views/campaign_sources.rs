//! `read.campaign_sources`: which sources feed a campaign, because they ever sent a number of it.
//!
//! A set only grows, in whatever order.

use std::collections::BTreeSet;

use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use super::observed_campaign;
use crate::engine::{Recorded, Refusal, View, WriteError};

#[derive(Debug, Default)]
pub(super) struct CampaignSources(BTreeSet<(i32, CampaignId, SourceId)>);

impl View for CampaignSources {
    fn absorb(&mut self, recorded: &Recorded) -> Result<(), Refusal> {
        match &recorded.event {
            Event::Observations(batch) => {
                // A campaign that the batch lists but no observation names was not fed.
                for observation in &batch.observations {
                    let campaign = observed_campaign(batch, observation)?;
                    self.0.insert((recorded.workspace, campaign, batch.source));
                }
            }
            Event::Statements(batch) => {
                for statement in &batch.statements {
                    self.0.insert((recorded.workspace, statement.campaign, batch.source));
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
            let workspaces: Vec<i32> = self.0.iter().map(|(workspace, ..)| *workspace).collect();
            let campaigns: Vec<Uuid> = self.0.iter().map(|(_, campaign, _)| campaign.0).collect();
            let sources: Vec<Uuid> = self.0.iter().map(|(.., source)| source.0).collect();
            sqlx::query!(
                "INSERT INTO read.campaign_sources (epoch, workspace, campaign_id, source_id)
                 SELECT $1, * FROM unnest($2::integer[], $3::uuid[], $4::uuid[])
                 ON CONFLICT DO NOTHING",
                epoch,
                &workspaces,
                &campaigns,
                &sources
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}
