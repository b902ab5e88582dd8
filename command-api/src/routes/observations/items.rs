//! The items of one chunk in the order in which they were sent: those that can be read as observations, and those that the
//! form in which they were sent already rules out.

use http_edge::problem::Problem;
use serde_json::value::RawValue;

use super::record;
use super::validate::ObservationBatch;
use crate::command::CommandContext;
use crate::error::CommandError;
use crate::item_error::ItemError;
use crate::outcome::CommandResult;
use crate::routes::batch::{BatchResponse, ItemResult, ResultsFilter, batch_response};
use crate::state::ApiState;

/// What a chunk holds.
#[derive(Debug, Default)]
pub(super) struct BatchInput<'a> {
    /// Observations in our own shape.
    readable: Vec<&'a RawValue>,
    /// The place of each of them in the request.
    places: Vec<usize>,
    refused: Vec<ItemResult>,
}

impl<'a> BatchInput<'a> {
    pub(super) fn add(&mut self, place: usize, item: &'a RawValue) {
        self.readable.push(item);
        self.places.push(place);
    }

    pub(super) fn refuse(&mut self, place: usize, id: Option<String>, refusal: ItemError) {
        self.refused.push(ItemResult::rejected(place, id, refusal));
    }

    /// Records them, and tells how each fared, by its place.
    pub(super) async fn record(
        self,
        state: &ApiState,
        caller: &CommandContext,
        source: &str,
        listed: ResultsFilter,
    ) -> Result<(CommandResult, BatchResponse), Problem> {
        let batch = ObservationBatch::read(&self.readable, caller.received_at);
        let mut done = record::record(state, caller, source, &batch).await?;
        let Some(answer) = batch_response(&mut done, |index| batch.id(index), listed) else {
            return Err(CommandError::BadReceipt { key: caller.key().unwrap_or_default().to_owned() }.into());
        };
        let answer = self.complete(answer);
        answer.count("observations", &done);
        Ok((done, answer))
    }

    fn complete(self, mut answer: BatchResponse) -> BatchResponse {
        for result in &mut answer.results {
            // The answer's items are the readable ones.
            result.index = self.places.get(result.index).copied().unwrap_or(result.index);
        }
        answer.rejected += self.refused.len();
        answer.results.extend(self.refused);
        answer.results.sort_by_key(|result| result.index);
        answer
    }
}
