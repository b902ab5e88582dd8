//! Hints which rows are certainly new. Those are inserted without an upsert, which costs much less.

use chrono::{DateTime, Utc};

/// What is known, while an epoch is filled, of the buckets of one log's rows in a table.
///
/// It only saves work: if a row existed all the same, the database would refuse the insert, and the refused batch would
/// be applied again without a hint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum InsertHint {
    /// Nothing is known, and any row may exist.
    #[default]
    Unknown,
    /// No row exists.
    Nothing,
    /// No row of a later bucket exists.
    UpTo(DateTime<Utc>),
}

impl InsertHint {
    /// Whether no row of this bucket can exist. This also holds for coarser buckets: one that begins after the newest
    /// finest bucket contains none of them.
    pub(super) fn is_certainly_new(self, bucket: DateTime<Utc>) -> bool {
        match self {
            Self::Unknown => false,
            Self::Nothing => true,
            Self::UpTo(newest) => bucket > newest,
        }
    }

    /// The hint after rows of these buckets are written too.
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
