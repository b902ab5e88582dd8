//! Rejections by a campaign: one variant for each rule.

use chrono::NaiveDate;
use thiserror::Error;

use super::status::CampaignState;
use crate::channel::Channel;
use crate::money::Currency;
use crate::rule_codes::rule_codes;
use crate::text::TextError;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CampaignError {
    /// It was created before.
    #[error("the campaign exists already")]
    AlreadyCreated,
    /// It was never created.
    #[error("the campaign does not exist")]
    NotFound,
    /// Its name is not one line of 1 to 200 characters.
    #[error("the name {0}")]
    Name(TextError),
    /// A channel is named more than once.
    #[error("the channel {channel} is named more than once")]
    DuplicateChannel {
        /// The channel.
        channel: Channel,
    },
    /// More than 20 channels.
    #[error("{count} channels are too many, at most 20 are allowed")]
    TooManyChannels {
        /// The number of channels.
        count: usize,
    },
    /// A launch without a channel, or the removal of the last channel of a launched campaign.
    #[error("a launched campaign needs at least one channel")]
    ChannelRequired,
    /// Its last day comes before its first.
    #[error("the campaign would end on {ends_on}, before it starts on {starts_on}")]
    EndsBeforeStart {
        /// Its first day.
        starts_on: NaiveDate,
        /// Its last day.
        ends_on: NaiveDate,
    },
    /// Its first day is not in the supported years.
    #[error("the first day {starts_on} lies outside of the years 1970 to 2199")]
    StartOutOfRange {
        /// Its first day.
        starts_on: NaiveDate,
    },
    /// Its last day is not in the supported years.
    #[error("the last day {ends_on} lies outside of the years 1970 to 2199")]
    EndOutOfRange {
        /// Its last day.
        ends_on: NaiveDate,
    },
    /// A launch after its last day.
    #[error("the campaign cannot be launched, because its last day {ends_on} has passed")]
    EndDateInPast {
        /// Its last day.
        ends_on: NaiveDate,
    },
    /// A launch of anything but a draft.
    #[error("only a draft can be launched, and the campaign is {state}")]
    AlreadyLaunched {
        /// Its state.
        state: CampaignState,
    },
    /// A pause of a campaign that is not launched.
    #[error("only a launched campaign can be paused, and the campaign is {state}")]
    NotLaunched {
        /// Its state.
        state: CampaignState,
    },
    /// A resumption of a campaign that is not paused.
    #[error("only a paused campaign can be resumed, and the campaign is {state}")]
    NotPaused {
        /// Its state.
        state: CampaignState,
    },
    /// A completion of a campaign that was never launched, or is over.
    #[error("only a launched or paused campaign can be completed, and the campaign is {state}")]
    NotUnderway {
        /// Its state.
        state: CampaignState,
    },
    /// Archiving a campaign that is launched.
    #[error("a launched campaign cannot be archived: pause or complete it first")]
    LaunchedCannotBeArchived,
    /// Any command but bringing it back, to an archived campaign.
    #[error("the campaign is archived and takes no changes: unarchive it first")]
    Archived,
    /// Bringing back a campaign that is not archived.
    #[error("only an archived campaign can be unarchived, and the campaign is {state}")]
    NotArchived {
        /// Its state.
        state: CampaignState,
    },
    /// A change of the channels or days of a completed campaign.
    #[error("the campaign is completed: only its name, external ids and attributes can still change")]
    Completed {
        /// The changed field.
        field: &'static str,
    },
    /// Another currency after the launch.
    #[error("the currency {currency} is fixed since the launch")]
    CurrencyFixed {
        /// Its currency.
        currency: Currency,
    },
    /// Another time zone after the launch.
    #[error("the time zone is fixed since the launch")]
    TimeZoneFixed,
    /// Another first day after that day has begun.
    #[error("the campaign has started on {starts_on}, and its first day is fixed since")]
    StartFixed {
        /// Its first day.
        starts_on: NaiveDate,
    },
    /// A budget of 0 or less.
    #[error("the budget must be more than 0")]
    BudgetNotPositive,
    /// A budget in another currency than the campaign's.
    #[error("the budget is in {budget}, and the campaign's currency is {campaign}")]
    BudgetCurrency {
        /// The budget's currency.
        budget: Currency,
        /// The campaign's currency.
        campaign: Currency,
    },
    /// A change of the budget after completion.
    #[error("the campaign is completed, and its budget is fixed since")]
    BudgetFixed,
    /// An external id is named more than once for the same source.
    #[error("the external id {id} is named more than once")]
    ExternalIdTwice {
        /// The external id.
        id: String,
    },
    /// More than 50 external ids.
    #[error("{count} external ids are too many, at most 50 are allowed")]
    TooManyExternalIds {
        /// The number of external ids.
        count: usize,
    },
    /// An external id is not one line of 1 to 200 characters.
    #[error("an external id {0}")]
    ExternalId(TextError),
    /// An external id's source is not a valid name of a source.
    #[error("the source of an external id {0}")]
    ExternalIdSource(TextError),
    /// More than 50 attributes.
    #[error("{count} attributes are too many, at most 50 are allowed")]
    TooManyAttributes {
        /// The number of attributes.
        count: usize,
    },
    /// An attribute's key has another shape than `[a-z][a-z0-9_]{0,39}`.
    #[error("{key:?} is not an attribute key: 1 to 40 lower-case letters, digits and _, a letter first")]
    AttributeKey {
        /// The key.
        key: String,
    },
    /// An attribute's value has more than 500 characters.
    #[error("the attribute {key} has {length} characters, at most 500 are allowed")]
    AttributeTooLong {
        /// The key.
        key: String,
        /// The length of its value in characters.
        length: usize,
    },
    /// An attribute's value holds a control character other than a line break or a tab.
    #[error("the attribute {key} contains a control character")]
    AttributeControlCharacter {
        /// The key.
        key: String,
    },
}

impl CampaignError {
    /// The field of the command that broke the rule, if it was one field.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::AlreadyCreated
            | Self::NotFound
            | Self::AlreadyLaunched { .. }
            | Self::NotLaunched { .. }
            | Self::NotPaused { .. }
            | Self::NotUnderway { .. }
            | Self::LaunchedCannotBeArchived
            | Self::Archived
            | Self::NotArchived { .. } => None,
            Self::Name(_) => Some("name"),
            Self::DuplicateChannel { .. } | Self::TooManyChannels { .. } | Self::ChannelRequired => Some("channels"),
            Self::StartOutOfRange { .. } | Self::StartFixed { .. } => Some("starts_on"),
            Self::EndsBeforeStart { .. } | Self::EndOutOfRange { .. } | Self::EndDateInPast { .. } => Some("ends_on"),
            Self::Completed { field } => Some(field),
            Self::CurrencyFixed { .. } => Some("currency"),
            Self::TimeZoneFixed => Some("time_zone"),
            Self::BudgetNotPositive | Self::BudgetCurrency { .. } | Self::BudgetFixed => Some("budget"),
            Self::ExternalIdTwice { .. }
            | Self::TooManyExternalIds { .. }
            | Self::ExternalId(_)
            | Self::ExternalIdSource(_) => Some("external_ids"),
            Self::TooManyAttributes { .. }
            | Self::AttributeKey { .. }
            | Self::AttributeTooLong { .. }
            | Self::AttributeControlCharacter { .. } => Some("attributes"),
        }
    }
}

rule_codes!(CampaignError {
    Self::AlreadyCreated => "campaign-exists",
    Self::NotFound => "campaign-not-found",
    Self::Name(_) => "invalid-name",
    Self::DuplicateChannel { .. } => "channel-twice",
    Self::TooManyChannels { .. } => "too-many-channels",
    Self::ChannelRequired => "channel-required",
    Self::EndsBeforeStart { .. } => "ends-before-start",
    Self::StartOutOfRange { .. } | Self::EndOutOfRange { .. } => "date-out-of-range",
    Self::EndDateInPast { .. } => "last-day-passed",
    Self::AlreadyLaunched { .. } => "not-a-draft",
    Self::NotLaunched { .. } => "not-launched",
    Self::NotPaused { .. } => "not-paused",
    Self::NotUnderway { .. } => "not-underway",
    Self::LaunchedCannotBeArchived => "still-launched",
    Self::Archived => "campaign-archived",
    Self::NotArchived { .. } => "not-archived",
    Self::Completed { .. } => "campaign-completed",
    Self::CurrencyFixed { .. } => "currency-fixed",
    Self::TimeZoneFixed => "time-zone-fixed",
    Self::StartFixed { .. } => "start-fixed",
    Self::BudgetNotPositive => "budget-not-positive",
    Self::BudgetCurrency { .. } => "budget-currency",
    Self::BudgetFixed => "budget-fixed",
    Self::ExternalIdTwice { .. } => "external-id-twice",
    Self::TooManyExternalIds { .. } => "too-many-external-ids",
    Self::ExternalId(_) => "invalid-external-id",
    Self::ExternalIdSource(_) => "invalid-external-id-source",
    Self::TooManyAttributes { .. } => "too-many-attributes",
    Self::AttributeKey { .. } => "invalid-attribute-key",
    Self::AttributeTooLong { .. } | Self::AttributeControlCharacter { .. } => "invalid-attribute-value",
});
