//! Which keys are being carried out in this process. A twin that comes meanwhile is told to come again: it would do all
//! the work of the first, only to find its receipt. Twins in other processes do find it, in the append.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::command::CommandContext;
use crate::error::CommandError;

/// A key belongs to its workspace.
type Key = (i32, String);

/// The keys that are being carried out. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<Key>>>);

impl InFlight {
    /// Begins to carry out a command. Refused while another one under the same key is, whatever it says.
    pub(crate) fn begin(&self, caller: &CommandContext) -> Result<InFlightGuard, CommandError> {
        let key = caller.key().map(|key| (caller.principal.workspace, key.to_owned()));
        if let Some(key) = &key
            && !self.keys().insert(key.clone())
        {
            return Err(CommandError::InFlight);
        }
        Ok(InFlightGuard { among: self.clone(), key })
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A command's time to be carried out, over when it is dropped. By then there is a receipt, or nothing was done; if its
/// caller went away meanwhile, the append may still be under way, and finds the receipt of whichever came first.
#[derive(Debug)]
#[must_use = "the key is free again when this is dropped"]
pub(crate) struct InFlightGuard {
    among: InFlight,
    key: Option<Key>,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.among.keys().remove(key);
        }
    }
}
