//! The pieces of the board's sums: between the instants at which settings of a source change.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::sources::{self, Source, SourcePeriods, Span};

/// The pieces that sums of a window are cut into, and what sources are in each.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// The sources of the workspace, by their periods in the window.
    pub(super) periods: SourcePeriods,
    /// The source of each series but its first.
    pub(super) source_of: BTreeMap<Uuid, Uuid>,
    /// The instants at which sums are cut: the end of the first piece, and of each that follows.
    pub(super) cuts: Vec<DateTime<Utc>>,
    /// The window.
    pub(super) span: Span,
}

impl Pieces {
    /// The source of a series as it is in a piece, in whatever series.
    pub(super) fn source(&self, series: Uuid, piece: usize) -> Option<&Source> {
        let id = self.source_of.get(&series).copied().unwrap_or(series);
        sources::period_at(&self.periods, id, self.beginning(piece))
    }

    /// Whether a piece begins within a span of the window.
    pub(super) fn begins_within(&self, piece: usize, (from, until): Span) -> bool {
        let begins = self.beginning(piece).map_or(self.span.0, |at| at.clamp(self.span.0, self.span.1));
        from <= begins && begins < until
    }

    /// The first instant of a piece; none: the beginning of time.
    fn beginning(&self, piece: usize) -> Option<DateTime<Utc>> {
        piece.checked_sub(1).and_then(|before| self.cuts.get(before)).copied()
    }
}
