//! The locks on a data directory. The system releases both, however their holders end. The process that runs the server
//! holds `highwater.lock`. Processes that only connect to it share `highwater.guests`.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::error::LocalPostgresError;

/// How often to try a lock that is taken.
pub(super) const POLL: Duration = Duration::from_millis(50);

/// The lock of the process that runs the server.
pub(super) fn lock_owner(root: &Path) -> Result<File, LocalPostgresError> {
    try_lock(&root.join("highwater.lock"), File::try_lock)?
        .ok_or_else(|| LocalPostgresError::InUse { data_dir: root.to_owned() })
}

/// The lock of a process that connects to the server of another process. `None` while the owner excludes guests.
pub(super) fn try_lock_guest(root: &Path) -> Result<Option<File>, LocalPostgresError> {
    try_lock(&root.join("highwater.guests"), File::try_lock_shared)
}

/// Excludes guests while the lock is held. `None` while there are guests.
pub(super) fn try_lock_out_guests(root: &Path) -> Result<Option<File>, LocalPostgresError> {
    try_lock(&root.join("highwater.guests"), File::try_lock)
}

/// Waits until there are no guests, and excludes new ones while the lock is held.
pub(super) async fn lock_out_guests(root: &Path, within: Duration) -> Result<File, LocalPostgresError> {
    let started = Instant::now();
    loop {
        match try_lock_out_guests(root)? {
            Some(lock) => return Ok(lock),
            None if started.elapsed() >= within => return Err(LocalPostgresError::InUse { data_dir: root.to_owned() }),
            None => sleep(POLL).await,
        }
    }
}

fn try_lock(
    path: &Path,
    lock: impl FnOnce(&File) -> Result<(), TryLockError>,
) -> Result<Option<File>, LocalPostgresError> {
    let file = open(path).map_err(|source| LocalPostgresError::File { what: "open", path: path.to_owned(), source })?;
    match lock(&file) {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => {
            Err(LocalPostgresError::File { what: "lock", path: path.to_owned(), source })
        }
    }
}

/// The file may belong to another user; reading is enough for a lock.
fn open(path: &Path) -> io::Result<File> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            File::options().create(true).truncate(false).write(true).open(path)
        }
        found => found,
    }
}
