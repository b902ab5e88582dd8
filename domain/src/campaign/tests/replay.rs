use ::cqrs_es::DomainEvent;
use proptest::prelude::*;

use super::*;
use crate::event::Event;

fn any_channels() -> impl Strategy<Value = Vec<Channel>> {
    let name = prop::sample::select(vec!["email", "video", "sms"]);
    prop::collection::vec(name, 0..4).prop_map(|names| channels(&names))
}

fn any_currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(vec![currency("EUR"), currency("USD")])
}

fn any_date() -> impl Strategy<Value = NaiveDate> {
    (-3_i64..30).prop_map(|days| date("2026-12-01") + chrono::TimeDelta::days(days))
}

fn any_budget() -> impl Strategy<Value = Option<Budget>> {
    let amount = (-1_i64..3, any_currency()).prop_map(|(micros, currency)| Money { micros, currency });
    prop::option::of(
        (amount, prop::sample::select(BudgetPeriod::ALL.to_vec())).prop_map(|(amount, per)| Budget { amount, per }),
    )
}

fn any_external_ids() -> impl Strategy<Value = Vec<ExternalId>> {
    let source = prop::option::of(prop::sample::select(vec!["meta", "*"]));
    let one = (source, prop::sample::select(vec!["1", "2", ""]));
    prop::collection::vec(one.prop_map(|(source, id)| external_id(source, id)), 0..3)
}

fn any_attributes() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(
        prop::sample::select(vec!["region", "team", "Bad"]).prop_map(str::to_owned),
        ".{0,5}",
        0..3,
    )
}

fn any_name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["Winter", " Winter ", "Spring", "", "a\nb"]).prop_map(str::to_owned)
}

fn any_create(at: DateTime<Utc>) -> impl Strategy<Value = CampaignCommand> {
    let parts = (any_name(), any_channels(), any_currency(), any_date(), prop::option::of(any_date()), any_budget());
    (parts, any_external_ids(), any_attributes()).prop_map(move |(parts, external_ids, attributes)| {
        let (name, channels, currency, starts_on, ends_on, budget) = parts;
        create_at(at, Plan { name, channels, currency, starts_on, ends_on, budget, external_ids, attributes })
    })
}

fn any_edit(at: DateTime<Utc>) -> impl Strategy<Value = CampaignEdit> {
    let zone = prop::sample::select(vec!["Europe/Berlin", "Asia/Kathmandu"]);
    let first = (
        prop::option::weighted(0.3, any_name()),
        prop::option::weighted(0.3, any_channels()),
        prop::option::weighted(0.2, any_currency()),
        prop::option::weighted(0.2, zone.prop_map(|name| name.parse().unwrap())),
    );
    let second = (
        prop::option::weighted(0.3, any_date()),
        prop::option::weighted(0.3, prop::option::of(any_date())),
        prop::option::weighted(0.3, any_budget()),
        prop::option::weighted(0.2, any_external_ids()),
        prop::option::weighted(0.2, any_attributes()),
    );
    (first, second).prop_map(move |(first, second)| {
        let (name, channels, currency, time_zone) = first;
        let (starts_on, ends_on, budget, external_ids, attributes) = second;
        CampaignEdit { name, channels, currency, time_zone, starts_on, ends_on, budget, external_ids, attributes, at }
    })
}

fn any_command() -> impl Strategy<Value = CampaignCommand> {
    (0_i64..40 * 24).prop_flat_map(|hours| {
        let at = early() + chrono::TimeDelta::hours(hours);
        prop_oneof![
            1 => any_create(at),
            6 => any_edit(at).prop_map(CampaignCommand::Edit),
            2 => any_budget().prop_map(move |budget| CampaignCommand::SetBudget { budget, at }),
            2 => Just(CampaignCommand::Launch { at }),
            2 => Just(CampaignCommand::Pause { at }),
            2 => Just(CampaignCommand::Resume { at }),
            1 => Just(CampaignCommand::Complete { at }),
            1 => Just(CampaignCommand::Archive { at }),
            1 => Just(CampaignCommand::Unarchive { at }),
        ]
    })
}

/// What must hold of a campaign whatever was accepted.
fn check_invariants(campaign: &Campaign) {
    let Some(details) = &campaign.details else { return };
    assert_eq!(details.name, details.name.trim());
    assert!(details.ends_on.is_none_or(|ends_on| details.starts_on <= ends_on));
    assert!(details.budget.is_none_or(|budget| budget.amount.micros > 0 && budget.amount.currency == details.currency));
    let launched = matches!(details.state, CampaignState::Launched | CampaignState::Paused | CampaignState::Completed);
    assert!(!launched || !details.channels.is_empty());
}

proptest! {
    #[test]
    fn accepted_commands_replay_to_the_same_state(commands in prop::collection::vec(any_command(), 0..40)) {
        let mut live = Campaign::default();
        let mut log = Vec::new();
        // The first command is mostly refused without it.
        for command in std::iter::once(create(plan())).chain(commands) {
            let Ok(events) = decide(&live, command.clone()) else { continue };
            for event in events {
                log.push((event.event_type(), event.event_version(), serde_json::to_string(&event).unwrap()));
                live.apply(event);
            }
            check_invariants(&live);
            if let CampaignCommand::Edit(_) | CampaignCommand::SetBudget { .. } = command {
                prop_assert_eq!(decide(&live, command), Ok(vec![]), "an edit given twice");
            }
        }
        let mut replayed = Campaign::default();
        for (event_type, version, payload) in log {
            let event = Event::decode(STREAM_TYPE, &event_type, &version, &payload);
            let Ok(Event::Campaign(event)) = event else { panic!("{event:?} {payload}") };
            replayed.apply(event);
        }
        prop_assert_eq!(&replayed, &live);
        let stored = serde_json::to_string(&live).unwrap();
        prop_assert_eq!(serde_json::from_str::<Campaign>(&stored).unwrap(), live);
    }

    #[test]
    fn creation_keeps_the_invariants(command in any_create(early())) {
        let mut campaign = Campaign::default();
        if let Ok(events) = decide(&campaign, command) {
            prop_assert_eq!(events.len(), 1);
            for event in events {
                campaign.apply(event);
            }
            check_invariants(&campaign);
        }
    }
}
