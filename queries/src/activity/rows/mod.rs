//! The entries of a campaign's activity, from their tables.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::campaign::Budget;
use domain::measure::Measure;
use domain::money::Currency;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::{ActivityEntry, Actor, FieldChange};
use crate::campaign::BudgetBody;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::paging::PageRequest;
use crate::report::value::Value;

/// The position of the last entry. Nothing else changes the feed: keys and sources keep their names.
pub(super) async fn last_position(snapshot: &mut Snapshot, campaign: Uuid) -> Result<i64, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let position = sqlx::query_scalar!(
        r#"SELECT greatest(
               0,
               (SELECT max(position) FROM read.activity WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3),
               (SELECT max(position) FROM read.campaign_sources
                WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3)
           ) AS "position!""#,
        epoch,
        workspace,
        campaign,
    )
    .fetch_one(snapshot.db())
    .await?;
    Ok(position)
}

/// An entry as the tables have it.
pub(super) struct ActivityRow {
    position: i64,
    kind: String,
    recorded_at: DateTime<Utc>,
    source: Option<String>,
    currency: Option<String>,
    actor_kind: Option<String>,
    actor_id: Option<String>,
    actor_name: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    traceparent: Option<String>,
    reason: Option<String>,
    note_url: Option<String>,
    to_values: sqlx::types::Json<Map<String, Json>>,
    /// The values that the row before it set of the same fields.
    from_values: Option<sqlx::types::Json<Map<String, Json>>>,
}

/// The sort key of a row: position, kind. The newest is first.
type Key = (i64, String);

/// The effect of the corrections of one event.
#[derive(Debug, Default, Deserialize)]
struct CorrectionSummary {
    corrections: BTreeMap<String, i64>,
    changes: BTreeMap<Measure, String>,
    /// Theirs, where it is not that of the source's first series.
    #[serde(default)]
    currency: Option<Currency>,
}

impl ActivityRow {
    fn key(&self) -> Key {
        (self.position, self.kind.clone())
    }

    pub(super) fn into_entry(self) -> Result<ActivityEntry, ReadError> {
        let mut to_values = self.to_values.0;
        let corrected = if self.kind == "corrected" {
            let summary = Json::Object(std::mem::take(&mut to_values));
            serde_json::from_value(summary).map_err(ReadError::corrupt)?
        } else {
            CorrectionSummary::default()
        };
        let of_source = self.currency.as_deref().map(str::parse).transpose().map_err(ReadError::corrupt)?;
        let currency: Option<Currency> = corrected.currency.or(of_source);
        let mut added = BTreeMap::new();
        for (measure, change) in corrected.changes {
            let change = change.parse().map_err(ReadError::corrupt)?;
            added.insert(measure.name(), currency.map_or(Value::Null, |one| Value::of(measure, change, one)));
        }
        Ok(ActivityEntry {
            recorded_at: self.recorded_at,
            position: self.position,
            actor: self.actor_kind.zip(self.actor_id).map(|(kind, id)| Actor { kind, id, name: self.actor_name }),
            reason: self.reason,
            note_url: self.note_url,
            source: self.source,
            changes: changes(to_values, self.from_values.map(|before| before.0)),
            corrections: corrected.corrections,
            added,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            request_id: self.traceparent.as_deref().and_then(request_id),
            kind: self.kind,
        })
    }
}

/// The fields that changed, before and after. A field that was set to the same value has not changed.
fn changes(to: Map<String, Json>, from: Option<Map<String, Json>>) -> BTreeMap<String, FieldChange> {
    let mut before = from.unwrap_or_default();
    let changes = to.into_iter().map(|(field, to)| {
        let from = before.remove(&field).unwrap_or_default();
        let change = FieldChange { from: shown(&field, from), to: shown(&field, to) };
        (field, change)
    });
    changes.filter(|(_, change)| change.from != change.to).collect()
}

/// The value of a field as the rest of the API writes it.
fn shown(field: &str, value: Json) -> Json {
    if field != "budget" {
        return value;
    }
    // A value that is no budget is shown as it was recorded.
    match serde_json::from_value::<Option<Budget>>(value.clone()) {
        Ok(budget) => json!(budget.map(BudgetBody::from)),
        Err(_) => value,
    }
}

/// The id of a request: its trace and span, as `traceparent` has them: `00-<trace>-<span>-<flags>`.
fn request_id(traceparent: &str) -> Option<String> {
    let (_, rest) = traceparent.split_once('-')?;
    rest.rsplit_once('-').map(|(id, _)| id.to_owned())
}

/// The page's rows, and the cursor behind its last one.
pub(super) async fn page(
    snapshot: &mut Snapshot,
    campaign: Uuid,
    page: PageRequest<'_>,
) -> Result<(Vec<ActivityRow>, Option<String>), ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let (before_position, before_kind): Key = page.after()?.unwrap_or((i64::MAX, String::new()));
    let rows = sqlx::query_as!(
        ActivityRow,
        r#"WITH happened AS (
               (SELECT a.position, a.kind, a.recorded_at, a.source_id, a.actor_kind, a.actor_id, a.correlation_id,
                       a.causation_id, a.traceparent, a.reason, a.note_url, a.to_values
                FROM read.activity a
                WHERE a.epoch = $1 AND a.workspace = $2 AND a.campaign_id = $3 AND (a.position, a.kind) < ($4, $5)
                ORDER BY a.position DESC, a.kind DESC LIMIT $6)
               UNION ALL
               (SELECT f.position, 'first_data_received', log.recorded_at_of($2, f.position), f.source_id,
                       NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}'
                FROM read.campaign_sources f
                WHERE f.epoch = $1 AND f.workspace = $2 AND f.campaign_id = $3
                  AND (f.position, 'first_data_received') < ($4, $5)
                ORDER BY f.position DESC LIMIT $6)
           )
           SELECT h.position AS "position!", h.kind AS "kind!", h.recorded_at AS "recorded_at!", s.name AS "source?",
                  s.currency AS "currency?", h.actor_kind, h.actor_id, k.name AS "actor_name?", h.correlation_id,
                  h.causation_id, h.traceparent, h.reason, h.note_url, h.to_values AS "to_values!: _",
                  coalesce(same.to_values, made.to_values) AS "from_values: _"
           FROM happened h
           LEFT JOIN read.sources s ON s.epoch = $1 AND s.workspace = $2 AND s.source_id = h.source_id
           LEFT JOIN auth.keys k ON h.actor_kind = 'key' AND k.workspace = $2 AND k.key_id::text = h.actor_id
           LEFT JOIN LATERAL (
               SELECT b.to_values FROM read.activity b
               WHERE b.epoch = $1 AND b.workspace = $2 AND b.campaign_id = $3 AND b.kind = h.kind
                 AND b.position < h.position
               ORDER BY b.position DESC LIMIT 1
           ) same ON h.source_id IS NULL
           LEFT JOIN read.activity made
             ON made.epoch = $1 AND made.workspace = $2 AND made.campaign_id = $3 AND made.kind = 'created'
            AND h.source_id IS NULL AND made.position < h.position
           ORDER BY h.position DESC, h.kind DESC LIMIT $6"#,
        epoch,
        workspace,
        campaign,
        before_position,
        before_kind,
        page.fetch_limit(),
    )
    .fetch_all(snapshot.db())
    .await?;
    Ok(page.into_page(rows, ActivityRow::key))
}

#[cfg(test)]
mod tests;
