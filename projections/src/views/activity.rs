//! `read.activity`: the changes of a campaign and their authors, including what corrections did to its numbers.
//!
//! A row describes what one event did to one campaign, and its key is the event's position. So nothing is combined.
//! Observations, statements and the syncs of sources are left out: they would drown everything else, and the numbers
//! and their freshness show them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::campaign::CampaignEvent;
use domain::event::Event;
use domain::ids::CampaignId;
use domain::measure::Measure;
use domain::observation::ObservationsRecorded;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::observed::observed_campaign;
use crate::engine::{ApplyError, EventEnvelope, View, WriteError, downcast};

/// The columns of the rows, all of the same length.
#[derive(Debug, Default)]
pub(super) struct Activity {
    workspaces: Vec<i32>,
    campaigns: Vec<Uuid>,
    positions: Vec<i64>,
    kinds: Vec<String>,
    recorded: Vec<DateTime<Utc>>,
    sources: Vec<Option<Uuid>>,
    actor_kinds: Vec<Option<&'static str>>,
    actor_ids: Vec<Option<String>>,
    correlations: Vec<Option<String>>,
    causations: Vec<Option<String>>,
    traceparents: Vec<Option<String>>,
    reasons: Vec<Option<String>>,
    note_urls: Vec<Option<String>>,
    to_values: Vec<String>,
}

/// The corrections of one event in one campaign.
#[derive(Debug, Default)]
struct Corrected {
    /// Their number, by type.
    corrections: BTreeMap<&'static str, i64>,
    /// Their changes of measures.
    changes: BTreeMap<Measure, i128>,
}

impl View for Activity {
    fn apply(&mut self, recorded: &EventEnvelope<'_>) -> Result<(), ApplyError> {
        match &recorded.event {
            Event::Campaign(event) => {
                let to_values = Value::Object(to_values(event));
                self.push(recorded, recorded.campaign()?, (kind(event), None), &to_values);
            }
            Event::Observations(batch) => {
                for (campaign, did) in corrected(batch)? {
                    // As text: no number of JSON holds an i128 for sure.
                    let changes: BTreeMap<_, _> =
                        did.changes.iter().map(|(measure, change)| (measure, change.to_string())).collect();
                    let mut to_values = json!({"corrections": did.corrections, "changes": changes});
                    // Of the source's first series it is the source's.
                    if batch.series.is_some() {
                        to_values["currency"] = batch.currency.to_string().into();
                    }
                    self.push(recorded, campaign, ("corrected", Some(batch.source.0)), &to_values);
                }
            }
            Event::Workspace(_) | Event::Source(_) | Event::Statements(_) | Event::Sync(_) => {}
        }
        Ok(())
    }

    fn merge(&mut self, later: Box<dyn View>) {
        let later = downcast::<Self>(later);
        self.workspaces.extend(later.workspaces);
        self.campaigns.extend(later.campaigns);
        self.positions.extend(later.positions);
        self.kinds.extend(later.kinds);
        self.recorded.extend(later.recorded);
        self.sources.extend(later.sources);
        self.actor_kinds.extend(later.actor_kinds);
        self.actor_ids.extend(later.actor_ids);
        self.correlations.extend(later.correlations);
        self.causations.extend(later.causations);
        self.traceparents.extend(later.traceparents);
        self.reasons.extend(later.reasons);
        self.note_urls.extend(later.note_urls);
        self.to_values.extend(later.to_values);
    }

    fn pending_rows(&self) -> usize {
        self.workspaces.len()
    }

    fn flush<'a>(&'a self, epoch: i32, conn: &'a mut PgConnection) -> BoxFuture<'a, Result<(), WriteError>> {
        Box::pin(async move {
            if self.workspaces.is_empty() {
                return Ok(());
            }
            sqlx::query!(
                "INSERT INTO read.activity (epoch, workspace, campaign_id, position, kind, recorded_at, source_id,
                                            actor_kind, actor_id, correlation_id, causation_id, traceparent, reason,
                                            note_url, to_values)
                 SELECT $1, a.workspace, a.campaign_id, a.position, a.kind, a.recorded_at, a.source_id, a.actor_kind,
                        a.actor_id, a.correlation_id, a.causation_id, a.traceparent, a.reason, a.note_url,
                        a.to_values::json
                 FROM unnest($2::integer[], $3::uuid[], $4::bigint[], $5::text[], $6::timestamptz[], $7::uuid[],
                             $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
                             $15::text[])
                      AS a (workspace, campaign_id, position, kind, recorded_at, source_id, actor_kind, actor_id,
                            correlation_id, causation_id, traceparent, reason, note_url, to_values)",
                epoch,
                &self.workspaces,
                &self.campaigns,
                &self.positions,
                &self.kinds,
                &self.recorded,
                &self.sources as _,
                &self.actor_kinds as _,
                &self.actor_ids as _,
                &self.correlations as _,
                &self.causations as _,
                &self.traceparents as _,
                &self.reasons as _,
                &self.note_urls as _,
                &self.to_values,
            )
            .execute(conn)
            .await?;
            Ok(())
        })
    }
}

impl Activity {
    fn push(
        &mut self,
        recorded: &EventEnvelope<'_>,
        campaign: CampaignId,
        (kind, source): (&str, Option<Uuid>),
        to_values: &Value,
    ) {
        let said = recorded.metadata();
        self.workspaces.push(recorded.workspace);
        self.campaigns.push(campaign.0);
        self.positions.push(recorded.position);
        self.kinds.push(kind.to_owned());
        self.recorded.push(recorded.recorded_at);
        self.sources.push(source);
        self.actor_kinds.push(said.actor.as_ref().map(|actor| actor.kind.name()));
        self.actor_ids.push(said.actor.map(|actor| actor.id.to_string()));
        self.correlations.push(said.correlation_id);
        self.causations.push(said.causation_id);
        self.traceparents.push(said.traceparent);
        self.reasons.push(said.reason);
        self.note_urls.push(said.note_url);
        self.to_values.push(to_values.to_string());
    }
}

/// The kind of change, as the API names it.
fn kind(event: &CampaignEvent) -> &'static str {
    match event {
        CampaignEvent::CampaignCreated { .. } => "created",
        CampaignEvent::CampaignRenamed { .. } => "renamed",
        CampaignEvent::CampaignRescheduled { .. } => "rescheduled",
        CampaignEvent::CampaignTimeZoneChanged { .. } => "time_zone_changed",
        CampaignEvent::CampaignCurrencyChanged { .. } => "currency_changed",
        CampaignEvent::CampaignChannelsSet { .. } => "channels_changed",
        CampaignEvent::CampaignBudgetSet { .. } => "budget_changed",
        CampaignEvent::CampaignExternalIdsSet { .. } => "external_ids_changed",
        CampaignEvent::CampaignAttributesSet { .. } => "attributes_changed",
        CampaignEvent::CampaignLaunched { .. } => "launched",
        CampaignEvent::CampaignPaused { .. } => "paused",
        CampaignEvent::CampaignResumed { .. } => "resumed",
        CampaignEvent::CampaignCompleted { .. } => "completed",
        CampaignEvent::CampaignArchived { .. } => "archived",
        CampaignEvent::CampaignUnarchived { .. } => "unarchived",
    }
}

/// The new values of the campaign's fields: the event's own members, except its subject, its time and what the row's
/// kind already says.
fn to_values(event: &CampaignEvent) -> Map<String, Value> {
    // The variant's name, with its members.
    let Ok(Value::Object(named)) = serde_json::to_value(event) else { return Map::new() };
    let Some(Value::Object(mut members)) = named.into_iter().next().map(|(_, members)| members) else {
        return Map::new();
    };
    members.retain(|name, _| !matches!(name.as_str(), "campaign" | "at" | "state"));
    members
}

fn corrected(batch: &ObservationsRecorded) -> Result<BTreeMap<CampaignId, Corrected>, ApplyError> {
    let mut campaigns: BTreeMap<CampaignId, Corrected> = BTreeMap::new();
    for observation in batch.observations.iter().filter(|observation| observation.correction.is_some()) {
        let did = campaigns.entry(observed_campaign(batch, observation)?).or_default();
        *did.corrections.entry(observation.kind.name()).or_default() += 1;
        for (measure, change) in observation.increments() {
            *did.changes.entry(measure).or_default() += i128::from(change);
        }
    }
    Ok(campaigns)
}
