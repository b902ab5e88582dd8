//! `read.campaigns`: the state of each campaign after its events.
//!
//! Campaigns that changed are loaded, the domain folds their events, and the rows are written as a whole. So the fold
//! does not depend on where a batch ended. Only the campaign's own stream is read.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::campaign::{Budget, Campaign, CampaignDetails, CampaignEvent, ExternalId};
use domain::event::Event;
use domain::ids::CampaignId;
use domain::money::Money;
use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::engine::{ApplyError, EventEnvelope, RejectedEvent, View, WriteError, downcast};

/// A campaign of a workspace.
type Key = (i32, CampaignId);

#[derive(Debug, Default)]
pub(super) struct Campaigns(BTreeMap<Key, Vec<PendingEvent>>);

#[derive(Debug)]
struct PendingEvent {
    position: i64,
    sequence: i64,
    recorded_at: DateTime<Utc>,
    event: CampaignEvent,
}

/// A campaign; empty before its creation.
#[derive(Debug, Default)]
struct LoadedCampaign {
    campaign: Campaign,
    version: i64,
    position: i64,
    created_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
}

impl View for Campaigns {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        let event = match &recorded.event {
            Event::Campaign(event) => event,
            Event::Workspace(_) | Event::Source(_) | Event::Observations(_) | Event::Statements(_) | Event::Sync(_) => {
                return Ok(());
            }
        };
        let key = (recorded.workspace, recorded.campaign()?);
        self.0.entry(key).or_default().push(PendingEvent {
            position: recorded.position,
            sequence: recorded.sequence,
            recorded_at: recorded.recorded_at,
            event: event.clone(),
        });
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        for (campaign, changes) in downcast::<Self>(later).0 {
            self.0.entry(campaign).or_default().extend(changes);
        }
    }

    fn pending_rows(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.0.is_empty() {
                return Ok(());
            }
            let mut known = load(epoch, self.0.keys(), conn).await?;
            for (key, changes) in &self.0 {
                let campaign = known.entry(*key).or_default();
                for change in changes {
                    campaign.apply(*key, change)?;
                }
            }
            let rows: Vec<Row> = known.into_iter().filter_map(|(key, known)| known.into_row(epoch, key)).collect();
            store(&rows, conn).await?;
            Ok(())
        })
    }
}

impl LoadedCampaign {
    fn apply(&mut self, (workspace, campaign): Key, change: &PendingEvent) -> Result<(), RejectedEvent> {
        if self.campaign.details.is_none() {
            self.created_at = change.recorded_at;
        }
        self.campaign.apply(change.event.clone());
        if self.campaign.details.is_none() {
            let reason = ApplyError::NotCreated(campaign);
            return Err(RejectedEvent { workspace, position: change.position, reason });
        }
        self.version = change.sequence;
        self.position = change.position;
        self.changed_at = change.recorded_at;
        Ok(())
    }

    fn into_row(self, epoch: i32, (workspace, campaign): Key) -> Option<Row> {
        let details = self.campaign.details?;
        Some(Row {
            epoch,
            workspace,
            campaign_id: campaign.0,
            version: self.version,
            position: self.position,
            state: details.state.name().to_owned(),
            starts_at: details.starts_at(),
            name: details.name,
            channels: details.channels.into_iter().map(String::from).collect(),
            currency: details.currency.to_string(),
            time_zone: details.time_zone.to_string(),
            starts_on: details.starts_on,
            ends_on: details.ends_on,
            budget_micros: details.budget.map(|budget| budget.amount.micros),
            budget_per: details.budget.map(|budget| budget.per.name().to_owned()),
            external_ids: Json(details.external_ids),
            attributes: Json(details.attributes),
            created_by_source: details.created_by_source,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

/// A row of the table.
#[derive(Debug, Serialize)]
struct Row {
    epoch: i32,
    workspace: i32,
    campaign_id: Uuid,
    version: i64,
    position: i64,
    name: String,
    state: String,
    channels: Vec<String>,
    currency: String,
    time_zone: String,
    starts_on: NaiveDate,
    ends_on: Option<NaiveDate>,
    starts_at: DateTime<Utc>,
    budget_micros: Option<i64>,
    budget_per: Option<String>,
    external_ids: Json<Vec<ExternalId>>,
    attributes: Json<BTreeMap<String, String>>,
    created_by_source: Option<String>,
    created_at: DateTime<Utc>,
    changed_at: DateTime<Utc>,
}

impl Row {
    fn into_known(self) -> Result<(Key, LoadedCampaign), sqlx::Error> {
        let campaign = CampaignId(self.campaign_id);
        let currency = self.currency.parse().map_err(unreadable)?;
        let channels: Result<Vec<_>, _> = self.channels.iter().map(|channel| channel.parse()).collect();
        let amount = self.budget_micros.map(|micros| Money { micros, currency });
        let per = self.budget_per.map(|per| per.parse().map_err(unreadable)).transpose()?;
        let details = CampaignDetails {
            campaign,
            state: self.state.parse().map_err(unreadable)?,
            // Only commands need it: `CampaignUnarchived` names the state.
            archived_from: None,
            name: self.name,
            channels: channels.map_err(unreadable)?,
            currency,
            time_zone: self.time_zone.parse().map_err(unreadable)?,
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            budget: amount.zip(per).map(|(amount, per)| Budget { amount, per }),
            external_ids: self.external_ids.0,
            attributes: self.attributes.0,
            created_by_source: self.created_by_source,
        };
        let known = LoadedCampaign {
            campaign: Campaign { details: Some(details) },
            version: self.version,
            position: self.position,
            created_at: self.created_at,
            changed_at: self.changed_at,
        };
        Ok(((self.workspace, campaign), known))
    }
}

/// The error of a row that this view wrote and cannot read.
fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

async fn load(
    epoch: i32,
    keys: impl Iterator<Item = &Key>,
    conn: &mut PgConnection,
) -> Result<BTreeMap<Key, LoadedCampaign>, sqlx::Error> {
    let (workspaces, campaigns): (Vec<i32>, Vec<Uuid>) = keys.map(|(workspace, id)| (*workspace, id.0)).unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT c.epoch, c.workspace, c.campaign_id, c.version, c.position, c.name, c.state, c.channels, c.currency,
                  c.time_zone, c.starts_on, c.ends_on, c.starts_at, c.budget_micros, c.budget_per,
                  c.external_ids AS "external_ids: Json<Vec<ExternalId>>",
                  c.attributes AS "attributes: Json<BTreeMap<String, String>>", c.created_by_source, c.created_at,
                  c.changed_at
           FROM unnest($2::integer[], $3::uuid[]) AS wanted (workspace, campaign_id)
           JOIN read.campaigns c ON c.epoch = $1 AND c.workspace = wanted.workspace
               AND c.campaign_id = wanted.campaign_id"#,
        epoch,
        &workspaces,
        &campaigns
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Row::into_known).collect()
}

/// Writes the rows. They are sent as one JSON document, because the channels of each row are a list.
async fn store(rows: &[Row], conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    let document = serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query!(
        "INSERT INTO read.campaigns SELECT * FROM json_populate_recordset(NULL::read.campaigns, $1::text::json)
         ON CONFLICT (epoch, workspace, campaign_id) DO UPDATE
         SET version = excluded.version, position = excluded.position, name = excluded.name, state = excluded.state,
             channels = excluded.channels, currency = excluded.currency, time_zone = excluded.time_zone,
             starts_on = excluded.starts_on, ends_on = excluded.ends_on, starts_at = excluded.starts_at,
             budget_micros = excluded.budget_micros, budget_per = excluded.budget_per,
             external_ids = excluded.external_ids, attributes = excluded.attributes, created_at = excluded.created_at,
             changed_at = excluded.changed_at, created_by_source = excluded.created_by_source",
        document
    )
    .execute(conn)
    .await?;
    Ok(())
}
