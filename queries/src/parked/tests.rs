use super::*;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn part(stream_type: &str, stream: u128, campaign: Option<u128>) -> ParkedPart {
    let origin = ParkedOrigin::read(stream_type, &format!("1/{}", id(stream)), campaign.map(id));
    ParkedPart { origin, first: 5, last: 9, events: 3 }
}

#[test]
fn counts_parked_parts_of_the_scope() {
    let own = Parked(vec![part("campaign", 1, None)]);
    let share = Parked(vec![part("observations", 7, Some(1))]);
    let stream = Parked(vec![part("statements", 7, None)]);
    let sync = Parked(vec![part("syncs", 7, None)]);
    let unknown = Parked(vec![part("meteors", 1, None)]);
    let counts = |about: &ResourceScope| [&own, &share, &stream, &sync, &unknown].map(|parked| parked.count(about));
    assert_eq!(counts(&ResourceScope::campaigns([id(1)])), [1, 0, 0, 0, 1]);
    assert_eq!(counts(&ResourceScope::campaigns([id(2)])), [0, 0, 0, 0, 1]);
    assert_eq!(counts(&ResourceScope::campaigns([])), [1, 0, 0, 0, 1]);
    assert_eq!(counts(&ResourceScope::numbers([id(1)])), [1, 1, 1, 1, 1]);
    assert_eq!(counts(&ResourceScope::numbers([id(2)])), [0, 0, 1, 1, 1]);
    assert_eq!(counts(&ResourceScope::numbers([])), [1, 1, 1, 1, 1]);
}

#[test]
fn blocks_positions_from_the_first_parked_event() {
    let parked = Parked(vec![part("observations", 7, Some(1))]);
    let about = ResourceScope::numbers([id(1)]);
    assert_eq!([4, 5, 9].map(|position| parked.blocks_position(&about, position)), [false, true, true]);
    assert!(!parked.blocks_position(&ResourceScope::numbers([id(2)]), 9));
    assert_eq!((parked.last(), parked.events_of(id(7), &about), parked.events_of(id(8), &about)), (9, 3, 0));
}

#[test]
fn only_deciding_sources_affect_finality() {
    let parked = Parked(vec![part("observations", 7, Some(1))]);
    let about = ResourceScope::numbers([id(1)]);
    assert!(parked.affects_finality(&about, |source| source == id(7)));
    assert!(!parked.affects_finality(&about, |source| source == id(8)));
    assert!(Parked(vec![part("campaign", 1, None)]).affects_finality(&about, |_| false));
}
