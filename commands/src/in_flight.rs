//! The idempotency keys in flight in this process. A second command under the same key is rejected meanwhile: it would
//! repeat the work of the first, only to find its receipt. In another process it does so, and the append finds the
//! receipt.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::CommandError;

/// A workspace and a key in it.
type Key = (i32, String);

/// The keys in flight. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlightKeys(Arc<Mutex<HashSet<Key>>>);

impl InFlightKeys {
    /// Registers a key. An error while another command under the same key is in flight, whatever its content.
    pub(crate) fn begin(&self, workspace: i32, key: Option<&str>) -> Result<InFlightGuard, CommandError> {
        let key = key.map(|key| (workspace, key.to_owned()));
        if let Some(key) = &key
            && !self.keys().insert(key.clone())
        {
            return Err(CommandError::InFlight);
        }
        Ok(InFlightGuard { keys: self.clone(), key })
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The registration of a key until it is dropped. By then there is a receipt, or nothing was done. After a caller
/// disconnects, the append may still run; it finds the receipt of the command that came first.
#[derive(Debug)]
#[must_use = "the key is free again when this is dropped"]
pub(crate) struct InFlightGuard {
    keys: InFlightKeys,
    key: Option<Key>,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.keys.keys().remove(key);
        }
    }
}
