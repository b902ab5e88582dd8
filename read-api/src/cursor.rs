//! Where a page ends. Opaque to clients; bound to the query, the workspace, the caller's scope and the epoch.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// `hash` is the canonical query's, which begins with the workspace and the caller's scope.
#[derive(Serialize, Deserialize)]
struct Cursor<K> {
    #[serde(rename = "h")]
    hash: String,
    #[serde(rename = "e")]
    epoch: i32,
    /// The sort key of the page's last row: the next page begins behind it, whatever was added meanwhile.
    #[serde(rename = "k")]
    after: K,
}

/// The cursor behind the row with this sort key.
pub(crate) fn encode<K: Serialize>(hash: &str, epoch: i32, after: K) -> String {
    let cursor = Cursor { hash: hash.to_owned(), epoch, after };
    // Sort keys are strings and numbers, which always have a JSON form.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor).unwrap_or_default())
}

/// The sort key behind which to go on.
pub(crate) fn decode<K: DeserializeOwned>(text: &str, hash: &str, epoch: i32) -> Result<K, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::CursorMalformed)?;
    let cursor: Cursor<serde_json::Value> = serde_json::from_slice(&bytes).map_err(|_| Refusal::CursorMalformed)?;
    if cursor.hash != hash {
        return Err(Refusal::CursorMismatch);
    }
    if cursor.epoch != epoch {
        return Err(Refusal::CursorExpired);
    }
    serde_json::from_value(cursor.after).map_err(|_| Refusal::CursorMalformed)
}
