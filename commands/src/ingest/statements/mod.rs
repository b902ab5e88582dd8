//! Statements: totals as of now, from a pull source. Only changes are recorded.

mod batch; // the items of a batch
mod decision; // which of them are recorded
mod merge; // the newest statement of each measure
mod replaced; // what a batch makes whole, and does not name
mod rows; // the total, or the rows of a breakdown, of one campaign and bucket

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::breakdown::Breakdown;
use domain::catalogue::STATEMENTS_RECORDED;
use domain::item::RejectedItem;
use domain::measure::Measure;
use domain::source::SourceKind;
use domain::statement::{BucketSpec, Replacement, ReplacementError, STREAM_TYPE, StatementInput, StatementsRecorded};
use event_store::{ClaimRange, ExpectedVersion};

use self::batch::{ReplacedRange, ResolvedStatements, StatementBatch};
use self::replaced::ReplacedPart;
use super::resolved_refs::ResolvedRefs;
use super::unknown_campaigns::CampaignCreation;
use super::{BatchResult, complete_batch};
use crate::Commands;
use crate::append::{Attempts, Proposal, new_json_event};
use crate::claims::{ClaimReader, kind_of};
use crate::context::CommandContext;
use crate::error::CommandError;
use crate::outcome::{Completed, Outcome};

/// A statement, or the error of reading it.
pub type StatementItem = Result<StatementInput, RejectedItem>;

impl Commands {
    /// Records a batch of statements with buckets of `spec`: of totals, or by the dimensions of a breakdown.
    ///
    /// With a `replacement`, what the source stated in that part before, and the batch does not name, is taken back.
    /// Nothing is if an item cannot be read, because it may name anything.
    #[tracing::instrument(
        skip_all,
        fields(workspace = %context.workspace(), source.name = source, correlation_id = context.correlation_id)
    )]
    pub async fn record_statements(
        &self,
        context: &CommandContext,
        source: &str,
        spec: BucketSpec,
        breakdown: &Breakdown,
        items: &[StatementItem],
        replacement: Option<&Replacement>,
    ) -> Result<Completed<BatchResult>, CommandError> {
        let instants = (context.items_received_at(), context.received_at);
        let money = items.iter().flatten().flat_map(StatementInput::money).map(|(_, micros)| micros);
        let limit = self.money_limit(context, money).await?;
        let batch = StatementBatch::new(items, spec, breakdown, instants, limit);
        let replaces = replacement.map(|part| replaced_part(part, spec, &batch)).transpose()?;
        let replaces = replaces.filter(|_| batch.is_whole());
        let mut attempts = Attempts::begin(self, context)?;
        let mut creation = CampaignCreation::default();
        let result = loop {
            let mut attempt = attempts.next().await?;
            if let Some(result) = attempt.previous_result().await? {
                break result;
            }
            let known = ResolvedRefs::find(&mut attempt.claims, source, batch.campaigns()).await?;
            let mut known = known.ok_or_else(|| CommandError::UnknownSource { name: source.to_owned() })?;
            known.source.require(SourceKind::Pull)?;
            attempt.check_source_rate(known.source.id, items.len())?;
            let definition = known.source.details.definition_at(context.received_at);
            let precedence = match breakdown.precedence(&definition.dimensions) {
                // A dimension may have been declared since.
                Err(_) if attempt.rests_on_cache() => continue,
                precedence => precedence?,
            };
            let unknown = |known: &ResolvedRefs<'_>, zone| batch.unknown_campaigns(known, zone);
            if creation.run(self, context, &mut attempt, &mut known, unknown).await? {
                continue;
            }
            let stream_id = known.source.id.stream(context.workspace());
            let mut resolved = batch.resolve(&known, precedence);
            // What is stated after the version was read makes the append fail.
            let expected = match replaces {
                Some(_) => ExpectedVersion::Exact(attempt.claims.stream_version(STREAM_TYPE, &stream_id).await?),
                None => ExpectedVersion::Any,
            };
            attempt.claims.find(resolved.claim_keys()).await?;
            let most = self.limits.retractions;
            let replaced = match &replaces {
                Some(replaces) => {
                    Some(find_replaced(&mut attempt.claims, replaces, breakdown, &mut resolved, most).await?)
                }
                None => None,
            };
            let decided = resolved.decide(&attempt.claims, replaced.as_ref())?;
            if replaced.is_some() && decided.settled.retracted > most {
                return Err(CommandError::ReplacementTooLarge { most });
            }
            let mut events = Vec::new();
            for (series, statements) in decided.statements {
                let recorded = StatementsRecorded {
                    source: known.source.id,
                    series: Some(series.id).filter(|id| *id != known.source.id),
                    currency: series.currency,
                    grain: spec.grain,
                    time_zone: spec.zone,
                    breakdown: breakdown.dimensions().iter().map(ToString::to_string).collect(),
                    precedence,
                    sealed_with: None,
                    statements,
                };
                events.push(new_json_event(STATEMENTS_RECORDED, &recorded)?);
            }
            let proposal = Proposal {
                stream_type: STREAM_TYPE,
                stream_id,
                expected,
                events,
                claims: known.assertions(&attempt.claims).into_iter().chain(decided.claims).collect(),
                item_preconditions: Vec::new(),
                outcome: Outcome::BatchProcessed(decided.settled),
            };
            if let Some(result) = attempt.append(proposal).await? {
                break result;
            }
        };
        complete_batch("statements", context, result, |_| None)
    }
}

/// What a batch replaces, before it is looked up what was stated there.
#[derive(Debug)]
struct Replaces<'a> {
    replacement: &'a Replacement,
    measures: BTreeSet<Measure>,
    stated_at: DateTime<Utc>,
}

fn replaced_part<'a>(
    replacement: &'a Replacement,
    spec: BucketSpec,
    batch: &StatementBatch<'_>,
) -> Result<Replaces<'a>, ReplacementError> {
    replacement.validate(spec)?;
    let measures = replacement.measures.clone().unwrap_or_else(|| batch.measures());
    if measures.is_empty() && batch.is_whole() {
        return Err(ReplacementError::NoMeasures);
    }
    Ok(Replaces { replacement, measures, stated_at: batch.stated_at() })
}

/// Looks up what the source stated in the part that a batch replaces. Some of it is named, or was taken back before, so
/// more claims are read than may be taken back; but not any number.
async fn find_replaced(
    claims: &mut ClaimReader<'_>,
    replaces: &Replaces<'_>,
    breakdown: &Breakdown,
    resolved: &mut ResolvedStatements<'_>,
    most: usize,
) -> Result<ReplacedPart, CommandError> {
    const READ_FOR_EACH: usize = 3;
    let Replacement { from, to, campaigns, .. } = replaces.replacement;
    let endings: Option<Vec<String>> = campaigns.as_ref().map(|ids| ids.iter().map(ToString::to_string).collect());
    // A claim of a breakdown holds up to a thousand rows.
    let read_at_most = if breakdown.is_total() { most.saturating_mul(READ_FOR_EACH) } else { most / 10 };
    let limit = i32::try_from(read_at_most).unwrap_or(i32::MAX).saturating_add(1);
    let mut keys = Vec::new();
    for ReplacedRange { first, end } in resolved.key_ranges(*from, *to)? {
        let range = ClaimRange { first: &first, end: &end, endings: endings.as_deref(), most: limit };
        keys.extend(claims.find_between(kind_of(breakdown), range).await?);
        if keys.len() > read_at_most {
            return Err(CommandError::ReplacementTooLarge { most });
        }
    }
    Ok(ReplacedPart { keys, measures: replaces.measures.clone(), stated_at: replaces.stated_at })
}
