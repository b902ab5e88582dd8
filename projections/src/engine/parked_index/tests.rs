use chrono::DateTime;
use event_store::StoredEventFields;
use uuid::Uuid;

use super::*;

fn event(position: i64) -> StoredEvent {
    of_stream("observations", position)
}

fn of_stream(stream_type: &str, position: i64) -> StoredEvent {
    let texts = StoredEventFields {
        stream_type,
        stream_id: "1/s",
        event_type: "ObservationsRecorded",
        event_version: "1",
        payload: "{}",
        metadata: "{}",
    };
    StoredEvent::new(1, position, position, DateTime::UNIX_EPOCH, texts)
}

fn campaign(n: u128) -> CampaignId {
    CampaignId(Uuid::from_u128(n))
}

fn part(of: Option<CampaignId>) -> ParkedKey {
    ParkedKey::of(&event(1), of)
}

/// Which of campaigns 1 to 3 wait, and which are left out; `None` if the event is taken or held as a whole.
fn shares(holds: &ParkedIndex, position: i64) -> Option<(Vec<u128>, Vec<u128>)> {
    let raw = event(position);
    let Disposition::ApplyPart(share) = holds.disposition_of(&raw) else { return None };
    let those = |is: &dyn Fn(CampaignId) -> bool| (1..=3).filter(|n| is(campaign(*n))).collect();
    Some((those(&|id| share.waits(id)), those(&|id| share.skips(id))))
}

#[test]
fn part_is_deferred_from_its_first_event() {
    let mut holds = ParkedIndex::default();
    assert!(matches!(holds.disposition_of(&event(5)), Disposition::Apply));
    holds.add(&part(None), 5);
    assert!(matches!(holds.disposition_of(&event(4)), Disposition::Apply));
    assert!(matches!(holds.disposition_of(&event(5)), Disposition::Defer));
    assert!(matches!(holds.disposition_of(&event(6)), Disposition::Defer));
    let other = of_stream("statements", 6);
    assert!(matches!(holds.disposition_of(&other), Disposition::Apply));
    holds.remove(&part(None));
    assert!(matches!(holds.disposition_of(&event(6)), Disposition::Apply));
    assert_eq!(holds.parts(), 0);
}

#[test]
fn campaign_is_deferred_alone_and_with_its_stream() {
    let mut holds = ParkedIndex::default();
    holds.add(&part(Some(campaign(1))), 3);
    holds.add(&part(Some(campaign(2))), 5);
    assert_eq!(shares(&holds, 4), Some((vec![1], vec![])));
    assert_eq!(shares(&holds, 5), Some((vec![1, 2], vec![])));
    holds.add(&part(None), 6);
    assert_eq!(holds.stream_from(&part(Some(campaign(1)))), Some(6));
    assert!(matches!(holds.disposition_of(&event(6)), Disposition::Defer));
    assert_eq!(holds.parts(), 3);
}

#[test]
fn skipped_event_is_neither_deferred_nor_applied() {
    let mut holds = ParkedIndex::default();
    holds.skip(3, Some(campaign(1)));
    holds.add(&part(Some(campaign(1))), 3);
    holds.add(&part(Some(campaign(2))), 3);
    assert_eq!(shares(&holds, 3), Some((vec![2], vec![1])));
    assert_eq!(shares(&holds, 4), Some((vec![1, 2], vec![])));
    holds.skip(3, None);
    holds.skip(3, Some(campaign(2)));
    assert!(matches!(holds.disposition_of(&event(3)), Disposition::Skip));
}
