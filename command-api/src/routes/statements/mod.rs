//! Statements: what a pull source says a total is, as of now. Only what changed is recorded.

mod item; // one item: shape and rules of its own
mod judge; // the batch: what may be said, and what it changes
mod merge; // the newest statement of each measure holds

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use axum::extract::State;
use domain::bucket::Grain;
use domain::event::catalogue::STATEMENTS_RECORDED;
use domain::source::SourceKind;
use domain::statement::STREAM_TYPE;
use domain::zone::Zone;
use event_store::{AppendRequest, ExpectedVersion, NewEvent, Payload};
use http_edge::problem::Problem;
use http_edge::query::ApiQuery;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use self::item::BucketSpec;
use self::judge::Batch;
use super::batch::{BatchQuery, BatchResponse, check_size};
use super::resolved_refs::ResolvedRefs;
use crate::command::{CommandContext, JsonCommand};
use crate::error::CommandError;
use crate::execute::{self, ATTEMPTS, AppendAttempt};
use crate::outcome::{CommandResult, Outcome};
use crate::problems::kinds::StatementProblems;
use crate::raw_number::MeasureValue;
use crate::response::CommandResponse;
use crate::state::ApiState;

/// A batch as it is sent. Its items stay text until each is read by itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    grain: Grain,
    time_zone: Zone,
    #[serde(borrow)]
    statements: Vec<&'a RawValue>,
}

/// What a pull source says its totals are.
#[derive(ToSchema)]
#[schema(example = json!({
    "source": "google_ads",
    "grain": "day",
    "time_zone": "Europe/Berlin",
    "statements": [{
        "external_campaign_id": "1234567890",
        "bucket": "2026-11-20",
        "measures": {"impressions": 12000, "clicks": 340, "spend": {"amount": "123.45", "currency": "EUR"}},
        "stated_at": "2026-11-21T06:00:00Z"
    }]
}))]
#[expect(dead_code, reason = "describes the body, which is read item by item")]
pub(crate) struct RecordStatements {
    /// The source's name.
    source: String,
    /// How long each bucket is: `15m`, `hour` or `day`.
    grain: String,
    /// The IANA zone in which buckets are cut.
    time_zone: String,
    /// 1 to 5,000 of them.
    statements: Vec<StatementSent>,
}

/// The totals of one campaign in one bucket. One of `campaign_id` and `external_campaign_id` must be given.
#[derive(ToSchema)]
#[schema(as = Statement, example = json!({
    "external_campaign_id": "1234567890",
    "bucket": "2026-11-20",
    "measures": {"impressions": 12000, "clicks": 340, "spend": {"amount": "123.45", "currency": "EUR"}},
    "stated_at": "2026-11-21T06:00:00Z"
}))]
#[expect(dead_code, reason = "describes an item, which is read from its text")]
struct StatementSent {
    /// The campaign.
    campaign_id: Option<uuid::Uuid>,
    /// The campaign, as the source calls it.
    external_campaign_id: Option<String>,
    /// With grain `day` a date, else the bucket's first instant.
    #[schema(example = "2026-11-20")]
    bucket: String,
    /// Totals by measure; those that are not named stay as they were.
    #[schema(value_type = std::collections::BTreeMap<String, MeasureValue>)]
    measures: String,
    /// As of when; now, if left out.
    stated_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// Record what totals are now
///
/// Each item fares by itself. The newest statement of a measure holds: by `stated_at`, and among equals by arrival. One
/// that changes nothing is a duplicate. A source states one measure of a campaign in one grain and zone.
#[utoipa::path(
    post,
    path = "/v1/statements",
    operation_id = "record_statements",
    tag = "activity",
    request_body = RecordStatements,
    params(
        BatchQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat: 1 to 255 visible ASCII characters"),
    ),
    responses(
        (status = 200, description = "How each item fared", body = BatchResponse, headers(
            ("Consistency-Token" = String, description = "Makes a read wait for this"),
            ("Idempotency-Replayed" = String, description = "`true`, where the request was carried out before"),
        )),
        StatementProblems,
    ),
    security(("key" = []))
)]
pub(crate) async fn record(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<BatchQuery>,
    command: JsonCommand,
) -> Result<CommandResponse, Problem> {
    let sent: Sent<'_> = command.batch()?;
    check_size("statements", sent.statements.len(), state.limits.statements)?;
    let caller = &command.caller;
    let cut = BucketSpec { grain: sent.grain, zone: sent.time_zone };
    let batch = Batch::read(&sent.statements, cut, caller.received_at);
    let done = execute(&state, caller, &sent.source, &batch).await?;
    super::batch::answer("statements", caller, done, |_| None, query)
}

#[tracing::instrument(
    skip_all,
    fields(workspace = %caller.workspace(), source.name = source, correlation_id = caller.correlation_id())
)]
async fn execute(
    state: &ApiState,
    caller: &CommandContext,
    source: &str,
    batch: &Batch<'_>,
) -> Result<CommandResult, CommandError> {
    let _turn = execute::admit(state, caller)?;
    if let Some(done) = execute::find_previous_result(state, caller).await? {
        return Ok(done);
    }
    for attempt in 0..ATTEMPTS {
        execute::backoff(attempt).await;
        let mut lookup = execute::lookup(state, caller, attempt);
        let known = ResolvedRefs::find(&mut lookup, source, batch.campaigns()).await?;
        let known = known.ok_or_else(|| CommandError::UnknownSource { name: source.to_owned() })?;
        known.source.require(SourceKind::Pull)?;
        execute::check_source_rate(state, caller, known.source.id, batch.len(), attempt)?;
        let sayable = batch.resolve(&known);
        lookup.find(sayable.claim_keys()).await?;
        let judged = sayable.judge(&lookup)?;
        let mut events = Vec::new();
        if !judged.statements.is_empty() {
            let recorded = judge::event(&known, batch.cut(), judged.statements);
            events.push(NewEvent {
                event_type: STATEMENTS_RECORDED.name.to_owned(),
                event_version: STATEMENTS_RECORDED.version().to_string(),
                payload: Payload::Json(serde_json::to_string(&recorded).map_err(CommandError::encoding)?),
            });
        }
        let outcome = Outcome::BatchProcessed(judged.settled);
        let mut claims = known.assertions(&lookup);
        claims.extend(judged.claims);
        let request = AppendRequest {
            workspace: caller.principal.workspace,
            stream_type: STREAM_TYPE,
            stream_id: known.source.id.stream(caller.workspace()),
            expected: ExpectedVersion::Any,
            events,
            metadata: caller.metadata(),
            claims,
            item_preconditions: Vec::new(),
            receipt: caller.receipt(&outcome)?,
            recorded_at: state.clock.now(),
        };
        match execute::append(state, request).await? {
            AppendAttempt::Committed(appended) => return CommandResult::appended(outcome, appended, caller.key()),
            AppendAttempt::Conflicted(_) => {}
        }
    }
    Err(CommandError::Contended)
}
