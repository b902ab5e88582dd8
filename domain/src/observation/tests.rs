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
        correction: None,
        sealed: None,
    }
}

/// A correction of a sale's value and credit.
fn refund() -> Observation {
    Observation {
        kind: ObservationType::Conversion,
        count: -250_000,
        value_micros: Some(-5_000_000),
        correction: Some(Box::new(Correction {
            of: "order-7".to_owned(),
            at: "2026-11-22T08:00:00Z".parse().unwrap(),
            count: 250_000,
            value_micros: Some(14_990_000),
        })),
        ..click("r1")
    }
}

#[track_caller]
fn check_row(observation: &Observation, json: &str) {
    assert_eq!(serde_json::to_string(observation).unwrap(), json);
    assert_eq!(&serde_json::from_str::<Observation>(json).unwrap(), observation);
}

// What is in a log stays there: these rows must be readable for ever.
#[test]
fn rows_omit_empty_trailing_parts() {
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
fn correction_row_has_every_part() {
    check_row(
        &refund(),
        concat!(
            r#"["r1",0,"conversion",1795256130250,-250000,-5000000,{},"#,
            r#"{"of":"order-7","at":1795334400000,"count":250000,"value":14990000}]"#
        ),
    );
    let corrects =
        Some(Box::new(Correction { value_micros: None, count: 0, ..refund().correction.map(|c| *c).unwrap() }));
    check_row(
        &Observation { count: -1, value_micros: None, correction: corrects, kind: ObservationType::Click, ..refund() },
        concat!(
            r#"["r1",0,"click",1795256130250,-1,null,{},"#,
            r#"{"of":"order-7","at":1795334400000,"count":0,"value":null}]"#
        ),
    );
}

#[test]
fn sealed_part_is_the_last_of_a_row() {
    let sealed = Some("c2VhbGVk".into());
    check_row(
        &Observation { sealed: sealed.clone(), ..click("a1") },
        r#"["a1",0,"click",1795256130250,1,null,{},null,"c2VhbGVk"]"#,
    );
    check_row(
        &Observation { sealed, ..refund() },
        concat!(
            r#"["r1",0,"conversion",1795256130250,-250000,-5000000,{},"#,
            r#"{"of":"order-7","at":1795334400000,"count":250000,"value":14990000},"c2VhbGVk"]"#
        ),
    );
}

#[test]
fn rejects_rows_of_another_shape() {
    for json in [
        r#"["a1",0,"click"]"#,
        r#"["a1",0,"clack",1795256130250]"#,
        r#"["a1",-1,"click",1795256130250]"#,
        r#"["a1",0,"click",9223372036854775807]"#,
        r#"["a1",0,"click",1795256130250,1,null,{},"more"]"#,
        r#"["a1",0,"click",1795256130250,1,null,{},{"of":"a0"}]"#,
        r#"["a1",0,"click",1795256130250,1,null,{},{"of":"a0","at":0,"count":0,"value":null,"why":""}]"#,
        r#"["a1",0,"click",1795256130250,1,null,{},{"of":"a0","at":0,"count":0,"value":null},0]"#,
        r#"["a1",0,"click",1795256130250,1,null,{},null,"c2VhbGVk","more"]"#,
        r#"{"id":"a1"}"#,
    ] {
        assert!(serde_json::from_str::<Observation>(json).is_err(), "{json}");
    }
}

#[test]
fn typical_observation_takes_about_60_bytes() {
    let uuid = Uuid::from_u128(0x0197_0a51_21d0_7000_8000_0000_0000_0001);
    let observations: Vec<_> = (0..500_u32)
        .map(|index| Observation {
            campaign: usize::try_from(index % 3).unwrap(),
            value_micros: Some(410_000),
            ..click(&format!("{:016x}", u64::from(index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
        })
        .collect();
    let campaigns = vec![CampaignId(uuid); 3];
    let batch = ObservationsRecorded::new(SourceId(uuid), "EUR".parse().unwrap(), campaigns, observations);
    let bytes = serde_json::to_string(&batch).unwrap().len() / batch.observations.len();
    assert!((45..=65).contains(&bytes), "{bytes} bytes an observation");
}

#[test]
fn observation_adds_its_count_and_value() {
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
fn correction_adds_its_difference() {
    let increments = |observation: &Observation| observation.increments().collect::<Vec<_>>();
    assert_eq!(increments(&refund()), [(Measure::Conversions, -250_000), (Measure::Revenue, -5_000_000)]);
    assert_eq!(increments(&Observation { count: 0, ..refund() }), [(Measure::Revenue, -5_000_000)]);
    assert_eq!(increments(&Observation { value_micros: None, ..refund() }), [(Measure::Conversions, -250_000)]);
    assert_eq!(increments(&Observation { count: 0, value_micros: None, ..refund() }), []);
}

#[test]
fn day_of_an_id_is_the_day_it_happened() {
    assert_eq!(click("a1").day().to_string(), "2026-11-21");
    assert_eq!(refund().day().to_string(), "2026-11-22");
}

#[test]
fn correction_restates_named_parts_and_else_retracts() {
    let sale = NetAmounts { count: 1_000_000, value_micros: Some(59_900_000) };
    let restated = |before: NetAmounts, count, value_micros| {
        let after = before.apply_correction(ObservationType::Conversion, CorrectionInput { count, value_micros });
        let difference = after.delta_from(before).unwrap();
        ((after.count, after.value_micros), (difference.count, difference.value_micros))
    };
    assert_eq!(restated(sale, None, None), ((0, Some(0)), (-1_000_000, Some(-59_900_000))));
    assert_eq!(restated(sale, None, Some(50_000_000)), ((1_000_000, Some(50_000_000)), (0, Some(-9_900_000))));
    assert_eq!(restated(sale, Some(333_333), None), ((333_333, Some(59_900_000)), (-666_667, None)));
    assert_eq!(restated(sale, Some(1_000_000), Some(59_900_000)), ((1_000_000, Some(59_900_000)), (0, None)));
    // A value that was never said can be; it is not there to be taken away.
    let lead = NetAmounts { count: 1_000_000, value_micros: None };
    assert_eq!(restated(lead, None, None), ((0, None), (-1_000_000, None)));
    assert_eq!(restated(lead, None, Some(0)), ((1_000_000, Some(0)), (0, Some(0))));
    // Retracted things can come back.
    let gone = NetAmounts { count: 0, value_micros: Some(0) };
    assert_eq!(restated(gone, Some(1), None), ((1, Some(0)), (1, None)));
    assert_eq!(restated(gone, None, None), ((0, Some(0)), (0, None)));

    let cost = NetAmounts { count: 1, value_micros: Some(7) };
    assert_eq!(
        cost.apply_correction(ObservationType::Spend, CorrectionInput::default()),
        NetAmounts { count: 1, value_micros: Some(0) }
    );
}

#[test]
fn overflowing_difference_is_none() {
    let (least, most) =
        (NetAmounts { count: i64::MIN, value_micros: None }, NetAmounts { count: 1, value_micros: None });
    assert_eq!(least.delta_from(most), None);
    let (least, most) =
        (NetAmounts { count: 0, value_micros: Some(-2) }, NetAmounts { count: 0, value_micros: Some(i64::MAX) });
    assert_eq!(least.delta_from(most), None);
}

#[test]
fn net_amounts_are_stored_as_a_pair() {
    for (total, json) in [
        (NetAmounts { count: 500_000, value_micros: Some(-3) }, "[500000,-3]"),
        (NetAmounts { count: 0, value_micros: None }, "[0,null]"),
    ] {
        assert_eq!(serde_json::to_string(&total).unwrap(), json);
        assert_eq!(serde_json::from_str::<NetAmounts>(json).unwrap(), total);
    }
}

#[test]
fn every_type_has_a_measure_and_a_stored_name() {
    for kind in ObservationType::ALL {
        assert!(kind.count_measure().is_some() || kind.value_measure().is_some());
        assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{}\"", kind.name()));
        assert_eq!(kind.name().parse(), Ok(*kind));
    }
    assert_eq!("clack".parse::<ObservationType>(), Err(ObservationTypeError));
}

pub(super) fn any_observation() -> impl Strategy<Value = Observation> {
    let kind = prop::sample::select(ObservationType::ALL.to_vec());
    let millis = -2_208_988_800_000_i64..7_258_118_400_000;
    let count = prop_oneof![Just(1), Just(1_000_000), any::<i64>()];
    let dimensions = prop::collection::btree_map(".{0,8}", ".{0,12}", 0..3);
    let corrects = prop::option::of(any_correction().prop_map(Box::new));
    let sealed = prop::option::weighted(0.1, "[a-zA-Z0-9+/=]{0,12}".prop_map(Box::from));
    (".{0,30}", 0_usize..5, kind, millis, count, any::<Option<i64>>(), dimensions, corrects, sealed).prop_map(
        |(id, campaign, kind, millis, count, value_micros, dimensions, corrects, sealed)| {
            let occurred_at = DateTime::from_timestamp_millis(millis).unwrap();
            Observation {
                id,
                campaign,
                kind,
                occurred_at,
                count,
                value_micros,
                dimensions,
                correction: corrects,
                sealed,
            }
        },
    )
}

fn any_correction() -> impl Strategy<Value = Correction> {
    (".{0,30}", 0_i64..7_258_118_400_000, any::<i64>(), any::<Option<i64>>()).prop_map(
        |(of, millis, count, value_micros)| Correction {
            of,
            at: DateTime::from_timestamp_millis(millis).unwrap(),
            count,
            value_micros,
        },
    )
}

/// What a correction can say, as the API takes it.
fn any_restated() -> impl Strategy<Value = CorrectionInput> {
    let number = || prop::option::of(-crate::decimal::MAX_MILLIONTHS..=crate::decimal::MAX_MILLIONTHS);
    (number(), number()).prop_map(|(count, value_micros)| CorrectionInput { count, value_micros })
}

proptest! {
    #[test]
    fn observations_round_trip(observation in any_observation()) {
        let json = serde_json::to_string(&observation).unwrap();
        prop_assert_eq!(serde_json::from_str::<Observation>(&json).unwrap(), observation);
    }

    /// However often an observation is corrected, what was added comes to its last total, exactly.
    #[test]
    fn corrections_add_up_to_the_last_total(
        kind in prop::sample::select(ObservationType::ALL.to_vec()),
        said in prop::collection::vec(any_restated(), 0..20),
        count in -crate::decimal::MAX_MILLIONTHS..=crate::decimal::MAX_MILLIONTHS,
        value_micros in prop::option::of(-crate::decimal::MAX_MILLIONTHS..=crate::decimal::MAX_MILLIONTHS),
    ) {
        let sent = Observation { kind, count, value_micros, ..click("a1") };
        let mut sums: BTreeMap<Measure, i128> = BTreeMap::new();
        let mut add = |observation: &Observation| {
            for (measure, value) in observation.increments() {
                *sums.entry(measure).or_default() += i128::from(value);
            }
        };
        add(&sent);
        let mut total = NetAmounts::of(&sent);
        for said in said {
            let after = total.apply_correction(kind, said);
            let NetAmounts { count, value_micros } = after.delta_from(total).unwrap();
            let corrects = Correction { count: after.count, value_micros: after.value_micros, ..*refund().correction.unwrap() };
            add(&Observation { count, value_micros, correction: Some(Box::new(corrects)), ..sent.clone() });
            total = after;
        }
        if let Some(measure) = kind.count_measure() {
            prop_assert_eq!(sums.get(&measure).copied(), Some(i128::from(total.count)));
        }
        if let Some(measure) = kind.value_measure() {
            prop_assert_eq!(sums.get(&measure).copied(), total.value_micros.map(i128::from));
        }
    }
}
