//! Which rows cannot be in a table yet: those are inserted as new, which costs much less than an upsert.

use chrono::{DateTime, Utc};

/// What is known, while an epoch is filled, of the buckets that one log has rows of in a table.
///
/// It saves work and decides nothing: were a row there all the same, the database would refuse to insert it, and what was
/// refused is applied again by whoever knows nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum InsertHint {
    /// Nothing is known: any row may be there.
    #[default]
    Unknown,
    /// There is no row.
    Nothing,
    /// There is no row of a later bucket.
    UpTo(DateTime<Utc>),
}

impl InsertHint {
    /// Whether no row of this bucket can be there. It holds for coarser buckets too: one that begins later than the newest
    /// one of the finest holds none of them.
    pub(super) fn is_certainly_new(self, bucket: DateTime<Utc>) -> bool {
        match self {
            Self::Unknown => false,
            Self::Nothing => true,
            Self::UpTo(newest) => bucket > newest,
        }
    }

    /// What is known once rows of these buckets are written too.
    pub(super) fn and(self, buckets: impl Iterator<Item = DateTime<Utc>>) -> Self {
        match (self, buckets.max()) {
            (Self::Unknown, _) => Self::Unknown,
            (known, None) => known,
            (Self::Nothing, Some(newest)) => Self::UpTo(newest),
            (Self::UpTo(before), Some(newest)) => Self::UpTo(before.max(newest)),
        }
    }
}

#[cfg(test)]
mod tests;
