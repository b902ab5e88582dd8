//! Members and parameters with a fixed set of values, which the document lists.

use domain::bucket::{Grain, MONTHS, RetailWeeks, WEEKDAYS, month_name, weekday_name};
use domain::campaign::BudgetPeriod;
use domain::item::ItemErrorCode;
use domain::observation::ObservationType;
use domain::source::{IdScope, SourceKind, SourceRole, UnknownCampaigns};
use http_edge::docs::names::NameSet;
use platform::principal::ActorKind;

/// The sets, by what they are about.
pub(super) fn sets() -> Vec<NameSet> {
    [of_campaigns(), of_calendars(), of_sources(), of_batches()].concat()
}

fn of_campaigns() -> Vec<NameSet> {
    vec![
        NameSet::new("InitialStatus", "The status that a campaign begins with.", ["draft", "active", "completed"])
            .member_beside("status", "starts_on"),
        NameSet::new("BudgetPeriod", "The period of a budget.", BudgetPeriod::ALL.map(BudgetPeriod::name))
            .member_beside("per", "amount"),
    ]
}

fn of_calendars() -> Vec<NameSet> {
    let retail_weeks = RetailWeeks::ALL.map(RetailWeeks::name);
    vec![
        NameSet::new("Weekday", "The day on which weeks begin.", WEEKDAYS.map(weekday_name)).member("week_start"),
        NameSet::new("Month", "The month with which years begin.", MONTHS.map(month_name)).member("year_start"),
        NameSet::new("RetailWeeks", "The three months of a quarter in weeks.", retail_weeks).member("retail_weeks"),
    ]
}

fn of_sources() -> Vec<NameSet> {
    let unknown = [UnknownCampaigns::Reject, UnknownCampaigns::Create].map(UnknownCampaigns::name);
    let actors = [ActorKind::Key, ActorKind::User, ActorKind::System].map(ActorKind::name);
    let rejected = ["observation", "cloud_event", "backfill", "statement"];
    let activity = ["registered", "changed", "ended", "resumed"];
    vec![
        NameSet::new(
            "SourceKind",
            "Whether a source sends observations or is asked for totals.",
            [SourceKind::Push, SourceKind::Pull].map(SourceKind::name),
        )
        .member_beside("kind", "id_scope"),
        NameSet::new(
            "SourceRole",
            "Whether numbers count toward totals.",
            [SourceRole::Primary, SourceRole::Reference].map(SourceRole::name),
        )
        .member("role")
        .member("measure_roles"),
        NameSet::new(
            "IdScope",
            "What the ids of a source's observations are unique within.",
            [IdScope::Day, IdScope::Window].map(IdScope::name),
        )
        .member("id_scope"),
        NameSet::new("UnknownCampaigns", "What becomes of an item whose campaign nobody has.", unknown)
            .member("unknown_campaigns"),
        // Before the actors: it has an id, too.
        NameSet::new("RejectedItemKind", "What a rejected item is.", rejected).member_beside("kind", "item_id"),
        NameSet::new("SourceActivityKind", "What was done to a source.", activity).member_beside("kind", "changes"),
        NameSet::new("ActorKind", "Who acted.", actors).member_beside("kind", "id"),
    ]
}

fn of_batches() -> Vec<NameSet> {
    let types = ObservationType::ALL.iter().map(|kind| kind.name());
    vec![
        NameSet::new("Grain", "The length of the buckets that a source states.", Grain::ALL.map(Grain::name))
            .member("grain"),
        NameSet::new("ObservationType", "The type of an observation.", types).member_beside("type", "occurred_at"),
        NameSet::new(
            "ItemErrorCode",
            "A stable name for what is wrong with an item.",
            ItemErrorCode::ALL.iter().map(|code| code.name()),
        )
        .parameter("reason"),
        NameSet::new("ListedResults", "Which results an answer lists.", ["problems", "all"]).parameter("results"),
    ]
}
