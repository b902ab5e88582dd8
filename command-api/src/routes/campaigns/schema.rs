//! The JSON of campaigns: requests and the response.

use chrono::{DateTime, NaiveDate, Utc};
use domain::campaign::{Budget, BudgetPeriod, CampaignCommand, CampaignEdit, ExternalId, InitialState};
use domain::channel::Channel;
use domain::ids::CampaignId;
use domain::json_objects;
use domain::money::{Currency, Money};
use domain::note::{NoteUrl, Reason};
use domain::zone::Zone;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::moment;
use crate::raw_number::{Decimal, Millionths, UniqueKeys};

/// A campaign to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({
    "name": "Winter sale",
    "channels": ["paid_search", "email"],
    "currency": "EUR",
    "time_zone": "Europe/Berlin",
    "starts_on": "2026-12-01",
    "ends_on": "2026-12-31",
    "budget": {"amount": "25000.00", "currency": "EUR"},
    "external_ids": [{"source": "google_ads", "id": "1234567890"}],
    "attributes": {"region": "dach"}
}))]
pub(crate) struct CreateCampaign {
    /// One line of 1 to 200 characters.
    name: String,
    /// The channels that it runs on. A launch needs at least one.
    #[schema(value_type = Vec<String>)]
    channels: Vec<Channel>,
    /// The currency of its budget: an ISO 4217 code.
    #[schema(value_type = String)]
    currency: Currency,
    /// The IANA time zone of its days.
    #[schema(value_type = String)]
    time_zone: Zone,
    /// Its first day.
    #[serde(deserialize_with = "moment::date")]
    starts_on: NaiveDate,
    /// Its last day. No last day if left out.
    #[serde(default, deserialize_with = "moment::date_or_null")]
    ends_on: Option<NaiveDate>,
    /// What it may spend. No limit if left out.
    #[serde(default)]
    budget: Option<BudgetInput>,
    /// The ids that other systems use for it.
    #[serde(default)]
    external_ids: Vec<ExternalIdInput>,
    /// Labels of your choice.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    attributes: UniqueKeys<String>,
    /// The status that it begins with: `draft`, if left out; `active`, which launches it; or `completed`, for one that
    /// is over. An active one is scheduled until its first day.
    #[serde(default)]
    #[schema(value_type = String)]
    status: InitialState,
    /// Why: 1 to 500 characters, shown by the campaign's activity.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    pub(super) reason: Option<Reason>,
    /// Where more is written: an `http` or `https` URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^https?://", max_length = 2000)]
    pub(super) note_url: Option<NoteUrl>,
}

json_objects!(read: CreateCampaign);

/// The changes to a campaign.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"name": "Winter sale, extended", "ends_on": "2027-01-15"}))]
#[expect(clippy::option_option, reason = "left out leaves a part as it is, null takes it away")]
pub(crate) struct EditCampaign {
    /// One line of 1 to 200 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    name: Option<String>,
    /// All the channels that it runs on.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    channels: Option<Vec<Channel>>,
    /// Fixed after the launch.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, nullable = false)]
    currency: Option<Currency>,
    /// Fixed after the launch.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, nullable = false)]
    time_zone: Option<Zone>,
    /// Fixed once that day has begun.
    #[serde(default, deserialize_with = "present_date")]
    #[schema(nullable = false)]
    starts_on: Option<NaiveDate>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "present_date_or_null")]
    #[schema(value_type = Option<NaiveDate>)]
    ends_on: Option<Option<NaiveDate>>,
    /// All of them. `null` removes all.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<ExternalIdInput>>)]
    external_ids: Option<Option<Vec<ExternalIdInput>>>,
    /// All of them. `null` removes all.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    attributes: Option<Option<UniqueKeys<String>>>,
    /// Why: 1 to 500 characters, shown by the campaign's activity.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    pub(super) reason: Option<Reason>,
    /// Where more is written: an `http` or `https` URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^https?://", max_length = 2000)]
    pub(super) note_url: Option<NoteUrl>,
}

json_objects!(read: EditCampaign);

/// A campaign's budget.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(example = json!({"budget": {"amount": "30000.00", "currency": "EUR", "per": "total"}}))]
pub(crate) struct SetBudget {
    /// What it may spend. `null` removes the limit. Required, so that an empty body removes nothing.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    pub(super) budget: Option<BudgetInput>,
    /// Why: 1 to 500 characters, shown by the campaign's activity.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 500)]
    pub(super) reason: Option<Reason>,
    /// Where more is written: an `http` or `https` URL.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^https?://", max_length = 2000)]
    pub(super) note_url: Option<NoteUrl>,
}

json_objects!(read: SetBudget);

/// What a campaign may spend, and in which period.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = Budget, example = json!({"amount": "800.00", "currency": "EUR", "per": "day"}))]
pub(crate) struct BudgetInput {
    /// The amount.
    #[schema(value_type = Decimal)]
    amount: Millionths,
    /// An ISO 4217 code.
    #[schema(value_type = String)]
    currency: Currency,
    /// `total`, if left out: from its first day to its last. `day`: each day of its zone.
    #[serde(default = "in_all")]
    #[schema(value_type = String)]
    per: BudgetPeriod,
}

json_objects!(read: BudgetInput);

fn in_all() -> BudgetPeriod {
    BudgetPeriod::Total
}

/// The id of a campaign in another system.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(remote = "Self", deny_unknown_fields)]
#[schema(as = ExternalId)]
pub(crate) struct ExternalIdInput {
    /// The source that uses it. Any source if left out.
    #[serde(default)]
    source: Option<String>,
    /// The id, as that system writes it.
    id: String,
}

json_objects!(read: ExternalIdInput);

/// The campaign after a command.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"campaign_id": "0195d2f4-7a1e-7c30-9e5b-3f0c8a4d1e62", "version": 4,
    "etag": "\"4.1795253400000123\"", "position": 18342}))]
pub(crate) struct CampaignResponse {
    /// The campaign.
    pub(super) campaign_id: Uuid,
    /// The number of its events.
    pub(super) version: i64,
    /// The entity tag of this version, with its quotes, as `If-Match` takes it. It is also the header `ETag`.
    pub(super) etag: String,
    /// The position of the log that covers the command.
    pub(super) position: i64,
}

impl From<BudgetInput> for Budget {
    fn from(sent: BudgetInput) -> Self {
        Self { amount: Money { micros: sent.amount.0, currency: sent.currency }, per: sent.per }
    }
}

impl From<ExternalIdInput> for ExternalId {
    fn from(sent: ExternalIdInput) -> Self {
        Self { source: sent.source, id: sent.id }
    }
}

impl CreateCampaign {
    pub(super) fn into_command(self, campaign: CampaignId, at: DateTime<Utc>) -> CampaignCommand {
        CampaignCommand::Create {
            campaign,
            name: self.name,
            channels: self.channels,
            currency: self.currency,
            time_zone: self.time_zone,
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            budget: self.budget.map(Into::into),
            external_ids: external_ids(self.external_ids),
            attributes: self.attributes.0,
            created_by_source: None,
            state: self.status,
            at,
        }
    }
}

impl EditCampaign {
    pub(super) fn into_edit(self, at: DateTime<Utc>) -> CampaignEdit {
        CampaignEdit {
            name: self.name,
            channels: self.channels,
            currency: self.currency,
            time_zone: self.time_zone,
            starts_on: self.starts_on,
            ends_on: self.ends_on,
            budget: None,
            external_ids: self.external_ids.map(|ids| external_ids(ids.unwrap_or_default())),
            attributes: self.attributes.map(|labels| labels.unwrap_or_default().0),
            at,
        }
    }
}

fn external_ids(sent: Vec<ExternalIdInput>) -> Vec<ExternalId> {
    sent.into_iter().map(Into::into).collect()
}

/// Reads a member that is present, so that `null` is a value of its type and never means "left out".
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn present_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NaiveDate>, D::Error> {
    moment::date(deserializer).map(Some)
}

#[expect(clippy::option_option, reason = "left out leaves a part as it is, null takes it away")]
fn present_date_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<NaiveDate>>, D::Error> {
    moment::date_or_null(deserializer).map(Some)
}
