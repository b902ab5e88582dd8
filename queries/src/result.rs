//! Typed results: data of any type, with the facts about it that follow from its version.

use domain::money::Currency;
use domain::zone::Zone;

use crate::database::defaults::WorkspaceDefaults;
use crate::database::snapshot::Snapshot;
use crate::sources::Freshness;
use crate::version::Version;
use crate::warning::Warning;

/// A result with data of one type. It holds only what follows from its version.
#[derive(Debug)]
pub struct TypedResult<D> {
    pub meta: ResultMeta,
    /// The cursor behind its last row, if another page follows.
    pub next_cursor: Option<String>,
    /// Whether its list may have changed since the first page, so that rows may be missing or stand on two pages.
    /// `None` of a first page.
    pub moved: Option<bool>,
    pub data: D,
}

/// The facts about a result's data.
#[derive(Debug)]
pub struct ResultMeta {
    /// The model that it was read from, as answers name it.
    pub model: &'static str,
    /// Which built instance of it. Versions of different epochs cannot be compared.
    pub epoch: i32,
    pub version: Version,
    /// The zone that its days and hours are cut in.
    pub time_zone: Zone,
    /// The workspace's reporting currency.
    pub currency: Option<Currency>,
    /// How fresh its numbers are, if it has any.
    pub freshness: Option<Freshness>,
    pub warnings: Vec<Warning>,
}

impl<D> TypedResult<D> {
    /// A result without pages.
    pub(crate) fn whole(meta: ResultMeta, data: D) -> Self {
        Self::page(meta, None, data)
    }

    /// A page of a list. Whether rows moved is told once it is known which page it follows.
    pub(crate) fn page(meta: ResultMeta, next_cursor: Option<String>, data: D) -> Self {
        Self { meta, next_cursor, moved: None, data }
    }

    pub(crate) fn map<E>(self, data: impl FnOnce(D) -> E) -> TypedResult<E> {
        let Self { meta, next_cursor, moved, data: from } = self;
        TypedResult { meta, next_cursor, moved, data: data(from) }
    }

    /// The bytes that it takes in memory, about, with data of this weight.
    pub(crate) fn weight(&self, data: impl FnOnce(&D) -> usize) -> usize {
        let Self { meta, next_cursor, data: of, .. } = self;
        let warnings: usize = meta.warnings.iter().map(Warning::weight).sum();
        let freshness = meta.freshness.as_ref().map_or(0, Freshness::weight);
        size_of::<Self>() + warnings + freshness + next_cursor.as_ref().map_or(0, String::len) + data(of)
    }
}

impl ResultMeta {
    /// The facts about a result without numbers that was read from this snapshot.
    pub(crate) fn of_snapshot(
        snapshot: &Snapshot,
        model: &'static str,
        version: Version,
        warnings: Vec<Warning>,
    ) -> Self {
        let (epoch, WorkspaceDefaults { time_zone, currency, .. }) = (snapshot.epoch, snapshot.defaults);
        Self { model, epoch, version, time_zone, currency, freshness: None, warnings }
    }
}
