use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::observation::tests::any_observation;

fn batch(observations: Vec<Observation>) -> ObservationsRecorded {
    let id = |number: u128| Uuid::from_u128(0x0197_0a51_21d0_7000_8000_0000_0000_0000 + number);
    let campaigns = (1..4).map(|number| CampaignId(id(number))).collect();
    ObservationsRecorded::new(SourceId(id(0)), "EUR".parse().unwrap(), campaigns, observations)
}

fn any_batch() -> impl Strategy<Value = ObservationsRecorded> {
    (prop::collection::vec(any_observation(), 0..4), any_head())
        .prop_map(|(observations, head)| with_head(observations, head))
}

type Head = (Option<u128>, Vec<Vec<String>>, Option<String>, Option<Backfill>);

/// What the head of a batch has that few have: a later series, breakdowns, a key, a backfill.
fn any_head() -> impl Strategy<Value = Head> {
    let breakdown = prop::collection::vec("[a-z_]{1,8}", 1..3);
    let backfill = ("[a-zA-Z0-9._-]{1,9}", 0..4_000_000_000_000_i64).prop_map(|(name, before)| Backfill {
        name: name.parse().unwrap(),
        before: DateTime::from_timestamp_millis(before).unwrap(),
    });
    let key = prop::option::of("[a-z0-9-]{1,36}");
    (any::<Option<u128>>(), prop::collection::vec(breakdown, 0..3), key, prop::option::of(backfill))
}

fn with_head(
    observations: Vec<Observation>,
    (series, breakdowns, sealed_with, backfill): Head,
) -> ObservationsRecorded {
    let series = series.map(|id| SourceId(Uuid::from_u128(id)));
    ObservationsRecorded { series, breakdowns, sealed_with, backfill, ..batch(observations) }
}

/// A batch as nearly all are, which is read here: nothing is corrected and no text is escaped.
fn any_common_batch() -> impl Strategy<Value = ObservationsRecorded> {
    let dimensions = || prop::collection::btree_map("[a-z_]{1,8}", "[ -!#-\\[\\]-~ä€🦀]{0,12}", 0..3);
    let common = ("[a-zA-Z0-9 /:-]{0,30}", dimensions(), any_observation())
        .prop_map(|(id, dimensions, one)| Observation { id, dimensions, correction: None, ..one });
    (prop::collection::vec(common, 1..5), any_head()).prop_map(|(observations, head)| with_head(observations, head))
}

/// Whether a batch is one of those that few are.
fn is_rare(batch: &ObservationsRecorded) -> bool {
    let is_escaped = |text: &str| text.contains(|char: char| char < ' ' || char == '"' || char == '\\');
    batch.observations.iter().any(|one| {
        one.correction.is_some()
            || is_escaped(&one.id)
            || one.dimensions.iter().any(|(name, value)| is_escaped(name) || is_escaped(value))
    })
}

#[track_caller]
fn check_same(json: &str) {
    if let Some(read) = ObservationsRecorded::try_fast_decode(json) {
        assert_eq!(serde_json::from_str::<ObservationsRecorded>(json).ok(), Some(read), "{json}");
    }
}

#[test]
fn decodes_an_empty_batch() {
    let mut empty = batch(Vec::new());
    empty.campaigns.clear();
    let json = serde_json::to_string(&empty).unwrap();
    assert_eq!(ObservationsRecorded::try_fast_decode(&json), Some(empty));
}

#[test]
fn leaves_other_spellings_to_serde() {
    let json = |row: &str| {
        serde_json::to_string(&batch(Vec::new()))
            .unwrap()
            .replace(r#""observations":[]"#, &format!(r#""observations":[{row}]"#))
    };
    let click = json(r#"["a1",0,"click",1795256130250,-3,null,{"country":"DE"}]"#);
    assert!(ObservationsRecorded::try_fast_decode(&click).is_some());
    for row in [
        r#"["a1",0,"click",1795256130250, 3]"#,
        r#"["a\n1",0,"click",1795256130250]"#,
        r#"["a1",0,"clack",1795256130250]"#,
        r#"["a1",-1,"click",1795256130250]"#,
        r#"["a1",00,"click",1795256130250]"#,
        r#"["a1",0,"click",1795256130250,-0]"#,
        r#"["a1",0,"click",1795256130250,1.0]"#,
        r#"["a1",0,"click",1795256130250,1e3]"#,
        r#"["a1",0,"click",9223372036854775807]"#,
        r#"["a1",0,"click",9223372036854775808]"#,
        r#"["a1",0,"click",1795256130250,1,null,{"country":null}]"#,
        r#"["a1",0,"click",1795256130250,1,null,{},0]"#,
        r#"["a1",0,"click"]"#,
        r#"["a1",0,"click",1795256130250],"#,
    ] {
        let json = json(row);
        assert_eq!(ObservationsRecorded::try_fast_decode(&json), None, "{row}");
    }
    assert_eq!(ObservationsRecorded::try_fast_decode(&format!("{click} ")), None);
}

#[test]
fn repeated_label_decodes_as_with_serde() {
    let row = r#"["a1",0,"click",1795256130250,1,null,{"country":"DE","device":"tv","country":"FR"}]"#;
    let json = serde_json::to_string(&batch(Vec::new())).unwrap();
    let json = json.replace(r#""observations":[]"#, &format!(r#""observations":[{row}]"#));
    let read = ObservationsRecorded::try_fast_decode(&json).unwrap();
    assert_eq!(read.observations[0].dimensions["country"], "FR");
    assert_eq!(serde_json::from_str::<ObservationsRecorded>(&json).unwrap(), read);
}

proptest! {
    #[test]
    fn any_batch_decodes_as_written(batch in any_batch()) {
        let json = serde_json::to_string(&batch).unwrap();
        let read = ObservationsRecorded::try_fast_decode(&json);
        if is_rare(&batch) {
            prop_assert_eq!(read, None);
        } else {
            prop_assert_eq!(read, Some(batch));
        }
    }

    #[test]
    fn decodes_common_batches_without_serde(batch in any_common_batch()) {
        let json = serde_json::to_string(&batch).unwrap();
        prop_assert_eq!(ObservationsRecorded::try_fast_decode(&json), Some(batch));
    }

    /// Whatever else is in a log: what is read is what serde reads.
    #[test]
    fn never_disagrees_with_serde(
        batch in prop_oneof![3 => any_common_batch(), 1 => any_batch()],
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, prop::sample::select(br#"[]{},:"-019.eE+n \a"#.to_vec())), 1..4),
    ) {
        let mut json = serde_json::to_string(&batch).unwrap().into_bytes();
        for (place, change, byte) in changes {
            let place = place.index(json.len());
            match change {
                0 => json[place] = byte,
                1 => json.insert(place, byte),
                _ => drop(json.remove(place)),
            }
        }
        if let Ok(json) = std::str::from_utf8(&json) {
            check_same(json);
        }
    }
}
