//! Warnings about the data of an answer.

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A warning about the data.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Warning {
    /// A stable code, for programs.
    #[schema(value_type = String, example = "grain_mismatch")]
    pub code: &'static str,
    /// A text, for people.
    pub detail: String,
    /// The sources concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// The measures concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub measures: Vec<&'static str>,
    /// The spend concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spend: Option<CampaignSpend>,
}

/// What a campaign spent on some days.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct CampaignSpend {
    /// The campaign.
    pub campaign_id: Uuid,
    /// The spend of these days.
    pub amount: SpendAmount,
    /// The days, in the campaign's time zone: the last 31 of them.
    pub dates: Vec<NaiveDate>,
}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(as = Money)]
pub struct SpendAmount {
    /// With six places.
    #[schema(example = "1234.560000")]
    pub amount: String,
    /// As ISO 4217 writes it.
    #[schema(example = "EUR")]
    pub currency: String,
}

impl Warning {
    /// The bytes that it takes.
    pub(crate) fn weight(&self) -> usize {
        let dates = self.spend.as_ref().map_or(0, |spend| size_of_val(spend.dates.as_slice()));
        size_of::<Self>() + dates + self.detail.len() + self.sources.iter().map(|name| name.len() + 24).sum::<usize>()
    }
}
