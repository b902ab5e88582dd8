use super::*;

/// A row as PostgreSQL sends it.
fn row(columns: &[&[u8]]) -> Vec<u8> {
    let mut row = i16::try_from(columns.len()).unwrap_or(0).to_be_bytes().to_vec();
    for column in columns {
        row.extend(i32::try_from(column.len()).unwrap_or(0).to_be_bytes());
        row.extend(*column);
    }
    row
}

fn stored(payload: &[u8]) -> Vec<u8> {
    let (position, sequence, micros) = (7_i64.to_be_bytes(), 3_i64.to_be_bytes(), (-1_i64).to_be_bytes());
    row(&[&position, &sequence, &micros, b"observations", b"1/a", b"ObservationsRecorded", b"1", payload, b"{}"])
}

#[test]
fn parses_rows_with_and_without_a_header() {
    let with_header = [HEADER, &stored(br#"{"a":"\u00e9"}"#)].concat();
    for message in [with_header, stored(br#"{"a":"\u00e9"}"#)] {
        let event = event(1, &message).ok().flatten().expect("an event");
        assert_eq!((event.workspace, event.position, event.sequence), (1, 7, 3));
        assert_eq!(event.recorded_at.to_rfc3339(), "1999-12-31T23:59:59.999999+00:00");
        assert_eq!((event.stream_type(), event.stream_id()), ("observations", "1/a"));
        assert_eq!((event.event_type(), event.event_version()), ("ObservationsRecorded", "1"));
        assert_eq!((event.payload(), event.metadata()), (r#"{"a":"\u00e9"}"#, "{}"));
    }
}

#[test]
fn end_marker_yields_no_event() {
    assert!(matches!(event(1, &END.to_be_bytes()), Ok(None)));
    assert!(matches!(event(1, &[HEADER, &END.to_be_bytes()].concat()), Ok(None)));
}

#[test]
fn rejects_malformed_and_truncated_rows() {
    let whole = stored(b"{}");
    for length in 0..whole.len() {
        assert!(event(1, &whole[..length]).is_err(), "cut to {length}");
    }
    assert!(event(1, &stored(b"\xff")).is_err(), "no UTF-8");
    assert!(event(1, &row(&[b"x"])).is_err(), "another number of columns");
    let mut null = whole.clone();
    null[2..6].copy_from_slice(&(-1_i32).to_be_bytes());
    assert!(event(1, &null).is_err(), "a column that is null");
}
