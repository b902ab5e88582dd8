//! Small histories made by hand: a sound one, and one for each way in which a promise can be broken.

mod given; // histories and evidence, step by step

use domain::campaign::CampaignEvent;
use serde_json::json;
use uuid::Uuid;

use self::given::{CAMPAIGN, Given, at, click, correction, statement};
use super::{Rule, check};
use crate::evidence::{Correction, What};
use crate::history::{Acknowledged, Change, ItemOutcome, Operation, Outcome};

/// The rules that are broken, each once.
fn broken(given: &Given) -> Vec<Rule> {
    let mut rules: Vec<Rule> = check(&given.history, &given.evidence()).iter().map(|found| found.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// Exactly this rule is broken.
#[track_caller]
fn assert_only(given: &Given, rule: Rule) {
    let found = check(&given.history, &given.evidence());
    assert_eq!(broken(given), [rule], "{found:#?}");
}

/// A campaign, two batches of observations, statements, a correction, and a campaign's rename.
fn sound() -> Given {
    let mut given = Given::new();
    given.creates("Winter");
    given.observes(Some("k1"), vec![click("a", 2), click("b", 1)]);
    given.states(vec![statement(1, 10), statement(2, 20)]);
    given.observes(None, vec![correction("fix", "a", Some(5))]);
    given.changes(Change::Rename("Summer".to_owned()), Some(1));
    given
}

#[test]
fn a_sound_history_is_sound() {
    assert_eq!(check(&sound().history, &sound().evidence()), []);
}

#[test]
fn repeated_and_doubtful_attempts_are_sound() {
    let mut given = sound();
    // The answer got lost, the repetition was answered from the receipt.
    let request = given.observes(Some("k2"), vec![click("c", 1)]);
    given.repeats(request);
    given.history.requests[request].attempts[0].outcome = Outcome::Unknown;
    // One that nobody knows of was written, another was not.
    let written = given.observes(None, vec![click("d", 1)]);
    given.history.requests[written].attempts[0].outcome = Outcome::Unknown;
    let lost = given.observes(None, vec![click("e", 1)]);
    given.history.requests[lost].attempts[0].outcome = Outcome::Unknown;
    given.events.pop();
    given.settle();
    assert_eq!(check(&given.history, &given.evidence()), []);
}

#[test]
fn lines_whose_answer_broke_off_are_sound() {
    for last_is_there in [true, false] {
        let mut given = sound();
        let request = given.observes(Some("k2"), vec![click("c", 1), click("d", 1)]);
        given.breaks_off(request);
        let What::Observations { rows, .. } = &mut given.events[5].what else { panic!() };
        if !last_is_there {
            rows.pop();
        }
        given.settle();
        assert_eq!(check(&given.history, &given.evidence()), []);
    }
}

#[test]
fn another_answer_to_a_line_under_the_same_key_is_found() {
    let mut given = sound();
    let request = given.observes(Some("k2"), vec![click("c", 1), click("d", 1)]);
    let repeated = given.repeats(request);
    given.breaks_off(request);
    given.reply(request, 0).says = Acknowledged::Batch(vec![ItemOutcome::Duplicate, ItemOutcome::Accepted]);
    assert!(matches!(given.reply(request, repeated).says, Acknowledged::Batch(_)));
    assert_only(&given, Rule::Receipt);
}

#[test]
fn a_hole_is_found() {
    let mut given = sound();
    given.events[4].position += 1;
    given.reply(4, 0).position += 1;
    given.settle();
    assert_only(&given, Rule::Contiguous);
}

#[test]
fn a_head_beyond_the_last_event_is_found() {
    let mut given = sound();
    given.tables.applied += 1;
    let mut evidence = given.evidence();
    evidence.head += 1;
    let found = check(&given.history, &evidence);
    assert_eq!(found.iter().map(|found| found.rule).collect::<Vec<_>>(), [Rule::Contiguous], "{found:#?}");
}

#[test]
fn a_version_out_of_turn_is_found() {
    let mut given = sound();
    given.events[1].sequence += 1;
    assert_only(&given, Rule::Versions);
}

#[test]
fn a_lost_batch_is_found() {
    let mut given = sound();
    given.events.remove(1);
    given.renumber();
    assert!(broken(&given).contains(&Rule::AcknowledgedIsDurable));
}

#[test]
fn a_lost_command_is_found() {
    let mut given = sound();
    given.events.pop();
    given.settle();
    assert_only(&given, Rule::AcknowledgedIsDurable);
}

#[test]
fn a_campaign_that_is_not_found_any_more_is_lost() {
    let mut given = sound();
    let request = given.changes(Change::Launch, None);
    given.events.pop();
    given.settle();
    given.refuse(request, 404, None);
    assert_only(&given, Rule::AcknowledgedIsDurable);
}

#[test]
fn a_lost_statement_is_found() {
    let mut given = sound();
    let request = given.states(vec![statement(3, 30)]);
    given.events.pop();
    given.settle();
    assert!(matches!(given.history.requests[request].asks, Operation::State { .. }));
    assert_eq!(broken(&given), [Rule::AcknowledgedIsDurable, Rule::NewestStatementWins]);
}

#[test]
fn an_observation_written_twice_is_found() {
    let mut given = sound();
    let What::Observations { rows, .. } = &mut given.events[1].what else { panic!() };
    let twin = rows[1].clone();
    rows.push(twin);
    given.settle();
    assert_eq!(broken(&given), [Rule::NoDuplicates, Rule::Tables]);
}

#[test]
fn a_command_carried_out_twice_is_found() {
    let mut given = sound();
    let request = given.changes(Change::Launch, None);
    given.history.requests[request].key = Some("k9".to_owned());
    given.writes_again(request);
    let found = broken(&given);
    assert!(found.contains(&Rule::NoDuplicates) && found.contains(&Rule::Receipt), "{found:?}");
}

#[test]
fn what_was_refused_but_written_is_found() {
    let mut given = sound();
    let request = given.observes(None, vec![click("x", 1)]);
    given.refuse(request, 503, None);
    assert!(broken(&given).contains(&Rule::Refused));
}

#[test]
fn an_event_that_nobody_sent_is_found() {
    let mut given = sound();
    given.events[4].trace = "ffff".to_owned();
    let found = broken(&given);
    assert!(found.contains(&Rule::NoUnrequestedWrites), "{found:?}");
}

#[test]
fn other_content_than_was_sent_is_found() {
    let mut given = sound();
    let What::Observations { rows, .. } = &mut given.events[1].what else { panic!() };
    rows[1].campaign = Uuid::from_u128(99);
    given.settle();
    let found = broken(&given);
    assert_eq!(found, [Rule::NoUnrequestedWrites, Rule::Tables]);
}

#[test]
fn another_answer_under_the_same_key_is_found() {
    let mut given = sound();
    let repeated = given.repeats(1);
    given.reply(1, repeated).body = json!({ "stale": true });
    assert_only(&given, Rule::Receipt);
}

#[test]
fn a_second_first_answer_under_a_key_is_found() {
    let mut given = sound();
    let repeated = given.repeats(1);
    given.reply(1, repeated).replayed = false;
    assert!(broken(&given).contains(&Rule::Receipt));
}

#[test]
fn another_campaign_under_the_same_key_is_found() {
    let mut given = sound();
    let request = given.changes(Change::Launch, None);
    given.reply(request, 0).says = Acknowledged::Campaign { campaign: Uuid::from_u128(99), version: 3 };
    assert_only(&given, Rule::Receipt);
}

#[test]
fn a_wrong_version_is_found() {
    let mut given = sound();
    given.reply(4, 0).says = Acknowledged::Campaign { campaign: CAMPAIGN, version: 3 };
    assert_only(&given, Rule::Campaign);
}

#[test]
fn a_change_at_another_version_than_was_meant_is_found() {
    let mut given = sound();
    given.changes(Change::Launch, Some(1));
    assert_only(&given, Rule::Campaign);
}

#[test]
fn a_step_that_cannot_follow_is_found() {
    let mut given = sound();
    given.changes(Change::Resume, None);
    assert_only(&given, Rule::Campaign);
}

#[test]
fn a_refusal_for_the_very_version_is_found() {
    let mut given = sound();
    let request = given.changes(Change::Launch, Some(2));
    given.events.pop();
    given.settle();
    given.refuse(request, 412, Some(2));
    assert_only(&given, Rule::Campaign);
}

#[test]
fn a_refusal_that_no_rule_asks_for_is_found() {
    for (change, broken_rules) in [(Change::Launch, vec![Rule::Campaign]), (Change::Pause, vec![])] {
        let mut given = sound();
        let request = given.changes(change, None);
        given.events.pop();
        given.settle();
        given.refuse(request, 422, None);
        assert_eq!(broken(&given), broken_rules);
    }
}

#[test]
fn an_answer_that_stands_before_an_earlier_one_is_found() {
    let mut given = sound();
    // Acknowledged before the first batch was sent, but behind it in the log.
    let request = given.changes(Change::Launch, None);
    given.history.requests[request].attempts[0].began = 0;
    given.history.requests[request].attempts[0].ended = 1;
    assert_only(&given, Rule::Order);
}

#[test]
fn untrue_duplicates_and_conflicts_are_found() {
    for fate in [ItemOutcome::Duplicate, ItemOutcome::Conflict] {
        let mut given = sound();
        let request = given.observes(None, vec![click("new", 1)]);
        given.events.pop();
        given.settle();
        given.reply(request, 0).says = Acknowledged::Batch(vec![fate]);
        assert_only(&given, Rule::ItemOutcomeIsJustified);
    }
    // The other way round: the same content is no conflict, other content no duplicate.
    for (count, fate) in [(1, ItemOutcome::Conflict), (7, ItemOutcome::Duplicate)] {
        let mut given = sound();
        let request = given.observes(None, vec![click("b", count)]);
        given.events.pop();
        given.settle();
        given.reply(request, 0).says = Acknowledged::Batch(vec![fate]);
        assert_only(&given, Rule::ItemOutcomeIsJustified);
    }
}

#[test]
fn a_rejection_without_a_reason_is_found() {
    for (reason, broken_rules) in [("archived", vec![Rule::ItemOutcomeIsJustified]), ("too_old", vec![])] {
        let mut given = sound();
        let request = given.observes(None, vec![click("new", 1)]);
        given.events.pop();
        given.settle();
        given.reply(request, 0).says = Acknowledged::Batch(vec![ItemOutcome::Rejected(reason.to_owned())]);
        assert_eq!(broken(&given), broken_rules);
    }
}

#[test]
fn a_correction_that_is_not_the_difference_is_found() {
    let mut given = sound();
    let What::Observations { rows, .. } = &mut given.events[3].what else { panic!() };
    rows[0].count = 4;
    given.settle();
    assert_eq!(broken(&given), [Rule::Correction, Rule::Tables]);
}

#[test]
fn a_correction_of_nothing_is_found() {
    let mut given = sound();
    let What::Observations { rows, .. } = &mut given.events[3].what else { panic!() };
    rows[0].corrects = Some(Correction { of: "never".to_owned(), at: at(50), count: 5, value: None });
    let found = broken(&given);
    assert!(found.contains(&Rule::Correction), "{found:?}");
}

#[test]
fn a_correction_refused_although_its_original_was_known_is_found() {
    for (of, broken_rules) in [("a", vec![Rule::ItemOutcomeIsJustified]), ("never", vec![])] {
        let mut given = sound();
        let request = given.observes(None, vec![correction("late", of, Some(1))]);
        given.events.pop();
        given.settle();
        given.reply(request, 0).says =
            Acknowledged::Batch(vec![ItemOutcome::Rejected("unknown_observation".to_owned())]);
        assert_eq!(broken(&given), broken_rules);
    }
}

#[test]
fn an_older_statement_that_holds_is_found() {
    let mut given = sound();
    let What::Statements { rows, .. } = &mut given.events[2].what else { panic!() };
    rows.pop();
    given.settle();
    assert_eq!(broken(&given), [Rule::AcknowledgedIsDurable, Rule::NewestStatementWins]);
}

#[test]
fn tables_that_count_twice_or_stop_are_found() {
    let mut given = sound();
    *given.tables.increments.values_mut().next().unwrap() *= 2;
    assert_only(&given, Rule::Tables);

    let mut given = sound();
    given.tables.campaigns.values_mut().for_each(|campaign| campaign.name = "Autumn".to_owned());
    assert_only(&given, Rule::Tables);

    let mut given = sound();
    given.tables.stopped = Some("a hole".to_owned());
    assert_only(&given, Rule::Tables);

    let mut given = sound();
    given.tables.applied -= 1;
    assert_only(&given, Rule::Tables);
}

#[test]
fn an_impossible_answer_is_found() {
    let mut given = sound();
    let request = given.observes(None, vec![click("x", 1)]);
    given.events.pop();
    given.settle();
    given.refuse(request, 400, None);
    assert_only(&given, Rule::Answer);
}

#[test]
fn an_event_that_no_client_can_cause_is_found() {
    let mut given = sound();
    let What::Campaign { event, .. } = &mut given.events[4].what else { panic!() };
    *event = CampaignEvent::CampaignArchived { at: at(90) };
    let found = broken(&given);
    assert!(found.contains(&Rule::NoUnrequestedWrites), "{found:?}");
}
