//! Statements: totals as of now, from a pull source.

pub(crate) mod item; // one JSON item
mod replace; // the part that a batch makes whole

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use axum::extract::State;
use commands::CommandError;
use commands::ingest::{StatementItem, check_batch_size};
use commands::rejections::{ItemForm, SentItems};
use domain::breakdown::Breakdown;
use domain::bucket::Grain;
use domain::json_objects;
use domain::statement::BucketSpec;
use domain::zone::Zone;
use http::StatusCode;
use http_edge::query::ApiQuery;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use self::replace::{ReplaceSent, SentReplace};
use super::batch::{BatchQuery, BatchResponse};
use super::dimension::dimension;
use crate::command::JsonCommand;
use crate::problems::RouteError;
use crate::problems::kinds::StatementProblems;
use crate::raw_number::{Rounding, StatedValue};
use crate::response::CommandResponse;
use crate::state::ApiState;

/// A batch as it is sent. Its items stay raw text until each is read by itself.
#[derive(Debug, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
struct SentStatements<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    grain: Grain,
    time_zone: Zone,
    #[serde(borrow, default)]
    breakdown: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    statements: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    replace: Option<SentReplace<'a>>,
}

json_objects!(read: SentStatements<'a>);

/// A batch of statements of one pull source.
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
    /// The length of the buckets: `15m`, `hour` or `day`.
    grain: String,
    /// The IANA time zone in which the buckets are cut.
    time_zone: String,
    /// The dimensions that the statements are by, one or two of those that the source declares. Totals, if left out.
    breakdown: Option<Vec<String>>,
    /// 1 to 5,000 statements; with `replace`, there may be none.
    statements: Vec<StatementSent>,
    /// The part that the batch makes whole.
    replace: Option<ReplaceSent>,
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
    /// The campaign, by the id that the source uses.
    external_campaign_id: Option<String>,
    /// With grain `day` a date, otherwise the bucket's first instant.
    #[schema(example = "2026-11-20")]
    bucket: String,
    /// The value of each dimension of the batch's breakdown. Left out of totals.
    dimensions: Option<std::collections::BTreeMap<String, String>>,
    /// The totals by measure. Null takes back what was stated. Measures that are not named stay as they were.
    #[schema(value_type = std::collections::BTreeMap<String, StatedValue>)]
    measures: String,
    /// As of when the totals hold. Now, if left out.
    stated_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// Record statements
///
/// Each item has a result of its own. The newest statement of a measure holds: by `stated_at`, and among equal instants
/// by arrival. A statement that changes nothing is a duplicate. A source states one measure of a campaign in one grain
/// and time zone.
///
/// With `breakdown`, the statements are by dimensions: each names its value of each of them, which is part of what it
/// is known by. A source may state both a total and breakdowns of it, in any order: the total counts. Without one, the
/// rows of the first of its partitions are the total.
///
/// Null takes a value back: the bucket has no number then, which is not 0. With `replace`, the batch is all that the
/// source states in these buckets: what it stated there before, and the batch does not name, is taken back. If an item
/// cannot be read, nothing is taken back, because it may name anything. `retracted` counts the values that were taken
/// back.
#[utoipa::path(
    post,
    path = "/v1/statements",
    operation_id = "record_statements",
    tag = "activity",
    request_body = RecordStatements,
    params(BatchQuery),
    responses(
        (status = 200, description = "Result of each item", body = BatchResponse),
        StatementProblems,
    )
)]
pub(crate) async fn record(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<BatchQuery>,
    command: JsonCommand,
) -> Result<CommandResponse, RouteError> {
    let sent: SentStatements<'_> = command.batch()?;
    let replacement = sent.replace.map(SentReplace::into_replacement).transpose()?;
    if replacement.is_none() || !sent.statements.is_empty() {
        check_batch_size("statements", sent.statements.len(), state.commands.limits().statements)?;
    }
    let breakdown = breakdown(&sent.breakdown)?;
    let spec = BucketSpec { grain: sent.grain, zone: sent.time_zone };
    let mut rounding = Rounding::default();
    let items: Vec<StatementItem> = sent.statements.iter().map(|raw| item::read(raw, &mut rounding)).collect();
    let (commands, replacement) = (&state.commands, replacement.as_ref());
    let recorded =
        commands.record_statements(&command.context, &sent.source, spec, &breakdown, &items, replacement).await?;
    let (batch, done) = recorded.split();
    let retracted = Some(batch.retracted);
    let form = ItemForm::Statement { grain: spec.grain, time_zone: spec.zone, breakdown };
    let rejected = SentItems { source: &sent.source, form, is_repeated: done.replayed };
    let text_of = |index: usize| sent.statements.get(index).map(|raw| raw.get().as_bytes());
    let kept = commands.keep_rejected(&command.context, &rejected, &batch.results, text_of).await;
    let body = BatchResponse::new(batch, kept, &rounding, done.position, query.results, |_| None);
    let body = BatchResponse { retracted, ..body };
    Ok(CommandResponse::new(StatusCode::OK, &command.context, &done, &body))
}

fn breakdown(names: &[Cow<'_, str>]) -> Result<Breakdown, CommandError> {
    let dimensions = names.iter().map(|name| dimension("breakdown", name)).collect::<Result<Vec<_>, _>>()?;
    Ok(Breakdown::new(dimensions)?)
}
