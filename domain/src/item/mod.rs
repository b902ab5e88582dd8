//! The parts of a batch's items, and their errors. One bad item never fails its neighbours.
//!
//! An item is an [`ObservationInput`](crate::observation::ObservationInput) or a
//! [`StatementInput`](crate::statement::StatementInput). A parser of a format produces these, or a [`RejectedItem`] for
//! an unreadable one.

mod error;

use chrono::{DateTime, TimeDelta, Utc};

use crate::decimal::format_millionths;
use crate::ids::CampaignId;
use crate::measure::{Measure, MeasureError, Unit};
use crate::money::{Currency, MoneyLimit};
use crate::rfc3339;

pub use error::{ItemError, ItemErrorCode, RejectedItem, truncate};

/// How far a sender's clock may be ahead of the server's.
pub const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

const MAX_EXTERNAL_ID: usize = 200;

/// The reference to a campaign in an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CampaignRef {
    /// By Highwater's id.
    Id(CampaignId),
    /// By the id that the item's source uses.
    External(String),
}

impl CampaignRef {
    /// Rejects an external id that no campaign can have.
    pub fn validate(&self) -> Result<(), ItemError> {
        let Self::External(id) = self else { return Ok(()) };
        let length = id.chars().count();
        if length == 0 || length > MAX_EXTERNAL_ID || id.chars().any(char::is_control) {
            let detail = format!("must be 1 to {MAX_EXTERNAL_ID} characters, none a control character");
            return Err(ItemError::at(ItemErrorCode::BadCampaign, "external_campaign_id", detail));
        }
        Ok(())
    }
}

/// An amount of a measure, as an integer in the measure's unit: things, millionths of a conversion, micros of a
/// currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// The integer.
    pub value: i64,
    /// The currency, if the sender names one. Otherwise money is in the source's currency.
    pub currency: Option<Currency>,
}

impl Amount {
    /// Rejects an amount that `measure` cannot have, whatever its source. `field` names the amount in the error.
    pub fn validate(&self, measure: Measure, field: &str) -> Result<(), ItemError> {
        if self.value < 0 && !measure.may_be_negative() {
            return Err(ItemError::at(ItemErrorCode::BadValue, field, MeasureError::Negative.to_string()));
        }
        match (measure.unit(), self.currency) {
            (Unit::Count | Unit::Credit | Unit::Ratio, Some(_)) => {
                Err(ItemError::at(ItemErrorCode::BadValue, field, format!("{measure} has no currency")))
            }
            (Unit::Money, _) | (Unit::Count | Unit::Credit | Unit::Ratio, None) => Ok(()),
        }
    }

    /// The integer, if the amount is in `currency` or names none.
    pub fn in_currency(&self, currency: Currency, field: &str) -> Result<i64, ItemError> {
        match self.currency {
            Some(named) if named != currency => {
                let detail = format!("is in {named}, but the source's money is in {currency}");
                Err(ItemError::at(ItemErrorCode::CurrencyMismatch, field, detail))
            }
            Some(_) | None => Ok(self.value),
        }
    }
}

/// Rejects an amount of so many micros that is not within the limit of the workspace. `field` names the amount in the
/// error.
pub fn check_money_limit(limit: MoneyLimit, micros: i64, field: &str) -> Result<(), ItemError> {
    if limit.holds(micros) {
        return Ok(());
    }
    let (amount, limit) = (format_millionths(micros.into()), format_millionths(limit.micros().into()));
    let detail = format!(
        "of {amount} is beyond the money limit of this workspace, {limit}: send it in units of the currency, not in \
         cents or micros, or raise the limit with PUT /v1/workspace/money-limit"
    );
    Err(ItemError::at(ItemErrorCode::OverMoneyLimit, field, detail))
}

/// Parses an RFC 3339 instant. Events keep milliseconds, so it is truncated here, for ids and values alike.
pub fn parse_instant(field: &str, text: &str) -> Result<DateTime<Utc>, ItemError> {
    rfc3339::parse_instant(text)
        .map(truncate_to_millis)
        .map_err(|error| ItemError::at(ItemErrorCode::BadTime, field, error.to_string()))
}

/// Cuts an instant to the millisecond.
pub fn truncate_to_millis(instant: DateTime<Utc>) -> DateTime<Utc> {
    // Every instant lies in a millisecond.
    DateTime::from_timestamp_millis(instant.timestamp_millis()).unwrap_or(instant)
}

/// Rejects an instant that is further ahead than a sender's clock may be.
pub fn check_not_ahead(field: &str, instant: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), ItemError> {
    if instant > now + MAX_CLOCK_SKEW {
        let detail = format!("lies more than {} minutes ahead of this server's clock", MAX_CLOCK_SKEW.num_minutes());
        return Err(ItemError::at(ItemErrorCode::InFuture, field, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
