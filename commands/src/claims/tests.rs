use chrono::{DateTime, Utc};
use domain::campaign::CampaignState;
use uuid::Uuid;

use super::*;

fn at() -> DateTime<Utc> {
    "2026-11-21T22:00:00.000123Z".parse().unwrap()
}

fn campaign() -> CampaignId {
    CampaignId(Uuid::from_u128(7))
}

fn external(source: Option<&str>, id: &str) -> ExternalId {
    ExternalId { source: source.map(str::to_owned), id: id.to_owned() }
}

fn external_ids_set(external_ids: Vec<ExternalId>) -> CampaignEvent {
    CampaignEvent::CampaignExternalIdsSet { external_ids, at: at() }
}

/// `+` takes, `-` releases; then the key.
fn shown(claims: &[Claim]) -> Vec<String> {
    let mut shown: Vec<String> = claims
        .iter()
        .map(|claim| {
            let sign = match (&claim.expect, &claim.then) {
                (ClaimPrecondition::Absent, ClaimEffect::Put { .. }) => "+",
                (ClaimPrecondition::Held { .. }, ClaimEffect::Remove) => "-",
                other => panic!("{other:?}"),
            };
            format!("{sign}{}:{}", claim.kind, claim.key.replace('\n', "|"))
        })
        .collect();
    shown.sort_unstable();
    shown
}

#[test]
fn external_ids_are_taken_and_released() {
    let before = [external(None, "a"), external(Some("ads"), "b")];
    let event = external_ids_set(vec![external(Some("ads"), "b"), external(Some("ads"), "a")]);
    assert_eq!(
        shown(&of_campaign(campaign(), &before, &[event])),
        ["+external_campaign:ads|a", "-external_campaign:*|a"]
    );
}

#[test]
fn unchanged_external_ids_change_no_claims() {
    let before = [external(None, "a"), external(Some("ads"), "b")];
    let event = external_ids_set(vec![external(Some("ads"), "b"), external(None, "a")]);
    assert_eq!(of_campaign(campaign(), &before, &[event]), []);
}

#[test]
fn other_changes_claim_nothing() {
    let events = [
        CampaignEvent::CampaignRenamed { name: "b".to_owned(), at: at() },
        CampaignEvent::CampaignLaunched { at: at() },
        CampaignEvent::CampaignPaused { at: at() },
        CampaignEvent::CampaignArchived { at: at() },
        CampaignEvent::CampaignUnarchived { state: CampaignState::Paused, at: at() },
    ];
    assert_eq!(of_campaign(campaign(), &[external(None, "a")], &events), []);
}

#[test]
fn external_key_separates_source_and_id() {
    assert_eq!(external_key(Some("ads"), "1"), "ads\n1");
    assert_eq!(external_key(None, "1"), "*\n1");
    assert_eq!(external_id(&external_key(Some("ads"), "1")), "1");
}
