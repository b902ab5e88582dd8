use super::*;
use CampaignState::{Archived, Completed, Draft, Launched, Paused};

type Command = fn(DateTime<Utc>) -> CampaignCommand;
const LAUNCH: Command = |at| CampaignCommand::Launch { at };
const PAUSE: Command = |at| CampaignCommand::Pause { at };
const RESUME: Command = |at| CampaignCommand::Resume { at };
const COMPLETE: Command = |at| CampaignCommand::Complete { at };
const ARCHIVE: Command = |at| CampaignCommand::Archive { at };
const UNARCHIVE: Command = |at| CampaignCommand::Unarchive { at };

#[test]
fn rejects_commands_before_creation() {
    let at = early();
    let edit = CampaignCommand::Edit(CampaignEdit::at(at));
    let budget = CampaignCommand::SetBudget { budget: None, at };
    for command in [LAUNCH(at), PAUSE(at), RESUME(at), COMPLETE(at), ARCHIVE(at), UNARCHIVE(at), edit, budget] {
        given(vec![]).when(command).then_expect_error(CampaignError::NotFound);
    }
}

#[test]
fn archived_campaign_rejects_all_other_commands() {
    let at = midway();
    let edit = CampaignCommand::Edit(CampaignEdit::at(at));
    let budget = CampaignCommand::SetBudget { budget: plan().budget, at };
    for command in [LAUNCH(at), PAUSE(at), RESUME(at), COMPLETE(at), ARCHIVE(at), edit, budget] {
        check_refused(Archived, command, CampaignError::Archived);
    }
}

#[test]
fn only_a_draft_can_be_launched() {
    let at = midway();
    check_events(Draft, LAUNCH(at), vec![CampaignEvent::CampaignLaunched { at }]);
    for state in [Launched, Paused, Completed] {
        check_refused(state, LAUNCH(at), CampaignError::AlreadyLaunched { state });
    }
}

#[test]
fn rejects_a_launch_without_channels() {
    let nowhere = created(Plan { channels: vec![], ..plan() });
    given(vec![nowhere]).when(LAUNCH(early())).then_expect_error(CampaignError::ChannelRequired);
}

#[test]
fn rejects_a_launch_after_the_last_day() {
    // The last day ends at midnight in Berlin.
    let (last_instant, over) = (instant("2026-12-24T22:59:59Z"), instant("2026-12-24T23:00:00Z"));
    check_events(Draft, LAUNCH(last_instant), vec![CampaignEvent::CampaignLaunched { at: last_instant }]);
    check_refused(Draft, LAUNCH(over), CampaignError::EndDateInPast { ends_on: date("2026-12-24") });
    let endless = created(Plan { ends_on: None, ..plan() });
    given(vec![endless]).when(LAUNCH(over)).then_expect_events(vec![CampaignEvent::CampaignLaunched { at: over }]);
}

#[test]
fn only_a_launched_campaign_can_be_paused() {
    for at in [early(), midway()] {
        check_events(Launched, PAUSE(at), vec![CampaignEvent::CampaignPaused { at }]);
    }
    for state in [Draft, Paused, Completed] {
        check_refused(state, PAUSE(midway()), CampaignError::NotLaunched { state });
    }
}

#[test]
fn only_a_paused_campaign_can_be_resumed() {
    let at = midway();
    check_events(Paused, RESUME(at), vec![CampaignEvent::CampaignResumed { at }]);
    for state in [Draft, Launched, Completed] {
        check_refused(state, RESUME(at), CampaignError::NotPaused { state });
    }
}

#[test]
fn only_a_launched_or_paused_campaign_can_be_completed() {
    let at = midway();
    for state in [Launched, Paused] {
        check_events(state, COMPLETE(at), vec![CampaignEvent::CampaignCompleted { at }]);
    }
    for state in [Draft, Completed] {
        check_refused(state, COMPLETE(at), CampaignError::NotUnderway { state });
    }
}

#[test]
fn any_but_a_launched_campaign_can_be_archived() {
    let at = midway();
    for state in [Draft, Paused, Completed] {
        check_events(state, ARCHIVE(at), vec![CampaignEvent::CampaignArchived { at }]);
    }
    check_refused(Launched, ARCHIVE(at), CampaignError::LaunchedCannotBeArchived);
}

#[test]
fn unarchived_campaign_is_what_it_was() {
    let at = midway();
    for state in [Draft, Paused, Completed] {
        let mut events = in_state(state);
        events.push(CampaignEvent::CampaignArchived { at: early() });
        let unarchived = CampaignEvent::CampaignUnarchived { state, at };
        given(events.clone()).when(UNARCHIVE(at)).then_expect_events(vec![unarchived.clone()]);
        events.push(unarchived);
        let mut campaign = Campaign::default();
        for event in events.clone() {
            campaign.apply(event);
        }
        let details = campaign.details.unwrap();
        assert_eq!((details.state, details.archived_from), (state, None));
        // It can be archived again, and brought back again.
        given(events).when(ARCHIVE(at)).then_expect_events(vec![CampaignEvent::CampaignArchived { at }]);
    }
    for state in [Draft, Launched, Paused, Completed] {
        check_refused(state, UNARCHIVE(at), CampaignError::NotArchived { state });
    }
}

#[test]
fn launched_campaign_is_scheduled_until_its_first_local_day() {
    let begins = instant("2026-11-30T23:00:00Z");
    let before = instant("2026-11-30T22:59:59.999Z");
    assert_eq!(starts_at(date("2026-12-01"), "Europe/Berlin".parse().unwrap()), begins);
    assert_eq!(ends_at(date("2026-12-01"), "Europe/Berlin".parse().unwrap()), instant("2026-12-01T23:00:00Z"));
    for (state, status_before, status_since) in [
        (Draft, CampaignStatus::Draft, CampaignStatus::Draft),
        (Launched, CampaignStatus::Scheduled, CampaignStatus::Active),
        (Paused, CampaignStatus::Paused, CampaignStatus::Paused),
        (Completed, CampaignStatus::Completed, CampaignStatus::Completed),
        (Archived, CampaignStatus::Archived, CampaignStatus::Archived),
    ] {
        assert_eq!((status(state, begins, before), status(state, begins, begins)), (status_before, status_since));
        let mut campaign = Campaign::default();
        for event in in_state(state) {
            campaign.apply(event);
        }
        let details = campaign.details.unwrap();
        assert_eq!(
            (details.state, details.status(before), details.status(begins)),
            (state, status_before, status_since)
        );
    }
}

#[test]
fn first_day_without_midnight_begins_at_its_first_instant() {
    let begins = |day, zone: &str| starts_at(date(day), zone.parse().unwrap());
    assert_eq!(begins("2018-11-04", "America/Sao_Paulo"), instant("2018-11-04T03:00:00Z"));
    assert_eq!(begins("2011-12-30", "Pacific/Apia"), begins("2011-12-31", "Pacific/Apia"));
}

#[test]
fn names_of_states_and_statuses_are_stable() {
    let names: Vec<_> = CampaignState::ALL.into_iter().map(CampaignState::name).collect();
    assert_eq!(names, ["draft", "launched", "paused", "completed", "archived"]);
    let names: Vec<_> = CampaignStatus::ALL.into_iter().map(CampaignStatus::name).collect();
    assert_eq!(names, ["draft", "scheduled", "active", "paused", "completed", "archived"]);
    for state in CampaignState::ALL {
        assert_eq!(state.name().parse(), Ok(state));
        assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
    }
    for status in CampaignStatus::ALL {
        assert_eq!(status.name().parse(), Ok(status));
        assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{status}\""));
    }
    assert_eq!("launched".parse::<CampaignStatus>(), Err(CampaignStatusError));
}
