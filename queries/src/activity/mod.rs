//! The activity of one campaign: who did what to it, and when.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::campaign::CampaignQuery;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::fields::FieldErrors;
use crate::paging::{PageRequest, Paging};
use crate::parked::ResourceScope;
use crate::probe::{Probe, Validity};
use crate::report::lookups;
use crate::report::value::{NumberOrMoney, Value};
use crate::result::{ResultMeta, TypedResult};
use crate::version::Version;

mod rows; // entries from their tables

/// The model that activity is read from, as answers name it.
pub const MODEL: &str = "activity";

/// The requested activity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ActivityRequest {
    /// The campaign.
    pub id: Uuid,
    pub limit: Option<i64>,
    pub cursor: Option<String>,
}

/// An entry of a campaign's activity.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActivityEntry {
    /// `created`, `renamed`, `rescheduled`, `time_zone_changed`, `currency_changed`, `channels_changed`,
    /// `budget_changed`, `external_ids_changed`, `attributes_changed`, `launched`, `paused`, `resumed`, `completed`,
    /// `archived`, `unarchived`: what was decided. `corrected`: observations were corrected by one request.
    /// `first_data_received`: a source sent its first numbers.
    #[schema(example = "budget_changed")]
    pub kind: String,
    /// When it was recorded in the log.
    pub recorded_at: DateTime<Utc>,
    /// Its position in the log.
    pub position: i64,
    /// The actor. Null if the log has none.
    pub actor: Option<Actor>,
    /// Why, as the caller of the command said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "More stock than planned")]
    pub reason: Option<String>,
    /// Where more is written, as the caller of the command said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note_url: Option<String>,
    /// The source, by name, whose observations were corrected or whose numbers began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The changed fields, before and after.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(example = json!({
        "budget": {"from": null, "to": {"amount": "7000.000000", "currency": "EUR", "per": "total"}}
    }))]
    pub changes: BTreeMap<String, FieldChange>,
    /// How many observations were corrected, by type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(example = json!({"conversion": 2}))]
    pub corrections: BTreeMap<String, i64>,
    /// The change of each measure by the corrections.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, NumberOrMoney>,
             example = json!({"revenue": {"amount": "-9.900000", "currency": "EUR"}}))]
    pub added: BTreeMap<&'static str, Value>,
    /// The trace that it belongs to.
    pub correlation_id: Option<String>,
    /// The span that caused the request.
    pub causation_id: Option<String>,
    /// The request, as the command API named it in `Request-Id`.
    pub request_id: Option<String>,
}

/// Who acted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Actor {
    /// `key`: an API key. `user`: a person with a token. `system`: Highwater itself, or its operator.
    #[schema(example = "key")]
    pub kind: String,
    /// The id, unique within the kind.
    #[schema(example = "0195d2f4-0b7e-7a12-8d3c-5e1f2a9b7c40")]
    pub id: String,
    /// The name of the key. Null for other kinds, and if the key no longer exists.
    pub name: Option<String>,
}

/// A field before and after.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct FieldChange {
    /// The value before; null if there was none.
    pub from: Json,
    /// The value after; null if there is none.
    pub to: Json,
}

impl ActivityRequest {
    pub(crate) fn canonical(&self) -> Result<(CampaignQuery, Paging), ReadError> {
        let mut fields = FieldErrors::default();
        let paging = fields.paging(self.limit, self.cursor.as_deref());
        fields.finish((CampaignQuery { campaign_id: self.id }, paging)).map_err(ReadError::Query)
    }
}

impl ActivityEntry {
    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        /// A member of a map, with a small value.
        const MEMBER: usize = 64;
        let members = self.changes.len() * 4 + self.corrections.len() + self.added.len();
        let texts =
            [&self.source, &self.reason, &self.note_url, &self.correlation_id, &self.causation_id, &self.request_id];
        size_of::<Self>() + members * MEMBER + texts.into_iter().flatten().map(String::len).sum::<usize>()
    }
}

pub(crate) async fn probe(snapshot: &mut Snapshot, id: Uuid) -> Result<Option<Probe<()>>, ReadError> {
    if !lookups::exists(snapshot, id).await? {
        return Ok(None);
    }
    let last = rows::last_position(snapshot, id).await?;
    let version = snapshot.version(last, None).await?;
    let (epoch, validity) = (snapshot.epoch, Validity::Until(None));
    Ok(Some(Probe { epoch, version, validity, numbers: None, prepared: () }))
}

pub(crate) async fn load(
    snapshot: &mut Snapshot,
    id: Uuid,
    page: PageRequest<'_>,
    version: Version,
) -> Result<TypedResult<Vec<ActivityEntry>>, ReadError> {
    let (rows, next_cursor) = rows::page(snapshot, id, page).await?;
    let entries = rows.into_iter().map(rows::ActivityRow::into_entry).collect::<Result<_, _>>()?;
    let parked = snapshot.parked.warning(&ResourceScope::numbers([id]), |_| None);
    let meta = ResultMeta::of_snapshot(snapshot, MODEL, version, parked.into_iter().collect());
    Ok(TypedResult::page(meta, next_cursor, entries))
}
