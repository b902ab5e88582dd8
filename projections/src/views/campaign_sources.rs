//! `read.campaign_sources`: the sources that ever sent a number for a campaign, and the position of the first such
//! event.
//!
//! A set only grows, and a minimum of positions does not depend on batches.

use std::collections::HashMap;

use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use futures_util::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use super::observed::observed_campaign;
use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

#[derive(Debug, Default)]
pub(super) struct CampaignSources {
    /// The position of the first event.
    firsts: HashMap<Feed, i64, foldhash::fast::RandomState>,
    /// Whether an observation refers to a campaign, by its index in the current batch.
    is_fed: Vec<bool>,
}

/// Workspace, campaign, source.
type Feed = (i32, CampaignId, SourceId);

impl View for CampaignSources {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        match &recorded.event {
            Event::Observations(batch) => {
                // A campaign that the batch lists but no observation refers to gets no row.
                self.is_fed.clear();
                self.is_fed.resize(batch.campaigns.len(), false);
                for observation in &batch.observations {
                    let campaign = observed_campaign(batch, observation)?;
                    if !std::mem::replace(&mut self.is_fed[observation.campaign], true) {
                        self.feed(recorded, campaign, batch.source);
                    }
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

    fn merge(&mut self, later: Box<dyn View>) {
        for (feed, position) in downcast::<Self>(later).firsts {
            self.firsts.entry(feed).or_insert(position);
        }
    }

    fn pending_rows(&self) -> usize {
        self.firsts.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.firsts.is_empty() {
                return Ok(());
            }
            let mut rows: Vec<(&Feed, &i64)> = self.firsts.iter().collect();
            rows.sort_unstable();
            let workspaces: Vec<i32> = rows.iter().map(|((workspace, ..), _)| *workspace).collect();
            let campaigns: Vec<Uuid> = rows.iter().map(|((_, campaign, _), _)| campaign.0).collect();
            let sources: Vec<Uuid> = rows.iter().map(|((.., source), _)| source.0).collect();
            let positions: Vec<i64> = rows.iter().map(|(_, position)| **position).collect();
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
    fn feed(&mut self, recorded: &EventEnvelope<'_>, campaign: CampaignId, source: SourceId) {
        let first = self.firsts.entry((recorded.workspace, campaign, source)).or_insert(recorded.position);
        *first = recorded.position.min(*first);
    }
}
