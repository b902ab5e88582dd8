//! What is in a log stays there. Each literal below is a promise: it must be read, and written, like this for ever.
//! A change of shape is a new event version with an upcaster, never an edit of one of these.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::bucket::{Bucket, Grain};
use crate::campaign::{Budget, BudgetPeriod, ExternalId};
use crate::channel::Channel;
use crate::ids::{CampaignId, SourceId, WorkspaceId};
use crate::measure::Measure;
use crate::money::{Currency, Money};
use crate::observation::{Correction, Observation, ObservationType};
use crate::source::{Role, SourceDefinition, SourceKind};
use crate::statement::Statement;
use crate::zone::Zone;

fn campaign() -> CampaignId {
    "019abcde-0000-7000-8000-000000000001".parse().unwrap()
}

fn source() -> SourceId {
    "019abcde-0000-7000-8000-000000000002".parse().unwrap()
}

fn at() -> DateTime<Utc> {
    "2026-11-21T10:15:30.250Z".parse().unwrap()
}

fn euro() -> Currency {
    "EUR".parse().unwrap()
}

fn berlin() -> Zone {
    "Europe/Berlin".parse().unwrap()
}

fn channels() -> Vec<Channel> {
    vec!["email".parse().unwrap(), "tv_spots".parse().unwrap()]
}

/// The event is written as this literal, and the literal is read as this event.
#[track_caller]
fn check(event: &Event, name: &str, json: &str) {
    let event_type = event.event_type();
    assert_eq!(event_type.name, name);
    assert_eq!(serde_json::to_string(event).unwrap(), json);
    let version = event_type.version().to_string();
    assert_eq!(&Event::decode(event_type.stream_type, name, &version, json).unwrap(), event);
}

#[track_caller]
fn check_campaign(event: &CampaignEvent, name: &str, json: &str) {
    check(&Event::Campaign(event.clone()), name, json);
}

#[test]
fn campaign_created() {
    check_campaign(
        &CampaignEvent::CampaignCreated {
            campaign: campaign(),
            name: "Winter sale".to_owned(),
            channels: channels(),
            currency: euro(),
            time_zone: berlin(),
            starts_on: "2026-12-01".parse().unwrap(),
            ends_on: Some("2026-12-24".parse().unwrap()),
            budget: Some(Budget::total(Money { micros: 5_000_000_000, currency: euro() })),
            external_ids: vec![
                ExternalId { source: Some("google_ads".to_owned()), id: "123".to_owned() },
                ExternalId { source: None, id: "winter".to_owned() },
            ],
            attributes: BTreeMap::from([("region".to_owned(), "dach".to_owned())]),
            at: at(),
        },
        "CampaignCreated",
        concat!(
            r#"{"CampaignCreated":{"campaign":"019abcde-0000-7000-8000-000000000001","name":"Winter sale","#,
            r#""channels":["email","tv_spots"],"currency":"EUR","time_zone":"Europe/Berlin","#,
            r#""starts_on":"2026-12-01","ends_on":"2026-12-24","budget":{"amount":{"micros":5000000000,"currency":"EUR"},"per":"total"},"#,
            r#""external_ids":[{"source":"google_ads","id":"123"},{"id":"winter"}],"#,
            r#""attributes":{"region":"dach"},"at":"2026-11-21T10:15:30.250Z"}}"#
        ),
    );
    check_campaign(
        &CampaignEvent::CampaignCreated {
            campaign: campaign(),
            name: "Bare".to_owned(),
            channels: vec![],
            currency: euro(),
            time_zone: Zone::UTC,
            starts_on: "2026-12-01".parse().unwrap(),
            ends_on: None,
            budget: None,
            external_ids: vec![],
            attributes: BTreeMap::new(),
            at: at(),
        },
        "CampaignCreated",
        concat!(
            r#"{"CampaignCreated":{"campaign":"019abcde-0000-7000-8000-000000000001","name":"Bare","#,
            r#""channels":[],"currency":"EUR","time_zone":"UTC","starts_on":"2026-12-01","ends_on":null,"#,
            r#""budget":null,"external_ids":[],"attributes":{},"at":"2026-11-21T10:15:30.250Z"}}"#
        ),
    );
}

#[test]
fn campaign_changed() {
    let at = at();
    check_campaign(
        &CampaignEvent::CampaignRenamed { name: "Spring".to_owned(), at },
        "CampaignRenamed",
        r#"{"CampaignRenamed":{"name":"Spring","at":"2026-11-21T10:15:30.250Z"}}"#,
    );
    check_campaign(
        &CampaignEvent::CampaignRescheduled { starts_on: "2027-03-01".parse().unwrap(), ends_on: None, at },
        "CampaignRescheduled",
        r#"{"CampaignRescheduled":{"starts_on":"2027-03-01","ends_on":null,"at":"2026-11-21T10:15:30.250Z"}}"#,
    );
    check_campaign(
        &CampaignEvent::CampaignTimeZoneChanged { time_zone: berlin(), at },
        "CampaignTimeZoneChanged",
        r#"{"CampaignTimeZoneChanged":{"time_zone":"Europe/Berlin","at":"2026-11-21T10:15:30.250Z"}}"#,
    );
    check_campaign(
        &CampaignEvent::CampaignCurrencyChanged { currency: euro(), at },
        "CampaignCurrencyChanged",
        r#"{"CampaignCurrencyChanged":{"currency":"EUR","at":"2026-11-21T10:15:30.250Z"}}"#,
    );
    check_campaign(
        &CampaignEvent::CampaignChannelsSet { channels: channels(), at },
        "CampaignChannelsSet",
        r#"{"CampaignChannelsSet":{"channels":["email","tv_spots"],"at":"2026-11-21T10:15:30.250Z"}}"#,
    );
    check_campaign(
        &CampaignEvent::CampaignBudgetSet {
            budget: Some(Budget { amount: Money { micros: 1, currency: euro() }, per: BudgetPeriod::Day }),
            at,
        },
        "CampaignBudgetSet",
        r#"{"CampaignBudgetSet":{"budget":{"amount":{"micros":1,"currency":"EUR"},"per":"day"},"at":"2026-11-21T10:15:30.250Z"}}"#,
    );
    check_campaign(
        &CampaignEvent::CampaignExternalIdsSet {
            external_ids: vec![ExternalId { source: None, id: "7".to_owned() }],
            at,
        },
        "CampaignExternalIdsSet",
        r#"{"CampaignExternalIdsSet":{"external_ids":[{"id":"7"}],"at":"2026-11-21T10:15:30.250Z"}}"#,
    );
    check_campaign(
        &CampaignEvent::CampaignAttributesSet {
            attributes: BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]),
            at,
        },
        "CampaignAttributesSet",
        r#"{"CampaignAttributesSet":{"attributes":{"a":"1","b":"2"},"at":"2026-11-21T10:15:30.250Z"}}"#,
    );
}

#[test]
fn campaign_moved_on() {
    let at = at();
    for (event, name) in [
        (CampaignEvent::CampaignLaunched { at }, "CampaignLaunched"),
        (CampaignEvent::CampaignPaused { at }, "CampaignPaused"),
        (CampaignEvent::CampaignResumed { at }, "CampaignResumed"),
        (CampaignEvent::CampaignCompleted { at }, "CampaignCompleted"),
        (CampaignEvent::CampaignArchived { at }, "CampaignArchived"),
    ] {
        check_campaign(&event, name, &format!(r#"{{"{name}":{{"at":"2026-11-21T10:15:30.250Z"}}}}"#));
    }
}

#[test]
fn source_registered() {
    let definition = SourceDefinition {
        name: "google_ads".to_owned(),
        channel: "paid_search".parse().unwrap(),
        kind: SourceKind::Pull,
        role: Role::Primary,
        measure_roles: BTreeMap::from([(Measure::VideoViews, Role::Reference)]),
        time_zone: berlin(),
        currency: euro(),
        expected_delay_s: 10_800,
        restatement_horizon_s: 2_592_000,
    };
    let event = SourceEvent::SourceRegistered { source: source(), definition: definition.clone(), at: at() };
    let json = concat!(
        r#"{"SourceRegistered":{"source":"019abcde-0000-7000-8000-000000000002","#,
        r#""definition":{"name":"google_ads","channel":"paid_search","kind":"pull","role":"primary","#,
        r#""measure_roles":{"video_views":"reference"},"time_zone":"Europe/Berlin","currency":"EUR","#,
        r#""expected_delay_s":10800,"restatement_horizon_s":2592000},"at":"2026-11-21T10:15:30.250Z"}}"#
    );
    check(&Event::Source(event), "SourceRegistered", json);
    let definition = SourceDefinition {
        kind: SourceKind::Push,
        role: Role::Reference,
        measure_roles: BTreeMap::new(),
        ..definition
    };
    let event = SourceEvent::SourceRegistered { source: source(), definition, at: at() };
    let json = concat!(
        r#"{"SourceRegistered":{"source":"019abcde-0000-7000-8000-000000000002","#,
        r#""definition":{"name":"google_ads","channel":"paid_search","kind":"push","role":"reference","#,
        r#""time_zone":"Europe/Berlin","currency":"EUR","#,
        r#""expected_delay_s":10800,"restatement_horizon_s":2592000},"at":"2026-11-21T10:15:30.250Z"}}"#
    );
    check(&Event::Source(event), "SourceRegistered", json);
}

#[test]
fn workspace_opened() {
    let opened = WorkspaceOpened { name: "acme".to_owned(), time_zone: berlin(), currency: euro() };
    let json = r#"{"name":"acme","time_zone":"Europe/Berlin","currency":"EUR"}"#;
    check(&Event::Workspace(opened), "WorkspaceOpened", json);
}

#[test]
fn observations_recorded() {
    let click = Observation {
        id: "a1".to_owned(),
        campaign: 0,
        kind: ObservationType::Click,
        occurred_at: at(),
        count: 1,
        value_micros: None,
        dimensions: BTreeMap::new(),
        corrects: None,
    };
    let sale = Observation {
        id: "o9".to_owned(),
        kind: ObservationType::Conversion,
        count: 500_000,
        value_micros: Some(19_990_000),
        dimensions: BTreeMap::from([("country".to_owned(), "DE".to_owned())]),
        ..click.clone()
    };
    let corrects = Correction { of: "o9".to_owned(), at: at() + TimeDelta::days(1), count: 0, value_micros: Some(0) };
    let refund = Observation {
        id: "r1".to_owned(),
        count: -500_000,
        value_micros: Some(-19_990_000),
        corrects: Some(Box::new(corrects)),
        ..sale.clone()
    };
    let batch = ObservationsRecorded {
        source: source(),
        currency: euro(),
        campaigns: vec![campaign()],
        observations: vec![click, sale, refund],
    };
    let json = concat!(
        r#"{"source":"019abcde-0000-7000-8000-000000000002","currency":"EUR","#,
        r#""campaigns":["019abcde-0000-7000-8000-000000000001"],"#,
        r#""observations":[["a1",0,"click",1795256130250],"#,
        r#"["o9",0,"conversion",1795256130250,500000,19990000,{"country":"DE"}],"#,
        r#"["r1",0,"conversion",1795256130250,-500000,-19990000,{"country":"DE"},"#,
        r#"{"of":"o9","at":1795342530250,"count":0,"value":0}]]}"#
    );
    check(&Event::Observations(batch), "ObservationsRecorded", json);
}

#[test]
fn statements_recorded() {
    let measures = BTreeMap::from([(Measure::Spend, 3_410_000), (Measure::Clicks, 12)]);
    let batch = |grain, bucket| StatementsRecorded {
        source: source(),
        currency: euro(),
        grain,
        time_zone: berlin(),
        statements: vec![Statement { campaign: campaign(), bucket, stated_at: at(), measures: measures.clone() }],
    };
    for (grain, bucket, name, literal) in [
        (Grain::Day, Bucket::Day("2026-11-20".parse().unwrap()), "day", "2026-11-20"),
        (Grain::Hour, Bucket::Starts("2026-11-20T10:00:00Z".parse().unwrap()), "hour", "2026-11-20T10:00:00Z"),
        (Grain::QuarterHour, Bucket::Starts("2026-11-20T10:15:00Z".parse().unwrap()), "15m", "2026-11-20T10:15:00Z"),
    ] {
        let batch = batch(grain, bucket);
        let json = [
            r#"{"source":"019abcde-0000-7000-8000-000000000002","currency":"EUR","grain":""#,
            name,
            r#"","time_zone":"Europe/Berlin","statements":["#,
            r#"{"campaign":"019abcde-0000-7000-8000-000000000001","bucket":""#,
            literal,
            r#"","stated_at":"2026-11-21T10:15:30.250Z","measures":{"clicks":12,"spend":3410000}}]}"#,
        ]
        .concat();
        check(&Event::Statements(batch), "StatementsRecorded", &json);
    }
}

#[test]
fn syncs() {
    let (source, at) = (source(), at());
    let complete_through = "2026-11-21T10:00:00Z".parse().unwrap();
    let head = r#"{"source":"019abcde-0000-7000-8000-000000000002","at":"2026-11-21T10:15:30.250Z""#;
    for (event, name, rest) in [
        (SyncEvent::SyncStarted { source, at }, "SyncStarted", ""),
        (
            SyncEvent::SyncCompleted { source, at, complete_through, grain: Grain::Hour },
            "SyncCompleted",
            r#","complete_through":"2026-11-21T10:00:00Z","grain":"hour""#,
        ),
        (
            SyncEvent::SyncFailed { source, at, reason: "quota \"x\" exceeded".to_owned() },
            "SyncFailed",
            r#","reason":"quota \"x\" exceeded""#,
        ),
    ] {
        assert_eq!(event.source(), source);
        check(&Event::Sync(event), name, &format!(r#"{{"{name}":{head}{rest}}}}}"#));
    }
}

#[test]
fn other_streams_types_and_shapes_are_not_ours() {
    let error = |stream_type, event_type, version, payload| {
        Event::decode(stream_type, event_type, version, payload).unwrap_err().to_string()
    };
    assert_eq!(error("invoices", "InvoiceSent", "1", "{}"), "the stream type \"invoices\" is not known");
    for (stream_type, event_type) in [("campaign", "CampaignDeleted"), ("campaign", "SyncStarted"), ("syncs", "")] {
        let unknown = format!("the event type {event_type:?} is not known in such a stream");
        assert_eq!(error(stream_type, event_type, "1", "{}"), unknown);
    }
    for version in ["", "0", "-1", "v1", "1.0"] {
        let wrong = format!("the version {version:?} of the event is not an integer from 1 on");
        assert_eq!(error("campaign", "CampaignLaunched", version, "{}"), wrong);
    }
    for (stream_type, event_type, payload) in [
        ("campaign", "CampaignLaunched", "{}"),
        ("campaign", "CampaignLaunched", "null"),
        ("campaign", "CampaignLaunched", r#"{"CampaignLaunched":{}}"#),
        ("campaign", "CampaignLaunched", r#"{"CampaignLaunched":{"at":"2026-11-21T10:15:30Z"}} more"#),
        ("syncs", "SyncStarted", r#"{"SyncStarted":{"source":"x","at":"2026-11-21T10:15:30Z"}}"#),
        ("observations", "ObservationsRecorded", r#"{"observations":[]}"#),
        ("statements", "StatementsRecorded", "not json"),
    ] {
        assert_eq!(error(stream_type, event_type, "1", payload), "the payload could not be decoded", "{payload}");
    }
}

#[test]
fn what_newer_code_wrote_is_not_guessed_at() {
    let payload = r#"{"CampaignLaunched":{"at":"2026-11-21T10:15:30Z"}}"#;
    let newer = "CampaignLaunched was written in version 2 by newer code; this one reads it up to version 1";
    let read = Event::decode("campaign", "CampaignLaunched", "2", payload).unwrap_err();
    assert_eq!(read.to_string(), newer);
    let loaded = upcast("CampaignLaunched", "2", serde_json::Value::Null).unwrap_err();
    assert_eq!(loaded.to_string(), newer);
}

#[test]
fn no_two_types_have_one_name() {
    let names: std::collections::BTreeSet<_> = EventType::ALL.iter().map(|known| known.name).collect();
    assert_eq!(names.len(), EventType::ALL.len());
}

#[test]
fn streams_are_named_by_workspace_and_id() {
    assert_eq!(campaign().stream(WorkspaceId(7)), "7/019abcde-0000-7000-8000-000000000001");
    assert_eq!(source().stream(WorkspaceId(7)), "7/019abcde-0000-7000-8000-000000000002");
}

fn any_instant() -> impl Strategy<Value = DateTime<Utc>> {
    (0_i64..7_258_118_400, 0_u32..1_000_000_000)
        .prop_map(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos).unwrap())
}

fn any_bucket() -> impl Strategy<Value = Bucket> {
    prop_oneof![
        any_instant().prop_map(Bucket::Starts),
        (0_i64..80_000).prop_map(|days| Bucket::Day(crate::bucket::FIRST_DATE + TimeDelta::days(days))),
    ]
}

fn any_statements() -> impl Strategy<Value = StatementsRecorded> {
    let measures = prop::collection::btree_map(prop::sample::select(Measure::ALL.to_vec()), any::<i64>(), 0..5);
    let statement =
        (any::<u128>(), any_bucket(), any_instant(), measures).prop_map(|(campaign, bucket, stated_at, measures)| {
            Statement { campaign: CampaignId(Uuid::from_u128(campaign)), bucket, stated_at, measures }
        });
    let zone = prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()).prop_map(Zone);
    let grain = prop::sample::select(Grain::ALL.to_vec());
    (any::<u128>(), grain, zone, prop::collection::vec(statement, 0..5)).prop_map(
        |(source, grain, time_zone, statements)| {
            let source = SourceId(Uuid::from_u128(source));
            StatementsRecorded { source, currency: euro(), grain, time_zone, statements }
        },
    )
}

fn any_sync() -> impl Strategy<Value = SyncEvent> {
    let source = any::<u128>().prop_map(|id| SourceId(Uuid::from_u128(id)));
    let grain = prop::sample::select(Grain::ALL.to_vec());
    (source, any_instant(), any_instant(), grain, ".{0,40}", 0..3).prop_map(
        |(source, at, complete_through, grain, reason, kind)| match kind {
            0 => SyncEvent::SyncStarted { source, at },
            1 => SyncEvent::SyncCompleted { source, at, complete_through, grain },
            _ => SyncEvent::SyncFailed { source, at, reason },
        },
    )
}

proptest! {
    #[test]
    fn any_statements_are_read_as_they_were_written(batch in any_statements()) {
        let json = serde_json::to_string(&batch).unwrap();
        let read = Event::decode("statements", "StatementsRecorded", "1", &json).unwrap();
        prop_assert_eq!(read, Event::Statements(batch));
    }

    #[test]
    fn any_sync_is_read_as_it_was_written(sync in any_sync()) {
        let json = serde_json::to_string(&sync).unwrap();
        let read = Event::decode("syncs", sync.kind().name, "1", &json).unwrap();
        prop_assert_eq!(read, Event::Sync(sync));
    }
}
