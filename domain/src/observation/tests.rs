use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn click(id: &str) -> Observation {
    Observation {
        id: id.to_owned(),
        campaign: 0,
        kind: ObservationType::Click,
        occurred_at: "2026-11-21T10:15:30.250Z".parse().unwrap(),
        count: 1,
        value_micros: None,
        dimensions: BTreeMap::new(),
    }
}

#[track_caller]
fn check_row(observation: &Observation, json: &str) {
    assert_eq!(serde_json::to_string(observation).unwrap(), json);
    assert_eq!(&serde_json::from_str::<Observation>(json).unwrap(), observation);
}

// What is in a log stays there: these rows must be readable for ever.
#[test]
fn rows_leave_out_trailing_parts_that_say_nothing() {
    check_row(&click("a1"), r#"["a1",0,"click",1795256130250]"#);
    check_row(&Observation { count: 3, ..click("a1") }, r#"["a1",0,"click",1795256130250,3]"#);
    check_row(
        &Observation { value_micros: Some(410_000), ..click("a1") },
        r#"["a1",0,"click",1795256130250,1,410000]"#,
    );
    let dimensions = BTreeMap::from([("country".to_owned(), "DE".to_owned())]);
    check_row(
        &Observation { dimensions: dimensions.clone(), ..click("a1") },
        r#"["a1",0,"click",1795256130250,1,null,{"country":"DE"}]"#,
    );
    check_row(
        &Observation { value_micros: Some(-5), dimensions, campaign: 7, ..click("a\"1") },
        r#"["a\"1",7,"click",1795256130250,1,-5,{"country":"DE"}]"#,
    );
    let conversion = Observation { kind: ObservationType::Conversion, count: 1_000_000, ..click("o9") };
    check_row(&conversion, r#"["o9",0,"conversion",1795256130250]"#);
    check_row(&Observation { count: 500_000, ..conversion }, r#"["o9",0,"conversion",1795256130250,500000]"#);
}

#[test]
fn rows_of_another_shape_are_refused() {
    for json in [
        r#"["a1",0,"click"]"#,
        r#"["a1",0,"clack",1795256130250]"#,
        r#"["a1",-1,"click",1795256130250]"#,
        r#"["a1",0,"click",9223372036854775807]"#,
        r#"["a1",0,"click",1795256130250,1,null,{},"more"]"#,
        r#"{"id":"a1"}"#,
    ] {
        assert!(serde_json::from_str::<Observation>(json).is_err(), "{json}");
    }
}

#[test]
fn a_typical_observation_takes_about_60_bytes() {
    let uuid = Uuid::from_u128(0x0197_0a51_21d0_7000_8000_0000_0000_0001);
    let observations: Vec<_> = (0..500_u32)
        .map(|index| Observation {
            campaign: usize::try_from(index % 3).unwrap(),
            value_micros: Some(410_000),
            ..click(&format!("{:016x}", u64::from(index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        })
        .collect();
    let batch = ObservationsRecorded {
        source: SourceId(uuid),
        currency: "EUR".parse().unwrap(),
        campaigns: vec![CampaignId(uuid); 3],
        observations,
    };
    let bytes = serde_json::to_string(&batch).unwrap().len() / batch.observations.len();
    assert!((45..=65).contains(&bytes), "{bytes} bytes an observation");
}

#[test]
fn an_observation_adds_its_count_and_its_value() {
    let increments = |observation: &Observation| observation.increments().collect::<Vec<_>>();
    assert_eq!(increments(&click("a")), [(Measure::Clicks, 1)]);
    let paid = Observation { value_micros: Some(410_000), ..click("a") };
    assert_eq!(increments(&paid), [(Measure::Clicks, 1), (Measure::Spend, 410_000)]);
    let spend = Observation { kind: ObservationType::Spend, ..paid.clone() };
    assert_eq!(increments(&spend), [(Measure::Spend, 410_000)]);
    let open = Observation { kind: ObservationType::Open, ..paid };
    assert_eq!(increments(&open), [(Measure::Opens, 1)]);
}

#[test]
fn every_type_adds_to_something_and_is_stored_by_its_name() {
    for kind in ObservationType::ALL {
        assert!(kind.count_measure().is_some() || kind.value_measure().is_some());
        assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{}\"", kind.name()));
        assert_eq!(kind.name().parse(), Ok(*kind));
    }
    assert_eq!("clack".parse::<ObservationType>(), Err(ObservationTypeError));
}

fn any_observation() -> impl Strategy<Value = Observation> {
    let kind = prop::sample::select(ObservationType::ALL.to_vec());
    let millis = -2_208_988_800_000_i64..7_258_118_400_000;
    let count = prop_oneof![Just(1), Just(1_000_000), any::<i64>()];
    let dimensions = prop::collection::btree_map(".{0,8}", ".{0,12}", 0..3);
    (".{0,30}", 0_usize..5, kind, millis, count, any::<Option<i64>>(), dimensions).prop_map(
        |(id, campaign, kind, millis, count, value_micros, dimensions)| {
            let occurred_at = DateTime::from_timestamp_millis(millis).unwrap();
            Observation { id, campaign, kind, occurred_at, count, value_micros, dimensions }
        },
    )
}

proptest! {
    #[test]
    fn any_observation_is_read_as_it_was_written(observation in any_observation()) {
        let json = serde_json::to_string(&observation).unwrap();
        prop_assert_eq!(serde_json::from_str::<Observation>(&json).unwrap(), observation);
    }
}
