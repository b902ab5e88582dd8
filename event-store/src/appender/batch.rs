//! One call of `log.append`, and its outcomes.

use sqlx::PgConnection;

use super::AppendResult;
use super::columns::AppendColumns;
use super::fast_path::FastPathPlan;
use crate::append::AppendOutcome;
use crate::claims::{Claim, StoredClaim};
use crate::error::AppendError;
use crate::receipts::item_indices;
use crate::validated_request::ValidatedRequest;

/// Appends a batch in one round trip, which is one transaction.
pub(super) async fn append(
    connection: &mut PgConnection,
    requests: &[&ValidatedRequest],
) -> Result<Vec<AppendResult>, sqlx::Error> {
    let batch = AppendColumns::of(requests);
    let forecast = FastPathPlan::of(requests, &batch);
    let answers = call(connection, &batch, &forecast).await?;
    if let [AppendRow { head_positions: Some(heads), stream_versions: Some(streams), .. }] = answers.as_slice() {
        return forecast.answers(&batch, heads, streams).ok_or_else(unreadable);
    }
    if answers.len() != requests.len() {
        return Err(sqlx::Error::Protocol(format!("{} answers to {} requests", answers.len(), requests.len())));
    }
    requests.iter().zip(answers).map(|(request, answer)| answer.to(request)).collect()
}

async fn call(
    connection: &mut PgConnection,
    batch: &AppendColumns<'_>,
    forecast: &FastPathPlan,
) -> Result<Vec<AppendRow>, sqlx::Error> {
    sqlx::query_as!(
        AppendRow,
        r#"SELECT head_positions, stream_versions, outcome, reason, at_version, at_position, stored_response,
                  duplicate_items, conflicting_items, failed_use, found_owner, found_state
           FROM log.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                           $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38,
                           $39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53, $54, $55, $56,
                           $57, $58, $59, $60, $61, $62)"#,
        &batch.head_workspace,
        &batch.stream_head,
        &batch.stream_type as _,
        &batch.stream_id as _,
        &batch.receipt_head,
        &batch.receipt_key as _,
        &batch.receipt_day,
        &batch.claim_head,
        &batch.claim_kind as _,
        &batch.claim_key as _,
        &batch.request_stream,
        &batch.request_expected as _,
        &batch.request_events,
        &batch.request_uses,
        &batch.request_items,
        &batch.request_metadata as _,
        &batch.request_recorded_at,
        &batch.request_receipt as _,
        &batch.request_digest as _,
        &batch.request_response as _,
        &batch.event_type as _,
        &batch.event_version as _,
        &batch.event_payload as _,
        &batch.event_items,
        &batch.event_first_item,
        &batch.use_claim,
        &batch.use_expect as _,
        &batch.use_expect_owner as _,
        &batch.use_expect_state as _,
        &batch.use_then as _,
        &batch.use_owner as _,
        &batch.use_state as _,
        &batch.item_offset,
        &batch.item_length,
        &batch.key_head,
        &batch.key_day,
        &batch.key_id,
        &batch.key_fingerprint,
        &batch.key_request,
        &batch.key_item,
        &batch.key_event,
        &batch.key_needed,
        &batch.seen_head,
        &batch.seen_day,
        &batch.seen_id,
        &batch.seen_fingerprint,
        &batch.seen_request,
        forecast.is_eligible,
        &forecast.head_events,
        &forecast.head_recorded_at as _,
        &forecast.stream_expected as _,
        forecast.streams_are_new,
        &forecast.request_version,
        &forecast.request_position,
        &forecast.event_request,
        &forecast.event_sequence,
        &forecast.event_position,
        &batch.event_batch as _,
        &forecast.checked_uses,
        &forecast.taking_uses,
        &forecast.putting_uses,
        &forecast.removing_uses,
    )
    .fetch_all(connection)
    .await
}

struct AppendRow {
    head_positions: Option<Vec<i64>>,
    stream_versions: Option<Vec<i64>>,
    outcome: Option<String>,
    reason: Option<String>,
    at_version: Option<i64>,
    at_position: Option<i64>,
    stored_response: Option<String>,
    duplicate_items: Option<Vec<i32>>,
    conflicting_items: Option<Vec<i32>>,
    failed_use: Option<i32>,
    found_owner: Option<String>,
    found_state: Option<String>,
}

impl AppendRow {
    fn to(self, request: &ValidatedRequest) -> Result<AppendResult, sqlx::Error> {
        Ok(match (self.outcome.as_deref(), self.reason.as_deref()) {
            (Some("ok" | "duplicate"), _) => Ok(self.appended()?),
            (_, Some("workspace")) => Err(AppendError::Invalid(format!("there is no workspace {}", request.workspace))),
            (_, Some("receipt")) => Err(AppendError::ReceiptMismatch),
            (_, Some("version")) => Err(AppendError::Version { actual: self.at_version.ok_or_else(unreadable)? }),
            (_, Some("item")) => Err(AppendError::Item),
            (_, Some("claim")) => Err(self.failed_claim(request)?),
            _ => return Err(unreadable()),
        })
    }

    fn appended(self) -> Result<AppendOutcome, sqlx::Error> {
        Ok(AppendOutcome {
            version: self.at_version.ok_or_else(unreadable)?,
            position: self.at_position.ok_or_else(unreadable)?,
            recorded_at: None,
            replayed: self.outcome.as_deref() == Some("duplicate"),
            response: self.stored_response,
            duplicates: item_indices(self.duplicate_items.unwrap_or_default()),
            conflicts: item_indices(self.conflicting_items.unwrap_or_default()),
        })
    }

    fn failed_claim(self, request: &ValidatedRequest) -> Result<AppendError, sqlx::Error> {
        let failed = self.failed_use.and_then(|n| usize::try_from(n - 1).ok()).and_then(|n| request.claims.get(n));
        let Claim { kind, key, .. } = failed.ok_or_else(unreadable)?;
        let found = self
            .found_owner
            .zip(self.found_state)
            .map(|(owner, state)| Box::new(StoredClaim { kind: (*kind).to_owned(), key: key.clone(), owner, state }));
        Ok(AppendError::Claim { kind, key: key.clone(), found })
    }
}

fn unreadable() -> sqlx::Error {
    sqlx::Error::Protocol("log.append answered what this program does not know".to_owned())
}
