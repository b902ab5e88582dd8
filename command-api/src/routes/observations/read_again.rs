//! Observations that were rejected, read again from what is kept of them.

use commands::rejections::{ReadItem, ReadItemAgain};

use super::{cloud_events, ndjson};
use crate::raw_number::Rounding;

/// An observation of a batch or a line.
pub(crate) fn observation(text: &[u8]) -> ReadItemAgain {
    let item = ndjson::read_text(text, &mut Rounding::default());
    ReadItemAgain { item: ReadItem::Observation(item), field_of: str::to_owned }
}

/// An observation as a CloudEvent.
pub(crate) fn cloud_event(text: &[u8]) -> ReadItemAgain {
    // A request that is not UTF-8 is refused whole, so its items always are.
    let text = String::from_utf8_lossy(text);
    let cloud_events::ReadEvent { by_subject, item, .. } = cloud_events::read(&text, &mut Rounding::default());
    let field_of: fn(&str) -> String = match (&item, by_subject) {
        // Errors of unreadable events name the attributes already.
        (Err(_), _) => str::to_owned,
        (Ok(_), true) => |field| cloud_events::field_of_event(field, true),
        (Ok(_), false) => |field| cloud_events::field_of_event(field, false),
    };
    ReadItemAgain { item: ReadItem::Observation(item), field_of }
}
