use chrono::TimeDelta;

use crate::version::RecordedEvent;

use super::{ConsistencyParams, ConsistencyRequirement, MAX_WAIT_S, parse_duration};

#[test]
fn rejects_durations_without_a_unit() {
    assert_eq!(parse_duration("500ms"), Some(TimeDelta::milliseconds(500)));
    assert_eq!(parse_duration("5s"), Some(TimeDelta::seconds(5)));
    assert_eq!(parse_duration("2m"), Some(TimeDelta::minutes(2)));
    assert_eq!(parse_duration("1h"), Some(TimeDelta::hours(1)));
    for nonsense in ["", "5", "s", "-5s", "5.5s", "5 s", "5d", "PT5S", "99999999999999999999s", "9223372036854775807s"]
    {
        assert_eq!(parse_duration(nonsense), None, "{nonsense}");
    }
}

#[test]
fn takes_the_later_of_both_positions() {
    let seen = RecordedEvent { position: 40, recorded_at: None };
    let position = |min_position| {
        let asked = ConsistencyParams { min_position, ..ConsistencyParams::default() };
        ConsistencyRequirement::read(&asked, Some(seen), None).unwrap().min_position
    };
    assert_eq!([position(None), position(Some(39)), position(Some(41))], [Some(40), Some(40), Some(41)]);
}

#[test]
fn caps_the_wait() {
    let wait = |seconds| ConsistencyRequirement::read(&ConsistencyParams::default(), None, seconds).unwrap().wait_s;
    assert_eq!([wait(None), wait(Some(5)), wait(Some(4_000_000_000))], [None, Some(5), Some(MAX_WAIT_S)]);
}
