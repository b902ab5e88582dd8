//! The series of a source, and how the word of each is taken in the time of a query.

use std::collections::BTreeMap;

use domain::bucket::Granularity;
use domain::freshness::{StatedGrain, ZoneAlignment};
use domain::source::{SeriesDates, SourceKind};
use domain::zone::Zone;
use uuid::Uuid;

use super::{QueryGrain, Source};

/// The series of a source that has more than one.
#[derive(Debug, Clone, Default)]
pub struct SeriesHistory {
    /// Every one that it ever had.
    pub all: Vec<Uuid>,
    /// Those that hold dates.
    pub held: Vec<SeriesDates>,
    /// In which grains and zones each states.
    pub grains: BTreeMap<Uuid, Vec<StatedGrain>>,
}

impl Source {
    /// How its word is taken in the time of a query.
    pub fn zone_alignment(&self, granularity: Granularity, time_zone: Zone) -> ZoneAlignment {
        self.alignment_of(&self.stated_grains, (granularity, time_zone))
    }

    /// The same in each of its series.
    pub(crate) fn zone_alignments(&self, grain: QueryGrain) -> impl Iterator<Item = ZoneAlignment> {
        let of_series = self.series_history.all.iter().map(|series| self.grains_of(*series));
        std::iter::once(self.stated_grains.as_slice())
            .chain(of_series)
            .map(move |grains| self.alignment_of(grains, grain))
    }

    fn alignment_of(&self, grains: &[StatedGrain], (granularity, time_zone): QueryGrain) -> ZoneAlignment {
        ZoneAlignment::new(grains, self.definition.kind == SourceKind::Push, granularity, time_zone)
    }

    /// In which grains and zones one of its series states.
    pub(super) fn grains_of(&self, series: Uuid) -> &[StatedGrain] {
        if self.series_history.all.is_empty() {
            return &self.stated_grains;
        }
        self.series_history.grains.get(&series).map_or(&[], Vec::as_slice)
    }
}
