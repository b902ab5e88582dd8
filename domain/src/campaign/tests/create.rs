use super::*;
use crate::text::TextError;

#[track_caller]
fn check_created(plan: Plan) {
    given(vec![]).when(create(plan.clone())).then_expect_events(vec![created(plan)]);
}

#[track_caller]
fn check_not_created(plan: Plan, error: CampaignError) {
    given(vec![]).when(create(plan)).then_expect_error(error);
}

#[test]
fn drafts_a_campaign_with_its_whole_plan() {
    check_created(plan());
    check_created(Plan {
        channels: vec![],
        ends_on: None,
        budget: None,
        external_ids: vec![],
        attributes: attributes(&[]),
        ..plan()
    });
}

#[test]
fn rejects_a_second_creation() {
    for state in CampaignState::ALL {
        check_refused(state, create(plan()), CampaignError::AlreadyCreated);
    }
}

#[test]
fn name_is_one_line_of_1_to_200_characters() {
    let named = |name: &str| Plan { name: name.to_owned(), ..plan() };
    for (name, error) in [
        ("", TextError::Empty),
        (" \u{a0}\t", TextError::Empty),
        ("Winter\nsale", TextError::ControlCharacter),
        ("Winter\u{0}", TextError::ControlCharacter),
        ("Winter\u{85}sale", TextError::ControlCharacter),
    ] {
        check_not_created(named(name), CampaignError::Name(error));
    }
    let too_long = CampaignError::Name(TextError::TooLong { length: 201, max: 200 });
    check_not_created(named(&"ü".repeat(201)), too_long);
    check_created(named(&"ü".repeat(200)));
    given(vec![]).when(create(named("  Winter sale \n"))).then_expect_events(vec![created(plan())]);
}

#[test]
fn channels_are_distinct_and_at_most_20() {
    let on = |channels| Plan { channels, ..plan() };
    let twice = channels(&["email", "video", "email"]);
    check_not_created(on(twice), CampaignError::DuplicateChannel { channel: "email".parse().unwrap() });
    let many = |count: usize| (0..count).map(|index| format!("custom_{index}").parse().unwrap()).collect();
    check_not_created(on(many(21)), CampaignError::TooManyChannels { count: 21 });
    check_created(on(many(20)));
}

#[test]
fn days_are_in_order_and_in_1970_to_2199() {
    let from =
        |starts_on, ends_on: Option<&str>| Plan { starts_on: date(starts_on), ends_on: ends_on.map(date), ..plan() };
    check_not_created(
        from("2026-12-02", Some("2026-12-01")),
        CampaignError::EndsBeforeStart { starts_on: date("2026-12-02"), ends_on: date("2026-12-01") },
    );
    for starts_on in ["1969-12-31", "2200-01-01", "-0044-03-15"] {
        check_not_created(from(starts_on, None), CampaignError::StartOutOfRange { starts_on: date(starts_on) });
    }
    for ends_on in ["1969-12-31", "2200-01-01"] {
        let error = CampaignError::EndOutOfRange { ends_on: date(ends_on) };
        check_not_created(from("2026-12-01", Some(ends_on)), error);
    }
    check_created(from("2026-12-01", Some("2026-12-01")));
    check_created(from("1970-01-01", Some("2199-12-31")));
}

#[test]
fn budget_is_positive_and_in_the_campaigns_currency() {
    let with = |budget| Plan { budget, ..plan() };
    check_not_created(with(Some(in_all(0, "EUR"))), CampaignError::BudgetNotPositive);
    check_not_created(with(Some(in_all(-1, "EUR"))), CampaignError::BudgetNotPositive);
    let other = CampaignError::BudgetCurrency { budget: currency("USD"), campaign: currency("EUR") };
    check_not_created(with(Some(in_all(1, "USD"))), other);
    check_created(with(Some(in_all(1, "EUR"))));
    check_not_created(with(Some(a_day(0, "EUR"))), CampaignError::BudgetNotPositive);
    check_created(with(Some(a_day(1, "EUR"))));
}

#[test]
fn external_ids_are_distinct_for_each_source_and_at_most_50() {
    let known_as = |external_ids| Plan { external_ids, ..plan() };
    let twice = vec![external_id(None, "7"), external_id(Some("meta"), "7"), external_id(None, "7")];
    check_not_created(known_as(twice), CampaignError::ExternalIdTwice { id: "7".to_owned() });
    check_created(known_as(vec![external_id(None, "7"), external_id(Some("meta"), "7"), external_id(Some("x"), "7")]));
    let many = |count: usize| (0..count).map(|index| external_id(None, &index.to_string())).collect();
    check_not_created(known_as(many(51)), CampaignError::TooManyExternalIds { count: 51 });
    check_created(known_as(many(50)));
    for (id, error) in [
        ("", TextError::Empty),
        ("a\nb", TextError::ControlCharacter),
        (&"x".repeat(201), TextError::TooLong { length: 201, max: 200 }),
    ] {
        check_not_created(known_as(vec![external_id(None, id)]), CampaignError::ExternalId(error));
    }
    check_created(known_as(vec![external_id(None, &"x".repeat(200))]));
    for (source, error) in [("", TextError::Empty), ("a\nb", TextError::ControlCharacter), ("*", TextError::Reserved)] {
        check_not_created(known_as(vec![external_id(Some(source), "7")]), CampaignError::ExternalIdSource(error));
    }
}

#[test]
fn attributes_have_plain_keys_and_bounded_values() {
    let labelled = |pairs: &[(&str, &str)]| Plan { attributes: attributes(pairs), ..plan() };
    for key in ["", "Region", "1st", "_x", "größe", "a b", "a-b", &"k".repeat(41)] {
        check_not_created(labelled(&[(key, "x")]), CampaignError::AttributeKey { key: key.to_owned() });
    }
    check_created(labelled(&[(&"k".repeat(40), ""), ("team_2", "first line\n\tsecond line")]));
    let too_long = CampaignError::AttributeTooLong { key: "note".to_owned(), length: 501 };
    check_not_created(labelled(&[("note", &"é".repeat(501))]), too_long);
    check_created(labelled(&[("note", &"é".repeat(500))]));
    let unprintable = CampaignError::AttributeControlCharacter { key: "note".to_owned() };
    check_not_created(labelled(&[("note", "a\u{0}b")]), unprintable);
    let many = |count: usize| Plan {
        attributes: (0..count).map(|index| (format!("key_{index}"), String::new())).collect(),
        ..plan()
    };
    check_not_created(many(51), CampaignError::TooManyAttributes { count: 51 });
    check_created(many(50));
}

/// A creation in another state, at this time.
fn create_in(state: InitialState, at: DateTime<Utc>, plan: Plan) -> CampaignCommand {
    let mut command = create_at(at, plan);
    if let CampaignCommand::Create { state: begins_in, .. } = &mut command {
        *begins_in = state;
    }
    command
}

#[test]
fn history_brings_campaigns_that_run_or_are_over() {
    let at = early();
    let launched = CampaignEvent::CampaignLaunched { at };
    given(vec![])
        .when(create_in(InitialState::Active, at, plan()))
        .then_expect_events(vec![created(plan()), launched.clone()]);
    given(vec![]).when(create_in(InitialState::Completed, at, plan())).then_expect_events(vec![
        created(plan()),
        launched,
        CampaignEvent::CampaignCompleted { at },
    ]);
}

#[test]
fn campaign_that_is_over_may_have_ended_before_it_was_created() {
    let past = Plan { starts_on: date("2026-01-01"), ends_on: Some(date("2026-02-01")), ..plan() };
    given(vec![])
        .when(create_in(InitialState::Active, early(), past.clone()))
        .then_expect_error(CampaignError::EndDateInPast { ends_on: date("2026-02-01") });
    let at = early();
    given(vec![]).when(create_in(InitialState::Completed, at, past.clone())).then_expect_events(vec![
        created(past),
        CampaignEvent::CampaignLaunched { at },
        CampaignEvent::CampaignCompleted { at },
    ]);
}

#[test]
fn campaign_without_channels_begins_as_a_draft_only() {
    let bare = Plan { channels: Vec::new(), ..plan() };
    for state in [InitialState::Active, InitialState::Completed] {
        given(vec![]).when(create_in(state, early(), bare.clone())).then_expect_error(CampaignError::ChannelRequired);
    }
}
