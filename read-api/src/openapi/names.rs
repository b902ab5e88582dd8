//! Members and parameters with a fixed set of values, which the document lists.
//!
//! Sets that may grow within a version of the API, such as the codes of warnings and the channels, are not listed.

use domain::bucket::{Grain, Granularity, MONTHS, RetailWeeks, WEEKDAYS, month_name, weekday_name};
use domain::campaign::{BudgetPeriod, CampaignStatus};
use domain::freshness::{Finality, SourceStatus};
use domain::measure::Unit;
use domain::observation::{Dimension, ObservationType};
use domain::source::{SourceKind, SourceRole};
use http_edge::docs::names::NameSet;
use queries::campaigns::{FIELDS as CAMPAIGN_FIELDS, orders as campaign_orders};
use queries::pacing::PaceSort;
use queries::report::calendar::NO_RETAIL_WEEKS;
use queries::report::query::{DataState, GroupKey};
use strum::VariantArray;

/// The sets, by what they are about.
pub(super) fn sets() -> Vec<NameSet> {
    [of_reports(), of_calendars(), of_campaigns(), of_sources()].concat()
}

fn of_reports() -> Vec<NameSet> {
    let granularities = Granularity::ALL.map(Granularity::name);
    let states = [DataState::All, DataState::Final].map(DataState::name);
    let keys_of_one = groups().filter(|name| *name != GroupKey::Campaign.name());
    vec![
        NameSet::new("Granularity", "The length of a report's buckets.", granularities)
            .member("granularity")
            .parameter("granularity"),
        NameSet::new("Fill", "What stands for buckets without numbers.", ["none", "zero", "zero_if_complete"])
            .member("fill")
            .parameter("fill"),
        NameSet::new("Ratios", "What efficiencies divide.", ["printed", "covered"])
            .member("ratios")
            .parameter("ratios"),
        NameSet::new("DataState", "Every bucket, or final ones only.", states)
            .member("data_state")
            .parameter("data_state"),
        NameSet::new("GroupKey", "What rows are grouped by.", groups()).member("group_by"),
        NameSet::new("CampaignGroupKey", "What rows about one campaign are grouped by.", keys_of_one)
            .list_parameter("group_by"),
        NameSet::new("SubtotalKey", "What subtotals are by.", ["bucket"].into_iter().chain(groups()))
            .member("subtotals"),
        NameSet::new("Finality", "How settled numbers are.", names(Finality::name)).member("state"),
        NameSet::new("Unit", "What a measure is counted in.", names(Unit::name)).member_beside("unit", "additive"),
        NameSet::new("LeaderboardWindow", "How many days a leaderboard covers.", ["7d", "30d"]).parameter("window"),
        NameSet::new("OnTimeout", "What answers a read that waited in vain.", ["stale", "error"])
            .parameter("on_timeout"),
    ]
}

fn of_calendars() -> Vec<NameSet> {
    let retail_weeks = || RetailWeeks::ALL.into_iter().map(RetailWeeks::name);
    vec![
        NameSet::new("Weekday", "The day on which weeks begin.", WEEKDAYS.map(weekday_name))
            .member("week_start")
            .parameter("week_start"),
        NameSet::new("Month", "The month with which years begin.", MONTHS.map(month_name))
            .member("year_start")
            .parameter("year_start"),
        NameSet::new("RetailWeeks", "The three months of a quarter in weeks.", retail_weeks()).member("retail_weeks"),
        NameSet::new(
            "QueryRetailWeeks",
            "The three months of a quarter in weeks; `none` for months of the Gregorian calendar.",
            retail_weeks().chain([NO_RETAIL_WEEKS]),
        )
        .member_beside("retail_weeks", "granularity")
        .parameter("retail_weeks"),
    ]
}

fn of_campaigns() -> Vec<NameSet> {
    vec![
        NameSet::new("CampaignStatus", "The status of a campaign.", CampaignStatus::ALL.map(CampaignStatus::name))
            .member("status")
            .list_parameter("status"),
        NameSet::new("BudgetPeriod", "The period of a budget.", BudgetPeriod::ALL.map(BudgetPeriod::name))
            .member_beside("per", "amount"),
        NameSet::new("CampaignField", "A member of a campaign.", CAMPAIGN_FIELDS).list_parameter("fields"),
        NameSet::new("CampaignOrder", "What campaigns are sorted by.", campaign_orders())
            .parameter_of("list_campaigns", "sort"),
        NameSet::new("PaceOrder", "What pacing is sorted by.", PaceSort::all()).parameter_of("list_pacing", "sort"),
    ]
}

fn of_sources() -> Vec<NameSet> {
    let types = ObservationType::ALL.iter().map(|kind| kind.name());
    vec![
        NameSet::new("SourceStatus", "How a source does.", names(SourceStatus::name)).member_beside("status", "role"),
        NameSet::new("SourceRole", "Whether numbers count toward totals.", names(SourceRole::name)).member("role"),
        NameSet::new(
            "SourceKind",
            "Whether a source sends observations or is asked for totals.",
            names(SourceKind::name),
        )
        .member_beside("kind", "role"),
        NameSet::new("Grain", "The length of the buckets that a source states.", Grain::ALL.map(Grain::name))
            .member("grain"),
        NameSet::new("ObservationType", "The type of an observation.", types).member_beside("type", "original_id"),
        NameSet::new("EpochState", "The state of a projection's epoch.", ["live", "building", "standby", "missing"])
            .member_beside("state", "projection"),
    ]
}

fn groups() -> impl Iterator<Item = &'static str> {
    let dimensions = Dimension::ALL.iter().map(|dimension| GroupKey::Dimension(*dimension));
    [GroupKey::Channel, GroupKey::Source, GroupKey::Campaign].into_iter().chain(dimensions).map(GroupKey::name)
}

/// The names of every variant.
fn names<T: VariantArray + Copy>(name: fn(T) -> &'static str) -> impl Iterator<Item = &'static str> {
    T::VARIANTS.iter().map(move |variant| name(*variant))
}
