//! What the ids of a source's observations are unique within, and under which days they are kept for that.

use chrono::{DateTime, NaiveDate, Utc};
use domain::ids::SourceId;
use domain::observation::{Delivered, ObservationType};
use domain::source::IdScope;
use event_store::{ItemKey, ItemPeriods};
use uuid::Uuid;

use super::fingerprint;
use super::window::AcceptanceWindow;
use crate::ingest::resolved_refs::ResolvedSource;

/// The ids of a source, at the time of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdSpace {
    source: SourceId,
    scope: IdScope,
    periods: ItemPeriods,
    first_time_periods: ItemPeriods,
}

impl IdSpace {
    pub(super) fn of(source: &ResolvedSource, window: AcceptanceWindow) -> Self {
        Self {
            source: source.id,
            scope: source.definition.id_scope,
            periods: window.id_periods(),
            first_time_periods: window.first_time_periods(),
        }
    }

    /// Whether an id has one item, whatever day the item names.
    pub(super) fn is_window(self) -> bool {
        self.scope == IdScope::Window
    }

    /// The digest of an id.
    pub(super) fn digest(self, kind: ObservationType, id: &str) -> Uuid {
        fingerprint::id(self.scope, self.source, kind, id)
    }

    /// The time of an item as a part of its content. Where an id has one item, another time does not make another one:
    /// a page that is loaded again reports its order again.
    pub(super) fn content_time(self, occurred_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (!self.is_window()).then_some(occurred_at)
    }

    /// The key of an item.
    pub(super) fn key(self, id: Uuid, occurred_at: DateTime<Utc>, fingerprint: i64) -> ItemKey {
        let (day, also_under) = match self.scope {
            IdScope::Day => (occurred_at.date_naive(), None),
            IdScope::Window => (self.periods.day(), self.periods.also_under()),
        };
        ItemKey { day, also_under, id, fingerprint }
    }

    /// The digest of a message and its recipient.
    pub(super) fn first_time(self, kind: ObservationType, delivered: &Delivered) -> Uuid {
        fingerprint::first_time(self.source, kind, delivered)
    }

    /// The key of the first time of a message and its recipient. It has no content that another could differ in.
    pub(super) fn first_time_key(self, id: Uuid) -> ItemKey {
        let periods = self.first_time_periods;
        ItemKey { day: periods.day(), also_under: periods.also_under(), id, fingerprint: 0 }
    }

    /// The days under which it may be kept.
    pub(super) fn first_time_days(self) -> Vec<NaiveDate> {
        self.first_time_periods.days().collect()
    }

    /// The day under which ids of the batch are kept, where an id has one item.
    pub(super) fn period(self) -> NaiveDate {
        self.periods.day()
    }

    /// The days under which the id of an item of a day may be kept.
    pub(super) fn days(self, of_item: NaiveDate) -> Vec<NaiveDate> {
        match self.scope {
            IdScope::Day => vec![of_item],
            IdScope::Window => self.periods.days().collect(),
        }
    }

    /// Those of them that the append does not look at by itself.
    pub(super) fn earlier_days(self) -> Vec<NaiveDate> {
        match self.scope {
            IdScope::Day => Vec::new(),
            IdScope::Window => self.periods.earlier_days().collect(),
        }
    }
}
