//! Opens and clicks of one recipient: every one counts as such, and the first of a message and recipient as a message
//! that was opened, or in which was clicked. Both are rows of one event.

use domain::item::ItemError;
use domain::observation::{Observation, ObservationInput, ObservationType, bad_message};
use domain::source::Series;
use event_store::OnDuplicate;
use uuid::Uuid;

use super::{EventBuilder, PendingItem};

/// What follows an item's id in the id of its companion, so that the two are told apart in the log.
const SUFFIX: &str = "#first";

impl EventBuilder<'_> {
    /// The digest of the message and its recipient, if an item names them. An error where it must, or must not.
    pub(super) fn first_time(&self, input: &ObservationInput) -> Result<Option<Uuid>, ItemError> {
        let Some(delivered) = input.delivered() else {
            if self.needs_recipient(input) {
                let detail = if self.ids.is_window() {
                    "is needed with a recipient, because this source counts the messages that were opened; send what \
                     has no recipient as type open_total"
                } else {
                    "is needed with a recipient, or count: how many messages were opened for the first time; send any \
                     other open as type open_total"
                };
                return Err(bad_message("message", detail));
            }
            return Ok(None);
        };
        if self.backfill.is_some() {
            let detail = "is not taken by a backfill, which knows no other chunk: send open or click for the first \
                          time of each, and open_total or click_total for every one, both without recipients";
            return Err(bad_message("message", detail));
        }
        Ok(Some(self.ids.first_time(input.kind, delivered)))
    }

    /// Whether an open must name its recipient: in a source of mail, unless the sender says how many messages were
    /// opened for the first time. Where ids are unique for the window, it must always.
    fn needs_recipient(&self, input: &ObservationInput) -> bool {
        input.kind == ObservationType::Open
            && !input.is_correction()
            && self.backfill.is_none()
            && (self.ids.is_window() || input.count().is_none())
            && self.known.source.definition.channel.is_mail()
    }

    /// Adds the first time of a message and its recipient, unless it is known to have counted. If it has meanwhile, the
    /// append leaves it out.
    pub(super) fn count_first_time(&mut self, series: Series, id: Uuid, mut observation: Observation) {
        let key = self.ids.first_time_key(id);
        if self.recorded.latest(id).is_some() || self.places.contains_key(&(key.day, id)) {
            return;
        }
        observation.id.push_str(SUFFIX);
        self.places.insert((key.day, id), self.items.len());
        self.companions.push(self.items.len());
        self.items.push(PendingItem { series, key, when_taken: OnDuplicate::Skip, observation });
    }
}
