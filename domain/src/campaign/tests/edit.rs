use super::*;
use crate::text::TextError;
use CampaignState::{Completed, Draft, Launched, Paused};

/// An edit before the first day, with some parts set.
fn edit(change: impl FnOnce(&mut CampaignEdit)) -> CampaignCommand {
    edit_at(early(), change)
}

fn edit_at(at: DateTime<Utc>, change: impl FnOnce(&mut CampaignEdit)) -> CampaignCommand {
    let mut edit = CampaignEdit::at(at);
    change(&mut edit);
    CampaignCommand::Edit(edit)
}

/// Everything as it is already.
fn unchanged(edit: &mut CampaignEdit) {
    let plan = plan();
    edit.name = Some(format!(" {} ", plan.name));
    edit.channels = Some(plan.channels);
    edit.currency = Some(plan.currency);
    edit.time_zone = Some("Europe/Berlin".parse().unwrap());
    edit.starts_on = Some(plan.starts_on);
    edit.ends_on = Some(plan.ends_on);
    edit.budget = Some(plan.budget);
    edit.external_ids = Some(plan.external_ids);
    edit.attributes = Some(plan.attributes);
}

#[test]
fn unchanged_edit_gives_no_event() {
    for state in [Draft, Launched, Paused, Completed] {
        check_events(state, edit(|_| {}), vec![]);
        check_events(state, edit_at(midway(), unchanged), vec![]);
        check_events(state, CampaignCommand::SetBudget { budget: plan().budget, at: midway() }, vec![]);
    }
}

#[test]
fn edit_gives_one_event_per_concern() {
    let at = early();
    let command = edit(|edit| {
        edit.name = Some("Spring sale".to_owned());
        edit.time_zone = Some("America/New_York".parse().unwrap());
        edit.starts_on = Some(date("2027-03-01"));
        edit.ends_on = Some(None);
        edit.channels = Some(channels(&["video"]));
        edit.currency = Some(currency("USD"));
        edit.budget = Some(Some(in_all(7_000_000, "USD")));
        edit.external_ids = Some(vec![]);
        edit.attributes = Some(attributes(&[("region", "us")]));
    });
    check_events(
        Draft,
        command,
        vec![
            CampaignEvent::CampaignRenamed { name: "Spring sale".to_owned(), at },
            CampaignEvent::CampaignTimeZoneChanged { time_zone: "America/New_York".parse().unwrap(), at },
            CampaignEvent::CampaignRescheduled { starts_on: date("2027-03-01"), ends_on: None, at },
            CampaignEvent::CampaignChannelsSet { channels: channels(&["video"]), at },
            CampaignEvent::CampaignCurrencyChanged { currency: currency("USD"), at },
            CampaignEvent::CampaignBudgetSet { budget: Some(in_all(7_000_000, "USD")), at },
            CampaignEvent::CampaignExternalIdsSet { external_ids: vec![], at },
            CampaignEvent::CampaignAttributesSet { attributes: attributes(&[("region", "us")]), at },
        ],
    );
}

#[test]
fn rejects_an_edit_as_a_whole() {
    let command = edit(|edit| {
        edit.name = Some("Spring sale".to_owned());
        edit.attributes = Some(attributes(&[("Region", "us")]));
    });
    check_refused(Draft, command, CampaignError::AttributeKey { key: "Region".to_owned() });
}

#[test]
fn edits_obey_the_rules_of_creation() {
    check_refused(Draft, edit(|edit| edit.name = Some(" ".to_owned())), CampaignError::Name(TextError::Empty));
    let twice = edit(|edit| edit.channels = Some(channels(&["email", "email"])));
    check_refused(Draft, twice, CampaignError::DuplicateChannel { channel: "email".parse().unwrap() });
    let twice = edit(|edit| edit.external_ids = Some(vec![external_id(None, "7"), external_id(None, "7")]));
    check_refused(Draft, twice, CampaignError::ExternalIdTwice { id: "7".to_owned() });
    let reversed = CampaignError::EndsBeforeStart { starts_on: date("2026-12-25"), ends_on: date("2026-12-24") };
    check_refused(Draft, edit(|edit| edit.starts_on = Some(date("2026-12-25"))), reversed);
    let reversed = CampaignError::EndsBeforeStart { starts_on: date("2026-12-01"), ends_on: date("2026-11-30") };
    check_refused(Draft, edit(|edit| edit.ends_on = Some(Some(date("2026-11-30")))), reversed);
    let out = CampaignError::EndOutOfRange { ends_on: date("2200-01-01") };
    check_refused(Draft, edit(|edit| edit.ends_on = Some(Some(date("2200-01-01")))), out);
}

#[test]
fn launched_campaign_keeps_at_least_one_channel() {
    for state in [Launched, Paused] {
        check_refused(state, edit(|edit| edit.channels = Some(vec![])), CampaignError::ChannelRequired);
        let other = edit(|edit| edit.channels = Some(channels(&["video"])));
        let set = CampaignEvent::CampaignChannelsSet { channels: channels(&["video"]), at: early() };
        check_events(state, other, vec![set]);
    }
    let none = CampaignEvent::CampaignChannelsSet { channels: vec![], at: early() };
    check_events(Draft, edit(|edit| edit.channels = Some(vec![])), vec![none]);
}

#[test]
fn currency_and_zone_are_fixed_at_launch() {
    for state in [Launched, Paused, Completed] {
        let dollars = edit(|edit| {
            edit.currency = Some(currency("USD"));
            edit.budget = Some(None);
        });
        check_refused(state, dollars, CampaignError::CurrencyFixed { currency: currency("EUR") });
        let elsewhere = edit(|edit| edit.time_zone = Some("UTC".parse().unwrap()));
        check_refused(state, elsewhere, CampaignError::TimeZoneFixed);
    }
}

#[test]
fn rejects_a_currency_that_differs_from_the_budgets() {
    let dollars = edit(|edit| edit.currency = Some(currency("USD")));
    let left = CampaignError::BudgetCurrency { budget: currency("EUR"), campaign: currency("USD") };
    check_refused(Draft, dollars.clone(), left);
    let at = early();
    let without = created(Plan { budget: None, ..plan() });
    let changed = CampaignEvent::CampaignCurrencyChanged { currency: currency("USD"), at };
    given(vec![without]).when(dollars).then_expect_events(vec![changed.clone()]);
    let both = edit(|edit| {
        edit.currency = Some(currency("USD"));
        edit.budget = Some(None);
    });
    check_events(Draft, both, vec![changed, CampaignEvent::CampaignBudgetSet { budget: None, at }]);
}

#[test]
fn first_day_is_fixed_once_it_has_begun() {
    let begun = instant("2026-11-30T23:00:00Z");
    let before = instant("2026-11-30T22:59:59Z");
    let postpone = |at| edit_at(at, |edit| edit.starts_on = Some(date("2026-12-05")));
    let rescheduled = |at| CampaignEvent::CampaignRescheduled {
        starts_on: date("2026-12-05"),
        ends_on: Some(date("2026-12-24")),
        at,
    };
    for state in [Launched, Paused] {
        check_events(state, postpone(before), vec![rescheduled(before)]);
        check_refused(state, postpone(begun), CampaignError::StartFixed { starts_on: date("2026-12-01") });
        let prolong = edit_at(begun, |edit| edit.ends_on = Some(None));
        let prolonged = CampaignEvent::CampaignRescheduled { starts_on: date("2026-12-01"), ends_on: None, at: begun };
        check_events(state, prolong, vec![prolonged]);
    }
    // A draft has not started, whatever its first day.
    check_events(Draft, postpone(begun), vec![rescheduled(begun)]);
}

#[test]
fn budget_can_be_set_until_completion() {
    let at = midway();
    let set = |budget| CampaignCommand::SetBudget { budget, at };
    for state in [Draft, Launched, Paused] {
        for budget in [Some(in_all(1, "EUR")), Some(a_day(5_000_000_000, "EUR")), None] {
            check_events(state, set(budget), vec![CampaignEvent::CampaignBudgetSet { budget, at }]);
        }
        check_refused(state, set(Some(in_all(0, "EUR"))), CampaignError::BudgetNotPositive);
        let other = CampaignError::BudgetCurrency { budget: currency("USD"), campaign: currency("EUR") };
        check_refused(state, set(Some(in_all(1, "USD"))), other);
    }
    check_refused(Completed, set(Some(in_all(1, "EUR"))), CampaignError::BudgetFixed);
    check_refused(Completed, set(None), CampaignError::BudgetFixed);
}

#[test]
fn completed_campaign_can_be_renamed_and_labelled() {
    let at = midway();
    let tidy = edit_at(at, |edit| {
        edit.name = Some("Winter 2026".to_owned());
        edit.external_ids = Some(vec![external_id(None, "late")]);
        edit.attributes = Some(attributes(&[]));
    });
    check_events(
        Completed,
        tidy,
        vec![
            CampaignEvent::CampaignRenamed { name: "Winter 2026".to_owned(), at },
            CampaignEvent::CampaignExternalIdsSet { external_ids: vec![external_id(None, "late")], at },
            CampaignEvent::CampaignAttributesSet { attributes: attributes(&[]), at },
        ],
    );
    let moved = edit_at(at, |edit| edit.ends_on = Some(None));
    check_refused(Completed, moved, CampaignError::Completed { field: "ends_on" });
    let moved = edit_at(at, |edit| edit.starts_on = Some(date("2026-12-02")));
    check_refused(Completed, moved, CampaignError::Completed { field: "starts_on" });
    let elsewhere = edit_at(at, |edit| edit.channels = Some(channels(&["video"])));
    check_refused(Completed, elsewhere, CampaignError::Completed { field: "channels" });
}
