//! Ids: UUIDs of version 7, which sort by creation time.

use chrono::{DateTime, Utc};
use uuid::{Builder, NoContext, Timestamp, Uuid};

/// A new id, created at `now`.
pub(crate) fn new_id(now: DateTime<Utc>) -> Uuid {
    // A clock before 1970 affects only the order.
    let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
}

/// The id of one of the items that were received at `now`. It sorts by their order.
pub(crate) fn item_id(now: DateTime<Utc>, index: usize) -> Uuid {
    let mut bytes: [u8; 10] = rand::random();
    // Of the first three bytes, version and variant leave 4, 8 and 6 bits.
    let index = u32::try_from(index).unwrap_or(u32::MAX).min((1 << 18) - 1).to_be_bytes();
    let [_, high, middle, low] = index;
    bytes[0] = (high << 2) | (middle >> 6);
    bytes[1] = (middle << 2) | (low >> 6);
    bytes[2] = low & 0x3f;
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_of_items_sort_by_time_and_order(
            millis in 0..9_000_000_000_000_i64,
            one in 0..200_000_usize,
            other in 200_000..262_144_usize,
        ) {
            let now = DateTime::from_timestamp_millis(millis).unwrap();
            prop_assert!(item_id(now, one) < item_id(now, other));
            prop_assert!(item_id(now, one) < item_id(now, one + 1));
            let later = DateTime::from_timestamp_millis(millis + 1).unwrap();
            prop_assert!(item_id(now, one) < item_id(later, other));
            prop_assert_eq!(item_id(now, one).get_version_num(), 7);
        }
    }
}
