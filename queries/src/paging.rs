//! Paging: the requested page of a list, and the cursor where it ends. A cursor is opaque to clients, and bound to
//! the query, the workspace, the caller's access, the epoch and the history of the log.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::NaiveDate;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::ReadError;
use crate::fields::FieldErrors;
use crate::version::{RecordedEvent, Version, VersionKey};

/// The most rows of a page.
const MAX_LIMIT: usize = 1_000;
/// The default number of rows of a page.
const DEFAULT_LIMIT: usize = 100;
/// The content of a cursor. `hash` is that of the canonical query, which begins with the caller's access.
#[derive(Serialize, Deserialize)]
struct Cursor<K> {
    #[serde(rename = "h")]
    hash: String,
    #[serde(rename = "e")]
    epoch: i32,
    /// The version of the first page.
    #[serde(rename = "v")]
    first: VersionKey,
    /// The days of the first page, if the query names them by where they lie from today.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    dates: Option<(NaiveDate, NaiveDate)>,
    /// The sort key of the page's last row: the next page begins behind it, whatever was added meanwhile.
    #[serde(rename = "k")]
    after: K,
}

/// The requested page of a query, as the caller names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Paging {
    pub limit: usize,
    pub cursor: Option<String>,
}

/// The requested page of a list, with what its cursor must match.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageRequest<'a> {
    pub limit: usize,
    pub cursor: Option<&'a str>,
    pub hash: &'a str,
    /// The epoch of the rows.
    pub epoch: i32,
    /// The version of the list as it is read now.
    pub version: Version,
    /// The days that its cursor keeps.
    pub dates: Option<(NaiveDate, NaiveDate)>,
}

impl Paging {
    /// The days that its cursor keeps. What is wrong with the cursor shows when the page is read.
    pub(crate) fn dates(&self) -> Option<(NaiveDate, NaiveDate)> {
        decode(self.cursor.as_deref()?)?.dates
    }
}

impl PageRequest<'_> {
    /// The last event of the list as its first page showed it, which the log must still hold. `None` of a first page.
    pub(crate) fn first_page_event(self) -> Result<Option<RecordedEvent>, ReadError> {
        let Some(text) = self.cursor else { return Ok(None) };
        Ok(Some(self.own_cursor(text)?.first.event()))
    }

    /// Whether the list may have changed since its first page. `None` of a first page.
    pub(crate) fn moved(self) -> Option<bool> {
        Some(decode(self.cursor?)?.first != self.version.key())
    }

    /// The cursor, if it is one of this query and epoch.
    fn own_cursor(self, text: &str) -> Result<Cursor<serde_json::Value>, ReadError> {
        let cursor = decode(text).ok_or(ReadError::CursorMalformed)?;
        if cursor.hash != self.hash {
            return Err(ReadError::CursorMismatch);
        }
        if cursor.epoch != self.epoch {
            return Err(ReadError::CursorExpired);
        }
        Ok(cursor)
    }

    /// The sort key behind which it begins; `None` where the list does.
    pub(crate) fn after<K: DeserializeOwned>(self) -> Result<Option<K>, ReadError> {
        let Some(text) = self.cursor else { return Ok(None) };
        let cursor = self.own_cursor(text)?;
        // A forged cursor may hold a NUL, which the database rejects.
        if has_nul(&cursor.after) {
            return Err(ReadError::CursorMalformed);
        }
        serde_json::from_value(cursor.after).map(Some).map_err(|_| ReadError::CursorMalformed)
    }

    /// How many rows to fetch: one more than the page holds shows whether another page follows.
    pub(crate) fn fetch_limit(self) -> i64 {
        i64::try_from(self.limit + 1).unwrap_or(i64::MAX)
    }

    /// Cuts the fetched rows to the page. With the cursor behind its last row, if more rows follow.
    pub(crate) fn into_page<R, K: Serialize>(
        self,
        mut rows: Vec<R>,
        key: impl Fn(&R) -> K,
    ) -> (Vec<R>, Option<String>) {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| self.cursor_after(key(last)));
        (rows, next_cursor)
    }

    /// The cursor behind the row with this sort key.
    fn cursor_after<K: Serialize>(self, after: K) -> String {
        let PageRequest { hash, epoch, dates, version, .. } = self;
        let first = self.cursor.and_then(decode).map_or_else(|| version.key(), |cursor| cursor.first);
        let cursor = Cursor { hash: hash.to_owned(), epoch, first, dates, after };
        // Sort keys are strings and numbers, which always have a JSON form.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
    }
}

impl FieldErrors {
    /// The requested page, or the errors of its parameters.
    pub(crate) fn paging(&mut self, limit: Option<i64>, cursor: Option<&str>) -> Paging {
        let limit = match limit {
            None => DEFAULT_LIMIT,
            Some(limit) => {
                usize::try_from(limit).ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).unwrap_or_else(|| {
                    self.push("limit", format_args!("must lie between 1 and {MAX_LIMIT}"));
                    DEFAULT_LIMIT
                })
            }
        };
        Paging { limit, cursor: cursor.map(str::to_owned) }
    }
}

fn decode(cursor: &str) -> Option<Cursor<serde_json::Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

fn has_nul(key: &serde_json::Value) -> bool {
    use serde_json::Value;
    match key {
        Value::String(text) => text.contains('\0'),
        Value::Array(parts) => parts.iter().any(has_nul),
        Value::Object(parts) => parts.values().any(has_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
