//! Where rejected items are kept, and how much of them.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use event_store::rejections::RejectionRoom;
use platform::sealing::{SealError, SealingKey};
use thiserror::Error;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many batches are written at once. Others wait, so that rejected items take few of the connections that
/// everything else needs.
const WRITTEN_AT_ONCE: usize = 2;
/// The longest that an answer waits until its rejected items are kept.
pub(super) const KEPT_WITHIN: Duration = Duration::from_secs(5);

/// Where rejected items are kept. Clones share it.
#[derive(Debug, Clone)]
pub struct RejectionStore {
    room: RejectionRoom,
    key_file: Option<Arc<SealingKey>>,
    writers: Arc<Semaphore>,
}

impl RejectionStore {
    /// A store for so much of each workspace and day. With the key of a key file, the keys of days are sealed
    /// themselves.
    pub fn new(room: RejectionRoom, key_file: Option<Arc<SealingKey>>) -> Self {
        Self { room, key_file, writers: Arc::new(Semaphore::new(WRITTEN_AT_ONCE)) }
    }

    /// A place among those that write. It is given up when it is dropped.
    pub(super) async fn writer(&self) -> Result<SemaphorePermit<'_>, KeepError> {
        self.writers.acquire().await.map_err(|_closed| KeepError::TooLong)
    }

    pub(super) fn room(&self) -> RejectionRoom {
        self.room
    }

    pub(super) fn key_file(&self) -> Option<&SealingKey> {
        self.key_file.as_deref()
    }
}

impl Default for RejectionStore {
    fn default() -> Self {
        Self::new(RejectionRoom::default(), None)
    }
}

/// Why rejected items were not kept.
#[derive(Debug, Error)]
pub(super) enum KeepError {
    /// The database did not answer.
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    /// They could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The key of the day is sealed under another key file.
    #[error("the key of {day} is not sealed with this process's `rejections.key_file`")]
    OtherKeyFile {
        /// The day.
        day: NaiveDate,
    },
    /// It took too long.
    #[error("it took longer than {KEPT_WITHIN:?}")]
    TooLong,
}
