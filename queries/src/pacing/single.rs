//! The pacing of one campaign: its spend is a report of its own.

use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::bucket::local_date;
use uuid::Uuid;

use super::MODEL;
use super::body::PacingBody;
use super::campaign::PacedCampaign;
use super::query::{MAX_DAYS, spend_query};
use super::spend::Spend;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::probe::Probe;
use crate::report::filter::Filter;
use crate::report::query::ReportQuery;
use crate::report::{ReportContext, SnapshotLookups, prepare};
use crate::result::{ResultMeta, TypedResult};
use crate::version::Version;

/// What a probe has loaded for pacing.
pub struct PacingInputs {
    campaign: PacedCampaign,
    /// The report of its spend.
    query: ReportQuery,
    spend: ReportContext,
}

pub(crate) async fn probe(snapshot: &mut Snapshot, id: Uuid) -> Result<Option<Probe<PacingInputs>>, ReadError> {
    let Some(campaign) = PacedCampaign::find(snapshot, id).await? else { return Ok(None) };
    let first_spent = first_spent(snapshot, id).await?;
    let query = daily_spend(&campaign, first_spent, local_date(snapshot.now, campaign.zone));
    let mut shared = SnapshotLookups::load(snapshot).await?;
    // Its version has the last midnight and holds until the next one, because both are edges of its days.
    let spend = prepare(snapshot, &mut shared, &query).await?.into_probe(snapshot);
    Ok(Some(spend.map(|spend| PacingInputs { campaign, query, spend })))
}

pub(crate) async fn load(
    snapshot: &mut Snapshot,
    version: Version,
    inputs: PacingInputs,
) -> Result<TypedResult<PacingBody>, ReadError> {
    let PacingInputs { campaign, query, spend: context } = inputs;
    let (rows, mut warnings) = context.rows_and_warnings(snapshot, &query).await?;
    let spend = Spend::of(&rows, &context);
    let body = campaign.body(&spend, snapshot.now, query.dates.to);
    warnings.extend(campaign.warnings(&spend));
    warnings.extend(campaign.spend_while_paused(&spend, query.dates.to));
    warnings.sort_unstable();
    let (time_zone, freshness) = (campaign.zone, Some(context.freshness(snapshot.now)));
    let meta = ResultMeta { time_zone, freshness, ..ResultMeta::of_snapshot(snapshot, MODEL, version, warnings) };
    Ok(TypedResult::whole(meta, body))
}

impl std::fmt::Debug for PacingInputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PacingInputs").field("query", &self.query).finish_non_exhaustive()
    }
}

/// The report of the spend of every day so far, in the campaign's zone.
fn daily_spend(campaign: &PacedCampaign, first_spent: Option<DateTime<Utc>>, today: NaiveDate) -> ReportQuery {
    // A day of another zone may belong to the date before.
    let first = first_spent.map(|at| local_date(at, campaign.zone)).and_then(|day| day.pred_opt());
    let earliest = today.checked_sub_days(Days::new(MAX_DAYS)).unwrap_or(today);
    let date_from = first.map_or(campaign.starts_on, |first| first.min(campaign.starts_on));
    spend_query(Filter::of_campaigns([campaign.id]), campaign.zone, (date_from.min(today).max(earliest), today))
}

/// The start of the first bucket with spend.
async fn first_spent(snapshot: &mut Snapshot, campaign: Uuid) -> Result<Option<DateTime<Utc>>, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let first = sqlx::query_scalar!(
        "SELECT least(
             (SELECT min(bucket) FROM read.rollup_15m
              WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3 AND measure = 'spend'),
             (SELECT min(bucket_start) FROM read.statements
              WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3 AND measure = 'spend' AND value IS NOT NULL)
         )",
        epoch,
        workspace,
        campaign,
    )
    .fetch_one(snapshot.db())
    .await?;
    Ok(first)
}
