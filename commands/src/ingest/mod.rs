//! The reports of sources: observations, statements and syncs. A batch is checked item by item and appended as one
//! event for each series of the source that it touches.

pub(crate) mod observations;
mod resolved_refs; // the source and the campaigns that a batch names, from the claims
pub(crate) mod statements;
pub(crate) mod syncs;
mod unknown_campaigns; // campaigns that are created for items that name them

use domain::source::Series;

pub use crate::batch_result::{BatchResult, ItemResult, ItemStatus};
pub use observations::{BackfillChunk, ObservationItem, observation_id};
pub use statements::StatementItem;

pub(crate) use resolved_refs::{ResolvedSource, SourceState};

use crate::context::CommandContext;
use crate::error::CommandError;
use crate::outcome::{CommandResult, Completed, Outcome};

/// Rejects a batch without items, or with more than `most`. `field` names the member that holds the items.
pub fn check_batch_size(field: &'static str, count: usize, most: usize) -> Result<(), CommandError> {
    if (1..=most).contains(&count) { Ok(()) } else { Err(CommandError::BatchSize { field, count, most }) }
}

/// Items by their series, in the order in which these come.
fn by_series<T>(items: impl Iterator<Item = (Series, T)>) -> Vec<(Series, Vec<T>)> {
    let mut grouped: Vec<(Series, Vec<T>)> = Vec::new();
    for (series, item) in items {
        match grouped.iter_mut().find(|(of, _)| of.id == series.id) {
            Some((_, items)) => items.push(item),
            None => grouped.push((series, vec![item])),
        }
    }
    grouped
}

/// The result of a command that recorded a batch of `kind`. `id_of` returns the ids of its items.
fn complete_batch(
    kind: &'static str,
    context: &CommandContext,
    mut result: CommandResult,
    id_of: impl Fn(usize) -> Option<String>,
) -> Result<Completed<BatchResult>, CommandError> {
    let duplicates = std::mem::take(&mut result.duplicates);
    let conflicts = std::mem::take(&mut result.conflicts);
    let mut is_repeated = false;
    let mut completed = result.complete(context.key(), |outcome| match outcome {
        Outcome::BatchProcessed(settled) => Some(settled.complete(id_of, &duplicates, &conflicts)),
        Outcome::ChunkRepeated(counts) => {
            is_repeated = true;
            Some(counts.result())
        }
        _ => None,
    })?;
    completed.replayed |= is_repeated;
    // Items of a replay were counted when the batch was recorded.
    if !completed.replayed {
        count_items(kind, &completed.value);
    }
    Ok(completed)
}

fn count_items(kind: &'static str, batch: &BatchResult) {
    let by_status = [
        (batch.accepted, "accepted"),
        (batch.duplicates, "duplicate"),
        (batch.conflicts, "conflict"),
        (batch.rejected, "rejected"),
    ];
    for (items, status) in by_status {
        if items > 0 {
            metrics::counter!("highwater_command_items_total", "kind" => kind, "status" => status)
                .increment(items as u64);
        }
    }
}

#[cfg(test)]
mod tests;
