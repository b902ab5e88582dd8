//! The payloads of a batch: one for each series that it touches.

use domain::bucket::quarter_hour;
use domain::ids::{CampaignId, SourceId};
use domain::observation::{Backfill, ObservationBody, ObservationInput, ObservationsRecorded};
use domain::source::Series;
use event_store::{Item, Payload};

use super::{EventBuilder, PendingItem};
use crate::error::CommandError;
use crate::ingest::by_series;

/// The end of an event's JSON after the observations.
const TAIL: &str = "]}";

/// What the events of a batch have in common.
#[derive(Debug)]
pub(super) struct BatchHead<'a> {
    pub(super) source: SourceId,
    pub(super) backfill: Option<&'a Backfill>,
    /// The campaigns that the items name by index.
    pub(super) campaigns: &'a [CampaignId],
}

impl EventBuilder<'_> {
    /// The series of an item: that of its bucket, or of what it corrects. An original that cannot be found has none,
    /// and its correction is refused for that.
    pub(super) fn series(&self, input: &ObservationInput) -> Series {
        let source = &self.known.source;
        let of_bucket = || source.series.at(quarter_hour(input.occurred_at));
        let ObservationBody::Correction { adjusts, .. } = &input.body else { return of_bucket() };
        if let Some(stated) = &adjusts.original {
            return source.series.at(quarter_hour(stated.occurred_at));
        }
        let id = self.ids.digest(input.kind, &adjusts.id);
        let Ok(day) = self.day_of_original(id, input.kind, adjusts) else { return of_bucket() };
        let recorded =
            self.recorded.original(day, id).and_then(|original| source.details.series_named(original.series));
        recorded.or_else(|| Some(self.taken(day, id)?.series)).unwrap_or_else(of_bucket)
    }
}

impl BatchHead<'_> {
    /// The payloads, and the order of the items in them where it is not their own.
    pub(super) fn payloads(&self, items: Vec<PendingItem>) -> Result<(Vec<Payload>, Vec<usize>), CommandError> {
        let by_series = by_series(items.into_iter().enumerate().map(|(place, item)| (item.series, (place, item))));
        let places = |(_, items): &(Series, Vec<(usize, PendingItem)>)| -> Vec<usize> {
            items.iter().map(|(place, _)| *place).collect()
        };
        let order = if by_series.len() > 1 { by_series.iter().flat_map(places).collect() } else { Vec::new() };
        let payloads = by_series
            .into_iter()
            .map(|(series, items)| self.payload(series, items.into_iter().map(|(_, item)| item)))
            .collect::<Result<_, _>>()?;
        Ok((payloads, order))
    }

    /// The payload of one series, which names the campaigns in the order in which its items do.
    fn payload(&self, series: Series, pending: impl Iterator<Item = PendingItem>) -> Result<Payload, CommandError> {
        let mut named: Vec<CampaignId> = Vec::new();
        let mut index_of: Vec<Option<usize>> = vec![None; self.campaigns.len()];
        let mut items = Vec::new();
        for PendingItem { key, when_taken, mut observation, .. } in pending {
            let place = observation.campaign;
            if let Some((index, campaign)) = index_of.get_mut(place).zip(self.campaigns.get(place)) {
                observation.campaign = *index.get_or_insert_with(|| {
                    named.push(*campaign);
                    named.len() - 1
                });
            }
            let content = serde_json::to_string(&observation).map_err(CommandError::Encoding)?;
            items.push(Item { key: self.backfill.is_none().then_some(key), when_taken, content });
        }
        // The observations come last in the event, so an event without any gives the JSON around them.
        let empty = ObservationsRecorded {
            series: Some(series.id).filter(|id| *id != self.source),
            backfill: self.backfill.cloned(),
            ..ObservationsRecorded::new(self.source, series.currency, named, Vec::new())
        };
        let mut head = serde_json::to_string(&empty).map_err(CommandError::Encoding)?;
        head.truncate(head.len() - TAIL.len());
        Ok(Payload::Items { head, items, tail: TAIL.to_owned() })
    }
}
