//! The place in a list of rejected items. It is bound to the workspace, to what is listed, and to the order.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use commands::rejections::RejectedItems;
use domain::ids::WorkspaceId;
use http_edge::problem::Problem;
use http_edge::problem::kinds::INVALID_QUERY;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::problems::kinds::CURSOR_MISMATCH;

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As it is shown.
    NewestFirst,
    /// As it is judged again.
    OldestFirst,
}

/// The cursors of one list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    /// A digest of what the list is.
    list: [u8; 8],
}

impl Cursor {
    /// The cursors of the list of these items.
    pub(super) fn new(workspace: WorkspaceId, which: &RejectedItems, order: Order) -> Self {
        let digest = Sha256::digest(format!("{workspace} {which:?} {order:?}"));
        let mut list = [0; 8];
        list.copy_from_slice(&digest[..8]);
        Self { list }
    }

    /// The cursor behind an item.
    pub(super) fn write(self, last: Uuid) -> String {
        URL_SAFE_NO_PAD.encode([&self.list[..], last.as_bytes()].concat())
    }

    /// The item that a cursor stands behind.
    pub(super) fn read(self, text: &str) -> Result<Uuid, Problem> {
        let refused = |detail: &str| Problem::new(INVALID_QUERY).field("cursor", detail);
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        let parts = bytes.as_deref().and_then(|bytes| bytes.split_first_chunk::<8>());
        let place = parts.and_then(|(list, id)| Some((*list, Uuid::from_slice(id).ok()?)));
        match place {
            Some((list, id)) if list == self.list => Ok(id),
            Some(_) => {
                let detail = "Send the cursor with the parameters that it came from, or send no cursor.";
                Err(Problem::new(CURSOR_MISMATCH).detail(detail))
            }
            None => Err(refused("is no `next_cursor` of an answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_of_one_list_alone() {
        let which = RejectedItems { source: Some("shop".to_owned()), ..RejectedItems::default() };
        let cursor = Cursor::new(WorkspaceId(1), &which, Order::NewestFirst);
        let id = Uuid::from_u128(7);
        let text = cursor.write(id);
        assert_eq!(cursor.read(&text).unwrap(), id);
        let all = RejectedItems::default();
        for other in [
            Cursor::new(WorkspaceId(2), &which, Order::NewestFirst),
            Cursor::new(WorkspaceId(1), &all, Order::NewestFirst),
            Cursor::new(WorkspaceId(1), &which, Order::OldestFirst),
        ] {
            assert_eq!(other.read(&text).unwrap_err().code(), "cursor-mismatch");
        }
        for text in ["", "x", "AAAA", &text[1..]] {
            assert_eq!(cursor.read(text).unwrap_err().code(), "invalid-query");
        }
    }
}
