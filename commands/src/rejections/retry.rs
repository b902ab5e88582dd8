//! Rejected items that are judged again, once the cause is gone. An item is as old as when it was received, and a
//! statement was stated then; everything else is as it is now.
//!
//! Taking an item and noting that it was taken are two commits. Between them, its own id (an observation), its chunk
//! (of a backfill) or its content (a statement) makes another retry a duplicate. So it is counted once.

use chrono::{DateTime, Utc};
use domain::item::{ItemError, ItemErrorCode};
use domain::statement::BucketSpec;
use event_store::rejections::{
    RejectionPage, Rejudged, StoredRejection, find_rejection, find_rejections, settle_rejections,
};
use uuid::Uuid;

use super::content::{ItemForm, RejectedContent};
use super::{KEPT, RejectedItems};
use crate::Commands;
use crate::batch_result::{BatchResult, ItemResult, ItemStatus};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::ingest::{BackfillChunk, ObservationItem, StatementItem};
use crate::outcome::Completed;

/// How many items are read at once.
const PAGE: u16 = 200;
/// How many pages one command judges.
const PAGES: usize = 10;

/// An item that was read again.
#[derive(Debug)]
pub enum ReadItem {
    /// An observation.
    Observation(ObservationItem),
    /// A statement.
    Statement(StatementItem),
}

/// An item that was read again, with the name of its members in the form in which it was sent.
#[derive(Debug)]
pub struct ReadItemAgain {
    /// The item.
    pub item: ReadItem,
    /// The name of a member in that form.
    pub field_of: fn(&str) -> String,
}

/// What became of items that were judged again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryCounts {
    /// How many were recorded.
    pub accepted: usize,
    /// How many had been recorded before.
    pub duplicates: usize,
    /// How many were rejected again.
    pub rejected: usize,
    /// The last item that was judged, if there are more.
    pub next: Option<Uuid>,
}

/// A kept item that can be read.
struct KeptItem {
    stored: StoredRejection,
    content: RejectedContent,
}

impl Commands {
    /// Judges a rejected item again. `read` reads its text.
    pub async fn retry_rejection(
        &self,
        context: &CommandContext,
        id: Uuid,
        read: fn(&ItemForm, &[u8]) -> ReadItemAgain,
    ) -> Result<Completed<ItemResult>, CommandError> {
        let since = context.received_at - KEPT;
        let stored = find_rejection(&self.pool, context.workspace().0, id, since).await?;
        let stored = stored.ok_or(CommandError::NotFound)?;
        if stored.accepted_at.is_some() {
            return Ok(Completed::unchanged(ItemResult::accepted(0, None)));
        }
        let judged = self.judge_again(context, vec![stored], read).await?;
        let result = judged.value.first().cloned().ok_or(CommandError::NotFound)?;
        Ok(judged.map(|_| result))
    }

    /// Judges rejected items again, oldest first, after the item `after`. One command judges up to 2,000.
    pub async fn retry_rejections(
        &self,
        context: &CommandContext,
        which: &RejectedItems,
        mut after: Option<Uuid>,
        read: fn(&ItemForm, &[u8]) -> ReadItemAgain,
    ) -> Result<Completed<RetryCounts>, CommandError> {
        let mut done = Completed::unchanged(RetryCounts::default());
        for _ in 0..PAGES {
            let found = find_rejections(&self.pool, which.filter(context), RejectionPage::After(after), PAGE).await?;
            let is_last = found.len() < usize::from(PAGE);
            after = found.last().map(|last| last.id).or(after);
            let (results, page) = self.judge_again(context, found, read).await?.split();
            for result in results {
                match result.status {
                    ItemStatus::Accepted => done.value.accepted += 1,
                    ItemStatus::Duplicate => done.value.duplicates += 1,
                    ItemStatus::Conflict | ItemStatus::Rejected => done.value.rejected += 1,
                }
            }
            done = done.covering(&page);
            if is_last {
                return Ok(done);
            }
        }
        done.value.next = after;
        Ok(done)
    }

    /// Judges items again, and keeps the outcome. One that cannot be read stays as it is.
    async fn judge_again(
        &self,
        context: &CommandContext,
        found: Vec<StoredRejection>,
        read: fn(&ItemForm, &[u8]) -> ReadItemAgain,
    ) -> Result<Completed<Vec<ItemResult>>, CommandError> {
        let workspace = context.workspace().0;
        let keys = self.rejections.keys_of(&self.pool, &found).await?;
        let mut done = Completed::unchanged(Vec::with_capacity(found.len()));
        let mut groups: Vec<Vec<KeptItem>> = Vec::new();
        for stored in found {
            let content = keys.open(workspace, &stored).filter(|content| content.text.is_some());
            let Some(content) = content else {
                done.value.push(unreadable(&stored));
                continue;
            };
            let kept = KeptItem { stored, content };
            match groups.last_mut() {
                Some(group) if group.last().is_some_and(|last| last.is_of_batch(&kept)) => group.push(kept),
                _ => groups.push(vec![kept]),
            }
        }
        for group in groups {
            let (results, part) = self.judge_group(context, &group, read).await?.split();
            let mut outcomes = Vec::with_capacity(group.len());
            for (kept, result) in group.iter().zip(&results) {
                outcomes.extend(rejudged(kept, result, |content| keys.seal(workspace, &kept.stored, content)));
            }
            settle_rejections(&self.pool, workspace, &outcomes, context.received_at).await?;
            done.value.extend(results);
            done = done.covering(&part);
        }
        Ok(done)
    }

    /// Judges the items of one batch, in their order. Returns the result of each.
    async fn judge_group(
        &self,
        context: &CommandContext,
        group: &[KeptItem],
        read: fn(&ItemForm, &[u8]) -> ReadItemAgain,
    ) -> Result<Completed<Vec<ItemResult>>, CommandError> {
        let Some(first) = group.first() else { return Ok(Completed::unchanged(Vec::new())) };
        let source = &first.stored.source;
        let items_received_at = Some(first.stored.received_at);
        let context = CommandContext { items_received_at, idempotency: None, ..context.clone() };
        let (mut observations, mut statements, mut fields) = (Vec::new(), Vec::new(), Vec::new());
        for kept in group {
            let text = kept.content.text.as_deref().unwrap_or_default();
            let ReadItemAgain { item, field_of } = read(&kept.content.form, text);
            fields.push(field_of);
            match item {
                ReadItem::Observation(item) => observations.push(item),
                ReadItem::Statement(item) => statements.push(item),
            }
        }
        let recorded = match &first.content.form {
            ItemForm::Observation | ItemForm::CloudEvent => {
                self.record_observations(&context, source, &observations).await?
            }
            ItemForm::Backfill { name } => {
                let chunk = BackfillChunk {
                    name: name.clone(),
                    before: None,
                    number: 0,
                    digest: [0; 32],
                    retry_of: Some(first.stored.id),
                };
                self.record_backfill_chunk(&context, source, &chunk, &observations).await?
            }
            ItemForm::Statement { grain, time_zone, breakdown } => {
                let spec = BucketSpec { grain: *grain, zone: *time_zone };
                match self.record_statements(&context, source, spec, breakdown, &statements, None).await {
                    // The source declares these dimensions no longer. Other items are judged all the same.
                    Err(CommandError::Invalid { field, detail }) => {
                        let error = ItemError::at(ItemErrorCode::BadDimensions, field, detail);
                        let rejected = |index| ItemResult::rejected(index, None, error.clone());
                        return Ok(Completed::unchanged((0..group.len()).map(rejected).collect()));
                    }
                    recorded => recorded?,
                }
            }
        };
        Ok(recorded.map(|batch| results_of(batch, &fields)))
    }
}

impl KeptItem {
    /// Whether another item was sent with this one. Each item of a backfill is judged by itself, as a chunk of its own.
    fn is_of_batch(&self, other: &Self) -> bool {
        let batch = |kept: &Self| -> (String, DateTime<Utc>) { (kept.stored.source.clone(), kept.stored.received_at) };
        batch(self) == batch(other)
            && self.content.form == other.content.form
            && !matches!(self.content.form, ItemForm::Backfill { .. })
    }
}

/// The result of each item of a batch. A chunk that was recorded before tells its counts alone.
fn results_of(batch: BatchResult, fields: &[fn(&str) -> String]) -> Vec<ItemResult> {
    let mut results: Vec<ItemResult> = (0..fields.len()).map(|index| ItemResult::accepted(index, None)).collect();
    for mut result in batch.results {
        let Some(field_of) = fields.get(result.index) else { continue };
        result.field = result.field.map(|field| field_of(&field));
        let index = result.index;
        results[index] = result;
    }
    results
}

/// What becomes of a kept item by its result.
fn rejudged(
    kept: &KeptItem,
    result: &ItemResult,
    seal: impl FnOnce(&RejectedContent) -> Option<Vec<u8>>,
) -> Option<(Uuid, Rejudged)> {
    let id = kept.stored.id;
    match (result.status, result.reason) {
        (ItemStatus::Accepted | ItemStatus::Duplicate, _) => Some((id, Rejudged::Taken)),
        (ItemStatus::Conflict | ItemStatus::Rejected, Some(reason)) => {
            let sealed = seal(&kept.content.clone().judged(result))?;
            Some((id, Rejudged::Rejected { reason: reason.name(), sealed }))
        }
        (ItemStatus::Conflict | ItemStatus::Rejected, None) => None,
    }
}

/// The result of an item of which no text is kept.
fn unreadable(stored: &StoredRejection) -> ItemResult {
    let detail = "is not kept as it was sent, so it cannot be judged again: send it anew";
    ItemResult {
        index: 0,
        id: None,
        status: ItemStatus::Rejected,
        reason: serde_json::from_value(stored.reason.as_str().into()).ok(),
        field: None,
        detail: Some(detail.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use domain::item::{ItemError, ItemErrorCode};

    use super::*;

    fn kept(form: ItemForm, source: &str, second: i64) -> KeptItem {
        let stored = StoredRejection {
            id: Uuid::from_u128(1),
            day: NaiveDate::default(),
            source: source.to_owned(),
            digest: vec![1],
            reason: "too_old".to_owned(),
            received_at: DateTime::from_timestamp(second, 0).unwrap(),
            accepted_at: None,
            sealed: vec![2],
        };
        let content = RejectedContent { form, item_id: None, field: None, detail: None, text: Some(b"{}".to_vec()) };
        KeptItem { stored, content }
    }

    #[test]
    fn items_of_one_batch_are_judged_together() {
        let backfill = || ItemForm::Backfill { name: "old".parse().unwrap() };
        let one = kept(ItemForm::Observation, "shop", 1);
        assert!(one.is_of_batch(&kept(ItemForm::Observation, "shop", 1)));
        for other in [
            kept(ItemForm::Observation, "shop", 2),
            kept(ItemForm::Observation, "other", 1),
            kept(ItemForm::CloudEvent, "shop", 1),
        ] {
            assert!(!one.is_of_batch(&other));
        }
        assert!(!kept(backfill(), "shop", 1).is_of_batch(&kept(backfill(), "shop", 1)), "a chunk of its own");
    }

    #[test]
    fn an_item_stays_until_it_is_recorded() {
        let item = kept(ItemForm::Observation, "shop", 1);
        let judged =
            |result: &ItemResult, sealed: Option<Vec<u8>>| rejudged(&item, result, |_| sealed).map(|(_, one)| one);
        let with = |status, reason| ItemResult::with_reason(0, None, status, reason);
        let sealed = || Some(vec![7]);
        assert_eq!(judged(&ItemResult::accepted(0, None), None), Some(Rejudged::Taken));
        let duplicate = with(ItemStatus::Duplicate, ItemErrorCode::AlreadyRecorded);
        assert_eq!(judged(&duplicate, None), Some(Rejudged::Taken));
        let conflict = with(ItemStatus::Conflict, ItemErrorCode::OtherContent);
        let stays = |reason| Some(Rejudged::Rejected { reason, sealed: vec![7] });
        assert_eq!(judged(&conflict, sealed()), stays("other_content"));
        let rejected = ItemResult::rejected(0, None, ItemError::at(ItemErrorCode::BadTime, "occurred_at", "is none"));
        assert_eq!(judged(&rejected, sealed()), stays("bad_time"));
        // Without a key it stays as it is.
        assert_eq!(judged(&rejected, None), None);
    }

    #[test]
    fn every_item_has_a_result_in_its_own_words() {
        let error = ItemError::at(ItemErrorCode::BadTime, "occurred_at", "is none");
        let results = vec![ItemResult::rejected(1, None, error)];
        let batch = BatchResult { accepted: 1, duplicates: 0, conflicts: 0, rejected: 1, retracted: 0, results };
        let in_events: fn(&str) -> String = |field| format!("data.{field}");
        let results = results_of(batch, &[in_events, in_events]);
        let told: Vec<_> = results.iter().map(|result| (result.status, result.field.as_deref())).collect();
        assert_eq!(told, [(ItemStatus::Accepted, None), (ItemStatus::Rejected, Some("data.occurred_at"))]);
    }
}
