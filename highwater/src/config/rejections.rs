//! The section of rejected items.

use std::path::PathBuf;
use std::sync::Arc;

use commands::rejections::RejectionRoom;
use platform::config::{ConfigError, within};
use platform::sealing::{KeyFileError, SealingKey};
use serde::Deserialize;

/// What is kept of rejected items.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RejectionsConfig {
    /// The most items of one workspace and day.
    pub max_items_per_day: u32,
    /// The most bytes of one workspace and day.
    pub max_bytes_per_day: u64,
    /// A file with the key that the keys of days are sealed with.
    pub key_file: Option<PathBuf>,
}

impl Default for RejectionsConfig {
    fn default() -> Self {
        let RejectionRoom { items, bytes } = RejectionRoom::default();
        Self { max_items_per_day: items, max_bytes_per_day: bytes, key_file: None }
    }
}

impl RejectionsConfig {
    /// How much is kept of one workspace and day.
    pub fn room(&self) -> RejectionRoom {
        RejectionRoom { items: self.max_items_per_day, bytes: self.max_bytes_per_day }
    }

    /// Rejects limits that no workspace needs.
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        within("rejections.max_items_per_day", self.max_items_per_day.into(), 0, 100_000_000)?;
        within("rejections.max_bytes_per_day", self.max_bytes_per_day, 0, 64 << 30)
    }

    /// Reads the key file, if there is one.
    pub fn key(&self) -> Result<Option<Arc<SealingKey>>, KeyFileError> {
        self.key_file.as_deref().map(SealingKey::read).transpose().map(|key| key.map(Arc::new))
    }
}
