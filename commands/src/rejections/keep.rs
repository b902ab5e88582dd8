//! Keeping what a batch rejected, after its append.

use std::collections::HashMap;
use std::error::Error;

use domain::item::ItemErrorCode;
use event_store::rejections::{NewRejection, NewRejections, keep_rejections};

use super::content::{ItemForm, RejectedContent};
use super::keys::place;
use super::store::{KEPT_WITHIN, KeepError};
use crate::Commands;
use crate::batch_result::{ItemResult, ItemStatus};
use crate::context::CommandContext;
use crate::ids;

/// The longest text that is kept of an item: as long as a line may be.
const MAX_TEXT: usize = 64 << 10;

/// The items of a batch as they were sent.
#[derive(Debug, Clone)]
pub struct SentItems<'a> {
    /// The source's name.
    pub source: &'a str,
    /// How they were sent.
    pub form: ItemForm,
    /// Whether the answer is one that was given before.
    pub is_repeated: bool,
}

impl Commands {
    /// Keeps the items that a batch rejected, and returns how many are kept. `text_of` gives an item's text. It never
    /// fails: the batch is recorded, whatever becomes of these.
    pub async fn keep_rejected<'a>(
        &self,
        context: &CommandContext,
        sent: &SentItems<'_>,
        results: &[ItemResult],
        text_of: impl Fn(usize) -> Option<&'a [u8]>,
    ) -> usize {
        let rejected: Vec<(&ItemResult, ItemErrorCode)> = results
            .iter()
            .filter(|result| result.status == ItemStatus::Rejected)
            .filter_map(|result| Some((result, result.reason?)))
            .collect();
        if rejected.is_empty() {
            return 0;
        }
        let kept = tokio::time::timeout(KEPT_WITHIN, self.try_to_keep(context, sent, &rejected, text_of));
        let kept = kept.await.unwrap_or(Err(KeepError::TooLong)).unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn Error, source = sent.source, "rejected items were not kept");
            vec![false; rejected.len()]
        });
        if !sent.is_repeated {
            count(context, sent.source, rejected.iter().map(|(_, reason)| *reason).zip(kept.iter().copied()));
        }
        kept.into_iter().filter(|kept| *kept).count()
    }

    /// Keeps items, and tells for each whether it is kept.
    async fn try_to_keep<'a>(
        &self,
        context: &CommandContext,
        sent: &SentItems<'_>,
        rejected: &[(&ItemResult, ItemErrorCode)],
        text_of: impl Fn(usize) -> Option<&'a [u8]>,
    ) -> Result<Vec<bool>, KeepError> {
        let _writer = self.rejections.writer().await?;
        let (workspace, received_at) = (context.workspace().0, context.received_at);
        let day = received_at.date_naive();
        let key = self.rejections.key_of(&self.pool, day).await?;
        let form = serde_json::to_vec(&sent.form).unwrap_or_default();
        let mut items = Vec::with_capacity(rejected.len());
        // An item that is in the batch twice is kept once.
        let mut places: HashMap<[u8; 32], usize> = HashMap::new();
        let mut place_of = Vec::with_capacity(rejected.len());
        for (result, reason) in rejected {
            let id = ids::item_id(received_at, result.index);
            let text = text_of(result.index).filter(|text| text.len() <= MAX_TEXT);
            // Items without a text cannot be told apart.
            let digest = match text {
                Some(text) => key.digest(&[sent.source.as_bytes(), &form, text]),
                None => key.digest(&[id.as_bytes()]),
            };
            let next = items.len();
            let index = *places.entry(digest).or_insert(next);
            place_of.push(index);
            if index == next {
                let content = RejectedContent::new(sent.form.clone(), result, text);
                let content = content.encode().unwrap_or_default();
                let sealed = key.seal(&place(workspace, day, sent.source, &digest), &content)?;
                items.push(NewRejection { id, digest, reason: reason.name(), sealed });
            }
        }
        let (source, is_repeated, room) = (sent.source, sent.is_repeated, self.rejections.room());
        let new = NewRejections { workspace, source, received_at, is_repeated, room, items };
        let kept = keep_rejections(&self.pool, &new).await?;
        Ok(place_of.into_iter().map(|index| kept.get(index).copied().unwrap_or_default()).collect())
    }
}

/// Counts rejected items in the metrics.
fn count(context: &CommandContext, source: &str, rejected: impl Iterator<Item = (ItemErrorCode, bool)>) {
    let mut counts: HashMap<(ItemErrorCode, bool), u64> = HashMap::new();
    for one in rejected {
        *counts.entry(one).or_default() += 1;
    }
    for ((reason, kept), items) in counts {
        metrics::counter!(
            "highwater_rejected_items_total",
            "workspace" => context.workspace().0.to_string(),
            "source" => source.to_owned(),
            "reason" => reason.name(),
            "kept" => if kept { "true" } else { "false" },
        )
        .increment(items);
    }
}
