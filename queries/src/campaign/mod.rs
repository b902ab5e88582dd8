//! One campaign.

mod at_head; // many campaigns by one statement, at the model head

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use domain::campaign::{Budget, BudgetPeriod, CampaignState, CampaignStatus, CampaignVersion, status};
use domain::money::{Currency, Money};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::database::batch_loader::BatchLoader;
use crate::database::defaults::WorkspaceDefaults;
use crate::database::model_head::HeadContext;
use crate::database::snapshot::Snapshot;
use crate::error::ReadError;
use crate::last_change::{NumberMarks, Scope};
use crate::parked::ResourceScope;
use crate::probe::{Probe, Validity};
use crate::result::{ResultMeta, TypedResult};
use crate::version::Version;
use crate::warning::Warning;

pub(crate) use at_head::{CampaignAtHeadKey, LoadedCampaign, load_campaigns_at_head};

/// The model that campaigns are read from, as answers name it.
pub const MODEL: &str = "campaigns";

/// A campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct Campaign {
    pub campaign_id: Uuid,
    /// The number of its events.
    pub version: i64,
    /// The entity tag of this version, with its quotes, as a command's `If-Match` takes it.
    #[schema(example = "\"3.1795253400000123\"")]
    pub etag: String,
    pub name: String,
    /// `draft`, `scheduled`, `active`, `paused`, `completed` or `archived`.
    #[schema(value_type = String, example = "active")]
    pub status: CampaignStatus,
    #[schema(example = json!(["paid_search"]))]
    pub channels: Vec<String>,
    /// The currency of its budget.
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
    /// The time zone of its days.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    /// Its first day.
    pub starts_on: NaiveDate,
    /// Its last day.
    pub ends_on: Option<NaiveDate>,
    /// Its budget.
    pub budget: Option<BudgetBody>,
    /// Its ids in other systems.
    #[schema(value_type = Vec<Object>)]
    pub external_ids: Box<RawValue>,
    /// Free labels.
    #[schema(value_type = Object)]
    pub attributes: Box<RawValue>,
    /// The source whose items named it first, if it was created for them.
    pub created_by_source: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When one of its own events last changed it.
    pub changed_at: DateTime<Utc>,
}

/// The budget of a campaign.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Budget)]
pub struct BudgetBody {
    /// The amount, with six decimals.
    #[schema(example = "1234.560000")]
    pub amount: String,
    #[schema(value_type = String, example = "EUR")]
    pub currency: Currency,
    /// `total`: for all days of the campaign. `day`: for each day, in the campaign's time zone.
    #[schema(value_type = String, example = "total")]
    pub per: BudgetPeriod,
}

impl From<Budget> for BudgetBody {
    fn from(budget: Budget) -> Self {
        let Money { micros, currency } = budget.amount;
        Self { amount: domain::decimal::format_millionths(micros.into()), currency, per: budget.per }
    }
}

/// A campaign as the table has it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct CampaignRow {
    pub campaign_id: Uuid,
    version: i64,
    pub name: String,
    state: String,
    channels: Vec<String>,
    currency: String,
    time_zone: String,
    pub starts_on: NaiveDate,
    ends_on: Option<NaiveDate>,
    starts_at: DateTime<Utc>,
    budget_micros: Option<i64>,
    budget_per: Option<String>,
    external_ids: Json<Box<RawValue>>,
    attributes: Json<Box<RawValue>>,
    created_by_source: Option<String>,
    pub created_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

impl CampaignRow {
    /// The campaign, with its status at `now`.
    pub(crate) fn at(self, now: DateTime<Utc>) -> Result<Campaign, ReadError> {
        let state: CampaignState = self.state.parse().map_err(ReadError::corrupt)?;
        let currency = self.currency.parse().map_err(ReadError::corrupt)?;
        let budget = budget(self.budget_micros, self.budget_per.as_deref(), currency)?;
        Ok(Campaign {
            campaign_id: self.campaign_id,
            version: self.version,
            etag: format!("\"{}\"", CampaignVersion::new(self.version, self.changed_at)),
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
            created_by_source: self.created_by_source,
            created_at: self.created_at,
            changed_at: self.changed_at,
        })
    }
}

/// A budget as the table of campaigns has it.
pub fn budget(micros: Option<i64>, per: Option<&str>, currency: Currency) -> Result<Option<Budget>, ReadError> {
    let per = per.map(|per| per.parse().map_err(ReadError::corrupt)).transpose()?;
    Ok(micros.zip(per).map(|(micros, per)| Budget { amount: Money { micros, currency }, per }))
}

/// The canonical query of one campaign, if it has no other parameters.
#[derive(Debug, Serialize)]
pub struct CampaignQuery {
    pub campaign_id: Uuid,
}

impl Campaign {
    /// The bytes that it takes in memory, about.
    pub(crate) fn weight(&self) -> usize {
        let channels: usize = self.channels.iter().map(|channel| channel.len() + 24).sum();
        let texts =
            self.name.len() + self.time_zone.len() + self.external_ids.get().len() + self.attributes.get().len();
        size_of::<Self>() + channels + texts
    }
}

pub(crate) async fn probe(snapshot: &mut Snapshot, id: Uuid) -> Result<Option<Probe<CampaignRow>>, ReadError> {
    let Some(row) = find(snapshot, id).await? else { return Ok(None) };
    let last_change = Scope::Campaigns(vec![id]).last_change(snapshot, &NumberMarks::default()).await?;
    let version = snapshot.version(last_change.position, last_change.last_start).await?;
    let (epoch, validity) = (snapshot.epoch, Validity::Until(last_change.next_start));
    Ok(Some(Probe { epoch, version, validity, numbers: None, prepared: row }))
}

pub(crate) fn load(
    snapshot: &Snapshot,
    id: Uuid,
    version: Version,
    row: CampaignRow,
) -> Result<TypedResult<Campaign>, ReadError> {
    let campaign = row.at(snapshot.now)?;
    let parked = snapshot.parked.warning(&ResourceScope::campaigns([id]), |_| None);
    let meta = ResultMeta::of_snapshot(snapshot, MODEL, version, parked.into_iter().collect());
    Ok(TypedResult::whole(meta, campaign))
}

/// Version and result by one statement. `None`: the workspace is no longer at this head, or has no such campaign.
pub(crate) async fn load_at_head(
    campaigns: &BatchLoader<CampaignAtHeadKey, LoadedCampaign>,
    at: HeadContext<'_>,
    id: Uuid,
) -> Result<Option<(Probe<()>, TypedResult<Campaign>)>, ReadError> {
    let Some(found) = campaigns.load(CampaignAtHeadKey::new(at, id)).await else { return Ok(None) };
    let LoadedCampaign { row, last_touched } = Arc::unwrap_or_clone(found);
    let starts_at = Some(row.starts_at).filter(|_| row.state == CampaignState::Launched.name());
    let (started, starts) = (starts_at.filter(|start| *start <= at.now), starts_at.filter(|start| *start > at.now));
    // Nothing of this workspace was ever parked.
    let version = Version::new(last_touched, at.head.revision.count, started);
    let (epoch, WorkspaceDefaults { time_zone, currency, .. }) = (at.head.epoch, at.defaults);
    let probe = Probe { epoch, version, validity: Validity::Until(starts), numbers: None, prepared: () };
    let campaign = row.at(at.now)?;
    let (freshness, warnings) = (None, Vec::<Warning>::new());
    let meta = ResultMeta { model: MODEL, epoch, version, time_zone, currency, freshness, warnings };
    Ok(Some((probe, TypedResult::whole(meta, campaign))))
}

async fn find(snapshot: &mut Snapshot, id: Uuid) -> Result<Option<CampaignRow>, ReadError> {
    let (epoch, workspace) = (snapshot.epoch, snapshot.workspace);
    let row = sqlx::query_as!(
        CampaignRow,
        r#"SELECT campaign_id, version, name, state, channels, currency, time_zone, starts_on, ends_on, starts_at,
                  budget_micros, budget_per, external_ids AS "external_ids: Json<Box<RawValue>>",
                  attributes AS "attributes: Json<Box<RawValue>>",
                  created_by_source, created_at, changed_at
           FROM read.campaigns WHERE epoch = $1 AND workspace = $2 AND campaign_id = $3"#,
        epoch,
        workspace,
        id,
    )
    .fetch_optional(snapshot.db())
    .await?;
    Ok(row)
}
