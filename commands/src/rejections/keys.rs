//! The keys of days. A key stands beside what it seals; with a key file, it is sealed itself. No process remembers one,
//! so a deleted key is gone at once.

use std::collections::HashMap;

use chrono::NaiveDate;
use event_store::rejections::{StoredRejection, StoredRejectionKey, add_rejection_key, find_rejection_keys};
use platform::sealing::SealingKey;
use sqlx::PgPool;

use super::content::RejectedContent;
use super::store::{KeepError, RejectionStore};

/// The keys of the days of some items.
#[derive(Debug)]
pub(super) struct DayKeys(HashMap<NaiveDate, SealingKey>);

impl RejectionStore {
    /// The key of a day, which is made if there is none.
    pub(super) async fn key_of(&self, pool: &PgPool, day: NaiveDate) -> Result<SealingKey, KeepError> {
        if let Some(stored) = find_rejection_keys(pool, &[day]).await?.pop() {
            return self.unwrapped(&stored).ok_or(KeepError::OtherKeyFile { day });
        }
        let new = SealingKey::generate()?;
        let key = match self.key_file() {
            Some(outer) => outer.wrap(&place_of_key(day), &new)?,
            None => new.secret().to_owned(),
        };
        let wrapped = self.key_file().is_some();
        add_rejection_key(pool, &StoredRejectionKey { day, wrapped, key }).await?;
        // Another process may have been first.
        let stored = find_rejection_keys(pool, &[day]).await?.pop();
        stored.and_then(|stored| self.unwrapped(&stored)).ok_or(KeepError::OtherKeyFile { day })
    }

    /// The keys of the days of some items, as far as there are any.
    pub(super) async fn keys_of(&self, pool: &PgPool, found: &[StoredRejection]) -> Result<DayKeys, sqlx::Error> {
        let mut days: Vec<NaiveDate> = found.iter().map(|stored| stored.day).collect();
        days.sort_unstable();
        days.dedup();
        if days.is_empty() {
            return Ok(DayKeys(HashMap::new()));
        }
        let stored = find_rejection_keys(pool, &days).await?;
        Ok(DayKeys(stored.iter().filter_map(|key| Some((key.day, self.unwrapped(key)?))).collect()))
    }

    fn unwrapped(&self, stored: &StoredRejectionKey) -> Option<SealingKey> {
        if !stored.wrapped {
            return SealingKey::from_secret(&stored.key);
        }
        self.key_file()?.unwrap(&place_of_key(stored.day), &stored.key)
    }
}

impl DayKeys {
    /// What an item says. `None` if the key of its day is gone.
    pub(super) fn open(&self, workspace: i32, stored: &StoredRejection) -> Option<RejectedContent> {
        let place = place(workspace, stored.day, &stored.source, &stored.digest);
        RejectedContent::decode(&self.0.get(&stored.day)?.open(&place, &stored.sealed)?)
    }

    /// Its content, sealed again. `None` if the key of its day is gone.
    pub(super) fn seal(&self, workspace: i32, stored: &StoredRejection, content: &RejectedContent) -> Option<Vec<u8>> {
        let place = place(workspace, stored.day, &stored.source, &stored.digest);
        self.0.get(&stored.day)?.seal(&place, &content.encode().ok()?).ok()
    }
}

/// What the content of an item is sealed for: it opens in no other row.
pub(super) fn place(workspace: i32, day: NaiveDate, source: &str, digest: &[u8]) -> String {
    format!("rejection {workspace} {day} {} {source}", hex::encode(digest))
}

fn place_of_key(day: NaiveDate) -> String {
    format!("key of rejections {day}")
}
