//! Rejected items: kept for 30 days, so that they can be taken once the cause is gone.
//!
//! A batch is answered item by item, and those that were rejected are kept after its append, before the answer. That is
//! no acknowledgement: the append knows nothing of it, and whatever fails here changes the answer by a count alone.
//! What an item says is sealed, because one that could not be read may hold anything.

mod content; // what is sealed of an item
mod keep; // after the append
mod keys; // of the days
mod retry; // judged again, as of when it was received
mod store; // where they are kept

use chrono::{DateTime, TimeDelta, Utc};
use domain::item::ItemErrorCode;
use event_store::rejections::{
    REJECTIONS_KEPT_DAYS, RejectionFilter, RejectionPage, StoredRejection, count_not_kept, count_rejections,
    delete_rejection, delete_rejections, find_rejections,
};
use uuid::Uuid;

pub use event_store::rejections::{RejectionRoom, RejectionTotal};

pub use content::{ItemForm, RejectedContent};
pub use keep::SentItems;
pub use retry::{ReadItem, ReadItemAgain, RetryCounts};
pub use store::RejectionStore;

use crate::Commands;
use crate::context::CommandContext;
use crate::error::CommandError;

/// For how long a rejected item is kept.
const KEPT: TimeDelta = TimeDelta::days(REJECTIONS_KEPT_DAYS as i64);

/// Which rejected items are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RejectedItems {
    /// Of this source only.
    pub source: Option<String>,
    /// Rejected for this reason only.
    pub reason: Option<ItemErrorCode>,
    /// Received at this instant or later.
    pub since: Option<DateTime<Utc>>,
}

impl RejectedItems {
    /// The filter of a workspace, without what is kept no longer.
    fn filter(&self, context: &CommandContext) -> RejectionFilter<'_> {
        let oldest = context.received_at - KEPT;
        RejectionFilter {
            workspace: context.workspace().0,
            source: self.source.as_deref(),
            reason: self.reason.map(ItemErrorCode::name),
            since: self.since.map_or(oldest, |since| since.max(oldest)),
        }
    }
}

/// A rejected item that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its id.
    pub id: Uuid,
    /// The source's name.
    pub source: String,
    /// The code of the latest reason.
    pub reason: String,
    /// When it was received.
    pub received_at: DateTime<Utc>,
    /// Until when it is kept.
    pub expires_at: DateTime<Utc>,
    /// What it says; `None` if the key of its day is gone, or is another process's.
    pub content: Option<RejectedContent>,
}

/// A page of rejected items, with what is kept in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionList {
    /// The items, newest first.
    pub rejections: Vec<Rejection>,
    /// The last of them, if there are more.
    pub next: Option<Uuid>,
    /// How many items are meant, by source and reason.
    pub totals: Vec<RejectionTotal>,
    /// How many items of the workspace there was no room for.
    pub not_kept: i64,
}

impl Commands {
    /// A page of at most `most` rejected items, newest first, before the item `before`.
    pub async fn rejections(
        &self,
        context: &CommandContext,
        which: &RejectedItems,
        before: Option<Uuid>,
        most: u16,
    ) -> Result<RejectionList, CommandError> {
        let filter = which.filter(context);
        let mut found = find_rejections(&self.pool, filter, RejectionPage::Before(before), most + 1).await?;
        let has_more = found.len() > usize::from(most);
        found.truncate(most.into());
        let next = found.last().filter(|_| has_more).map(|last| last.id);
        let keys = self.rejections.keys_of(&self.pool, &found).await?;
        let shown = |stored: StoredRejection| {
            let content = keys.open(filter.workspace, &stored);
            let StoredRejection { id, source, reason, received_at, .. } = stored;
            Rejection { id, source, reason, received_at, expires_at: received_at + KEPT, content }
        };
        Ok(RejectionList {
            rejections: found.into_iter().map(shown).collect(),
            next,
            totals: count_rejections(&self.pool, filter).await?,
            not_kept: count_not_kept(&self.pool, filter.workspace, filter.since).await?,
        })
    }

    /// Deletes a rejected item.
    pub async fn delete_rejection(&self, context: &CommandContext, id: Uuid) -> Result<(), CommandError> {
        let deleted = delete_rejection(&self.pool, context.workspace().0, id).await?;
        if deleted { Ok(()) } else { Err(CommandError::NotFound) }
    }

    /// Deletes rejected items, and returns how many.
    pub async fn delete_rejections(
        &self,
        context: &CommandContext,
        which: &RejectedItems,
    ) -> Result<u64, CommandError> {
        Ok(delete_rejections(&self.pool, which.filter(context)).await?)
    }
}
