//! What a decision on a batch needs from the log: originals of corrections, and ids on which the results of other items
//! depend.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use domain::observation::ObservationType;
use event_store::{ItemQuery, StoredItem};
use uuid::Uuid;

use super::id_space::IdSpace;
use super::window::AcceptanceWindow;
use crate::claims::ClaimReader;

/// The lookups of a batch in the log.
#[derive(Debug)]
pub(super) struct Prerequisites<'a> {
    window: AcceptanceWindow,
    pub(super) ids: IdSpace,
    /// The ids to look up, with their content.
    pub(super) items: BTreeSet<(NaiveDate, Uuid)>,
    /// The digests of messages and recipients to look up.
    pub(super) first_times: BTreeSet<Uuid>,
    /// The originals to read.
    pub(super) originals: BTreeMap<Uuid, OriginalQuery<'a>>,
}

/// An observation to correct.
#[derive(Debug)]
pub(super) struct OriginalQuery<'a> {
    pub(super) kind: ObservationType,
    pub(super) id: &'a str,
    /// The days that corrections name; `None` for corrections without a day.
    pub(super) days: BTreeSet<Option<NaiveDate>>,
}

impl Prerequisites<'_> {
    pub(super) fn new(window: AcceptanceWindow, ids: IdSpace) -> Self {
        Self { window, ids, items: BTreeSet::new(), first_times: BTreeSet::new(), originals: BTreeMap::new() }
    }

    /// The recorded items among those to look up.
    pub(super) async fn find(&self, claims: &ClaimReader<'_>) -> Result<Vec<StoredItem>, sqlx::Error> {
        let first_times: Vec<Uuid> = self.first_times.iter().copied().collect();
        let mut found = claims.find_items_under(&first_times, &self.ids.first_time_days()).await?;
        found.extend(self.find_by_id(claims).await?);
        Ok(found)
    }

    async fn find_by_id(&self, claims: &ClaimReader<'_>) -> Result<Vec<StoredItem>, sqlx::Error> {
        if !self.ids.is_window() {
            return claims.find_items(&self.queries()).await;
        }
        let ids: BTreeSet<Uuid> = self.items.iter().map(|(_, id)| *id).chain(self.originals.keys().copied()).collect();
        let mut days: BTreeSet<NaiveDate> = self.items.iter().map(|(day, _)| *day).collect();
        if !self.originals.is_empty() {
            days.extend(self.ids.days(self.window.last_day()));
        }
        claims.find_items_under(&Vec::from_iter(ids), &Vec::from_iter(days)).await
    }

    /// The items to look up by the days that they name.
    fn queries(&self) -> Vec<ItemQuery> {
        let one_day = |day: NaiveDate, id: Uuid| ItemQuery { id, first_day: day, last_day: day };
        let mut queries: Vec<ItemQuery> = self.items.iter().map(|(day, id)| one_day(*day, *id)).collect();
        for (id, original) in &self.originals {
            if original.days.contains(&None) {
                let (first_day, last_day) = (self.window.first_day(), self.window.last_day());
                queries.push(ItemQuery { id: *id, first_day, last_day });
            } else {
                queries.extend(original.days.iter().flatten().map(|day| one_day(*day, *id)));
            }
        }
        queries
    }
}
