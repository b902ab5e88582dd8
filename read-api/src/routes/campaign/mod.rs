//! One campaign.

mod at_tip; // many of them at once, where nothing moved meanwhile

use std::sync::Arc;

use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use domain::campaign::{Budget, BudgetPeriod, CampaignState, CampaignStatus, status};
use domain::money::{Currency, Money};
use http_edge::path::ApiPath;
use http_edge::query::ApiQuery;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::types::Json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::consistency::ConsistentSnapshot;
use crate::defaults::WorkspaceDefaults;
use crate::error::ReadError;
use crate::parked::ResourceScope;
use crate::pipeline::{
    HeadContext, QueryDefaults, ReadContext, Rendered, ResolvedQuery, Resource, ResponseParts, Validity, VersionProbe,
    params,
};
use crate::problems::CampaignProblems;
use crate::report::query::Paging;
use crate::response::Envelope;
use crate::snapshot::Snapshot;
use crate::sources::Sources;
use crate::version::{Scope, Version};

pub(crate) use at_tip::{CampaignAtHeadKey, LoadedCampaign, campaigns_at_tip};

/// The model that campaigns are read from, as answers name it.
pub(crate) const MODEL: &str = "campaigns";

/// A campaign.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Campaign)]
pub(crate) struct CampaignBody {
    pub(crate) campaign_id: Uuid,
    /// How many events made it what it is: what a command's `If-Match` compares.
    pub(crate) version: i64,
    pub(crate) name: String,
    /// `draft`, `scheduled`, `active`, `paused`, `completed` or `archived`.
    #[schema(value_type = String, example = "active")]
    pub(crate) status: CampaignStatus,
    #[schema(example = json!(["paid_search"]))]
    pub(crate) channels: Vec<String>,
    /// Of its budget.
    #[schema(value_type = String, example = "EUR")]
    pub(crate) currency: Currency,
    /// The zone of its days.
    #[schema(example = "Europe/Berlin")]
    pub(crate) time_zone: String,
    /// Its first day.
    pub(crate) starts_on: NaiveDate,
    /// Its last day.
    pub(crate) ends_on: Option<NaiveDate>,
    /// What it may spend.
    pub(crate) budget: Option<BudgetBody>,
    /// What others call it.
    #[schema(value_type = Vec<Object>)]
    pub(crate) external_ids: Box<RawValue>,
    /// Free labels.
    #[schema(value_type = Object)]
    pub(crate) attributes: Box<RawValue>,
    pub(crate) created_at: DateTime<Utc>,
    /// When one of its own events last changed it.
    pub(crate) changed_at: DateTime<Utc>,
}

/// What a campaign may spend, and in which time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Budget)]
pub(crate) struct BudgetBody {
    /// With six places.
    #[schema(example = "1234.560000")]
    amount: String,
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    /// `total`: from its first day to its last. `day`: each day of its zone.
    #[schema(value_type = String, example = "total")]
    per: BudgetPeriod,
}

impl From<Budget> for BudgetBody {
    fn from(budget: Budget) -> Self {
        let Money { micros, currency } = budget.amount;
        Self { amount: domain::decimal::format_millionths(micros.into()), currency, per: budget.per }
    }
}

/// A campaign as its table has it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct CampaignRow {
    pub(crate) campaign_id: Uuid,
    version: i64,
    pub(crate) name: String,
    state: String,
    channels: Vec<String>,
    currency: String,
    time_zone: String,
    pub(crate) starts_on: NaiveDate,
    ends_on: Option<NaiveDate>,
    starts_at: DateTime<Utc>,
    budget_micros: Option<i64>,
    budget_per: Option<String>,
    external_ids: Json<Box<RawValue>>,
    attributes: Json<Box<RawValue>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) changed_at: DateTime<Utc>,
}

impl CampaignRow {
    /// The campaign as it stands at `now`.
    pub(crate) fn at(self, now: DateTime<Utc>) -> Result<CampaignBody, ReadError> {
        let state: CampaignState = self.state.parse().map_err(ReadError::corrupt)?;
        let currency = self.currency.parse().map_err(ReadError::corrupt)?;
        let budget = budget(self.budget_micros, self.budget_per.as_deref(), currency)?;
        Ok(CampaignBody {
            campaign_id: self.campaign_id,
            version: self.version,
            name: self.name,
            status: status(state, self.starts_at, now),
            channels: self.channels,
            currency,
            time_zone: self.time_zone,
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            budget: budget.map(BudgetBody::from),
            external_ids: self.external_ids.0,
            attributes: self.attributes.0,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

/// A budget as the table of campaigns has it.
pub(crate) fn budget(micros: Option<i64>, per: Option<&str>, currency: Currency) -> Result<Option<Budget>, ReadError> {
    let per = per.map(|per| per.parse().map_err(ReadError::corrupt)).transpose()?;
    Ok(micros.zip(per).map(|(micros, per)| Budget { amount: Money { micros, currency }, per }))
}

/// Which campaign, by the path of all that is told of one.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct CampaignPath {
    /// The campaign
    #[param(example = "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62")]
    pub(crate) id: Uuid,
}

params! {
    /// The parameters of one campaign.
    pub(crate) struct CampaignParams {}
}

/// What was asked of one campaign, in its canonical form, where that is all.
#[derive(Debug, Serialize)]
pub(crate) struct CampaignQuery {
    pub(crate) campaign_id: Uuid,
}

/// One campaign.
#[utoipa::path(
    get,
    path = "/v1/campaigns/{id}",
    operation_id = "get_campaign",
    tag = "campaigns",
    params(CampaignPath, CampaignParams),
    responses(
        (status = 200, description = "The campaign", body = Envelope<'static, CampaignBody>),
        (status = 304, description = "Nothing changed since the version of `If-None-Match`."),
        CampaignProblems,
    )
)]
pub(crate) async fn show(
    caller: ReadContext,
    ApiPath(CampaignPath { id }): ApiPath<CampaignPath>,
    ApiQuery(params): ApiQuery<CampaignParams>,
) -> Result<Response, ReadError> {
    caller.answer(Campaign { id, params }).await
}

/// One campaign.
struct Campaign {
    id: Uuid,
    params: CampaignParams,
}

impl Resource for Campaign {
    const MODEL: &'static str = MODEL;
    type Params = CampaignParams;
    type Query = CampaignQuery;
    type Prepared = CampaignRow;

    fn params(&self) -> &CampaignParams {
        &self.params
    }

    fn scope(&self) -> ResourceScope {
        ResourceScope::campaigns([self.id])
    }

    fn query(&self, _: QueryDefaults) -> Result<(CampaignQuery, Option<Paging>), ReadError> {
        Ok((CampaignQuery { campaign_id: self.id }, None))
    }

    async fn probe(
        &self,
        settled: &mut ConsistentSnapshot,
        _: &CampaignQuery,
    ) -> Result<Option<VersionProbe<CampaignRow>>, ReadError> {
        let snapshot = &mut settled.snapshot;
        let Some(row) = find(snapshot, self.id).await? else { return Ok(None) };
        let touched = Scope::Campaigns(vec![self.id]).last_change(snapshot, &[]).await?;
        let version = Version::new(snapshot.revision, touched.position, touched.last_start);
        let (epoch, lasting) = (snapshot.epoch, Validity::Until(touched.next_start));
        Ok(Some(VersionProbe { epoch, version, lasting, numbers: None, ground: row }))
    }

    async fn render(
        &self,
        snapshot: &mut Snapshot,
        sought: &ResolvedQuery<CampaignQuery>,
        survey: VersionProbe<CampaignRow>,
    ) -> Result<Rendered, ReadError> {
        let data = survey.ground.at(snapshot.now)?;
        let warnings = snapshot.parked.warning(&self.scope(), &Sources::new()).into_iter().collect();
        let time_zone = snapshot.time_zone;
        let contents = ResponseParts { data, next_cursor: None, time_zone, freshness: None, warnings };
        sought.told::<Self, _>((snapshot.epoch, snapshot.currency), survey.version, contents)
    }

    async fn render_at_head(
        &self,
        at: &HeadContext<'_>,
        sought: &ResolvedQuery<CampaignQuery>,
    ) -> Result<Option<(VersionProbe<()>, Rendered)>, ReadError> {
        let Some(found) = at.state.campaigns.load(CampaignAtHeadKey::new(at, self.id)).await else { return Ok(None) };
        let LoadedCampaign { row, last_touched } = Arc::unwrap_or_clone(found);
        let starts_at = Some(row.starts_at).filter(|_| row.state == CampaignState::Launched.name());
        let (started, starts) = (starts_at.filter(|start| *start <= at.now), starts_at.filter(|start| *start > at.now));
        let version = Version::new(at.tip.revision, last_touched, started);
        let (epoch, WorkspaceDefaults { time_zone, currency }) = (at.tip.epoch, at.defaults);
        let survey = VersionProbe { epoch, version, lasting: Validity::Until(starts), numbers: None, ground: () };
        let data = row.at(at.now)?;
        let contents = ResponseParts { data, next_cursor: None, time_zone, freshness: None, warnings: Vec::new() };
        Ok(Some((survey, sought.told::<Self, _>((epoch, currency), version, contents)?)))
    }
}

async fn find(snapshot: &mut Snapshot, id: Uuid) -> Result<Option<CampaignRow>, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let row = sqlx::query_as!(
        CampaignRow,
        r#"SELECT campaign_id, version, name, state, channels, currency, time_zone, starts_on, ends_on, starts_at,
                  budget_micros, budget_per, external_ids AS "external_ids: Json<Box<RawValue>>", attributes AS "attributes: Json<Box<RawValue>>",
                  created_at, changed_at
           FROM read.campaigns WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3"#,
        epoch,
        workspace,
        id,
    )
    .fetch_optional(snapshot.db())
    .await?;
    Ok(row)
}
