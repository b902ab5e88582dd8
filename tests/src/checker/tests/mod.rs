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
fn accepts_valid_history() {
    assert_eq!(check(&sound().history, &sound().evidence()), []);
}

#[test]
fn accepts_retries_and_unknown_outcomes() {
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
fn accepts_ndjson_with_truncated_response() {
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
fn detects_changed_ndjson_response_for_same_key() {
    let mut given = sound();
    let request = given.observes(Some("k2"), vec![click("c", 1), click("d", 1)]);
    let repeated = given.repeats(request);
    given.breaks_off(request);
    given.reply(request, 0).content = Acknowledged::Batch(vec![ItemOutcome::Duplicate, ItemOutcome::Accepted]);
    assert!(matches!(given.reply(request, repeated).content, Acknowledged::Batch(_)));
    assert_only(&given, Rule::Receipt);
}

#[test]
fn detects_gap_in_positions() {
    let mut given = sound();
    given.events[4].position += 1;
    given.reply(4, 0).position += 1;
    given.settle();
    assert_only(&given, Rule::Contiguous);
}

#[test]
fn detects_head_beyond_last_event() {
    let mut given = sound();
    given.tables.applied += 1;
    let mut evidence = given.evidence();
    evidence.head += 1;
    let found = check(&given.history, &evidence);
    assert_eq!(found.iter().map(|found| found.rule).collect::<Vec<_>>(), [Rule::Contiguous], "{found:#?}");
}

#[test]
fn detects_version_out_of_order() {
    let mut given = sound();
    given.events[1].sequence += 1;
    assert_only(&given, Rule::Versions);
}

#[test]
fn detects_lost_batch() {
    let mut given = sound();
    given.events.remove(1);
    given.renumber();
    assert!(broken(&given).contains(&Rule::AcknowledgedIsDurable));
}

#[test]
fn detects_lost_command() {
    let mut given = sound();
    given.events.pop();
    given.settle();
    assert_only(&given, Rule::AcknowledgedIsDurable);
}

#[test]
fn detects_campaign_that_disappeared() {
    let mut given = sound();
    let request = given.changes(Change::Launch, None);
    given.events.pop();
    given.settle();
    given.refuse(request, 404, None);
    assert_only(&given, Rule::AcknowledgedIsDurable);
}

#[test]
fn detects_lost_statement() {
    let mut given = sound();
    let request = given.states(vec![statement(3, 30)]);
    given.events.pop();
    given.settle();
    assert!(matches!(given.history.requests[request].operation, Operation::State { .. }));
    assert_eq!(broken(&given), [Rule::AcknowledgedIsDurable, Rule::NewestStatementWins]);
}

#[test]
fn detects_observation_written_twice() {
    let mut given = sound();
    let What::Observations { rows, .. } = &mut given.events[1].what else { panic!() };
    let twin = rows[1].clone();
    rows.push(twin);
    given.settle();
    assert_eq!(broken(&given), [Rule::NoDuplicates, Rule::Tables]);
}

#[test]
fn detects_command_executed_twice() {
    let mut given = sound();
    let request = given.changes(Change::Launch, None);
    given.history.requests[request].key = Some("k9".to_owned());
    given.writes_again(request);
    let found = broken(&given);
    assert!(found.contains(&Rule::NoDuplicates) && found.contains(&Rule::Receipt), "{found:?}");
}

#[test]
fn detects_rejected_request_that_was_written() {
    let mut given = sound();
    let request = given.observes(None, vec![click("x", 1)]);
    given.refuse(request, 503, None);
    assert!(broken(&given).contains(&Rule::Refused));
}

#[test]
fn detects_event_nobody_sent() {
    let mut given = sound();
    given.events[4].trace = "ffff".to_owned();
    let found = broken(&given);
    assert!(found.contains(&Rule::NoUnrequestedWrites), "{found:?}");
}

#[test]
fn detects_altered_content() {
    let mut given = sound();
    let What::Observations { rows, .. } = &mut given.events[1].what else { panic!() };
    rows[1].campaign = Uuid::from_u128(99);
    given.settle();
    let found = broken(&given);
    assert_eq!(found, [Rule::NoUnrequestedWrites, Rule::Tables]);
}

#[test]
fn detects_changed_response_for_same_key() {
    let mut given = sound();
    let repeated = given.repeats(1);
    given.reply(1, repeated).body = json!({ "stale": true });
    assert_only(&given, Rule::Receipt);
}

#[test]
fn detects_second_original_response_for_same_key() {
    let mut given = sound();
    let repeated = given.repeats(1);
    given.reply(1, repeated).replayed = false;
    assert!(broken(&given).contains(&Rule::Receipt));
}

#[test]
fn detects_other_campaign_for_same_key() {
    let mut given = sound();
    let request = given.changes(Change::Launch, None);
    given.reply(request, 0).content = Acknowledged::Campaign { campaign: Uuid::from_u128(99), version: 3 };
    assert_only(&given, Rule::Receipt);
}

#[test]
fn detects_wrong_version() {
    let mut given = sound();
    given.reply(4, 0).content = Acknowledged::Campaign { campaign: CAMPAIGN, version: 3 };
    assert_only(&given, Rule::Campaign);
}

#[test]
fn detects_change_despite_if_match_mismatch() {
    let mut given = sound();
    given.changes(Change::Launch, Some(1));
    assert_only(&given, Rule::Campaign);
}

#[test]
fn detects_impossible_lifecycle_step() {
    let mut given = sound();
    given.changes(Change::Resume, None);
    assert_only(&given, Rule::Campaign);
}

#[test]
fn detects_version_mismatch_for_matching_version() {
    let mut given = sound();
    let request = given.changes(Change::Launch, Some(2));
    given.events.pop();
    given.settle();
    given.refuse(request, 412, Some(2));
    assert_only(&given, Rule::Campaign);
}

#[test]
fn detects_rejection_without_a_rule() {
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
fn detects_response_ordered_before_earlier_one() {
    let mut given = sound();
    // Acknowledged before the first batch was sent, but behind it in the log.
    let request = given.changes(Change::Launch, None);
    given.history.requests[request].attempts[0].began = 0;
    given.history.requests[request].attempts[0].ended = 1;
    assert_only(&given, Rule::Order);
}

#[test]
fn detects_false_duplicates_and_conflicts() {
    for fate in [ItemOutcome::Duplicate, ItemOutcome::Conflict] {
        let mut given = sound();
        let request = given.observes(None, vec![click("new", 1)]);
        given.events.pop();
        given.settle();
        given.reply(request, 0).content = Acknowledged::Batch(vec![fate]);
        assert_only(&given, Rule::ItemOutcomeIsJustified);
    }
    // The other way round: the same content is no conflict, other content no duplicate.
    for (count, fate) in [(1, ItemOutcome::Conflict), (7, ItemOutcome::Duplicate)] {
        let mut given = sound();
        let request = given.observes(None, vec![click("b", count)]);
        given.events.pop();
        given.settle();
        given.reply(request, 0).content = Acknowledged::Batch(vec![fate]);
        assert_only(&given, Rule::ItemOutcomeIsJustified);
    }
}

#[test]
fn detects_item_rejected_without_reason() {
    for (reason, broken_rules) in [("archived", vec![Rule::ItemOutcomeIsJustified]), ("too_old", vec![])] {
        let mut given = sound();
        let request = given.observes(None, vec![click("new", 1)]);
        given.events.pop();
        given.settle();
        given.reply(request, 0).content = Acknowledged::Batch(vec![ItemOutcome::Rejected(reason.to_owned())]);
        assert_eq!(broken(&given), broken_rules);
    }
}

#[test]
fn detects_correction_with_wrong_difference() {
    let mut given = sound();
    let What::Observations { rows, .. } = &mut given.events[3].what else { panic!() };
    rows[0].count = 4;
    given.settle();
    assert_eq!(broken(&given), [Rule::Correction, Rule::Tables]);
}

#[test]
fn detects_correction_without_original() {
    let mut given = sound();
    let What::Observations { rows, .. } = &mut given.events[3].what else { panic!() };
    rows[0].corrects = Some(Correction { of: "never".to_owned(), at: at(50), count: 5, value: None });
    let found = broken(&given);
    assert!(found.contains(&Rule::Correction), "{found:?}");
}

#[test]
fn detects_rejected_correction_of_known_original() {
    for (of, broken_rules) in [("a", vec![Rule::ItemOutcomeIsJustified]), ("never", vec![])] {
        let mut given = sound();
        let request = given.observes(None, vec![correction("late", of, Some(1))]);
        given.events.pop();
        given.settle();
        given.reply(request, 0).content =
            Acknowledged::Batch(vec![ItemOutcome::Rejected("unknown_observation".to_owned())]);
        assert_eq!(broken(&given), broken_rules);
    }
}

#[test]
fn detects_older_statement_that_won() {
    let mut given = sound();
    let What::Statements { rows, .. } = &mut given.events[2].what else { panic!() };
    rows.pop();
    given.settle();
    assert_eq!(broken(&given), [Rule::AcknowledgedIsDurable, Rule::NewestStatementWins]);
}

#[test]
fn detects_tables_that_double_count_or_stop() {
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
fn detects_impossible_response() {
    let mut given = sound();
    let request = given.observes(None, vec![click("x", 1)]);
    given.events.pop();
    given.settle();
    given.refuse(request, 400, None);
    assert_only(&given, Rule::Answer);
}

#[test]
fn detects_event_no_client_can_cause() {
    let mut given = sound();
    let What::Campaign { event, .. } = &mut given.events[4].what else { panic!() };
    *event = CampaignEvent::CampaignArchived { at: at(90) };
    let found = broken(&given);
    assert!(found.contains(&Rule::NoUnrequestedWrites), "{found:?}");
}
