//! Any event that can be written has the schema of its type, and is read as it was written.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use jsonschema::Validator;
use proptest::prelude::*;
use uuid::Uuid;

use super::schemas::committed;
use crate::breakdown::SourceDimension;
use crate::bucket::{Bucket, FIRST_DATE, FiscalCalendar, Grain, MONTHS, RetailWeeks, WEEKDAYS};
use crate::campaign::{Budget, BudgetPeriod, CampaignEvent, CampaignState, ExternalId};
use crate::catalogue::EventType;
use crate::channel::Channel;
use crate::event::Event;
use crate::ids::{CampaignId, SourceId};
use crate::measure::Measure;
use crate::money::{Currency, Money};
use crate::observation::{Backfill, Correction, Dimension, Observation, ObservationType, ObservationsRecorded};
use crate::source::{
    Horizon, Horizons, IdScope, Series, SourceChange, SourceDefinition, SourceEvent, SourceKind, SourceRole,
    UnknownCampaigns,
};
use crate::statement::{Statement, StatementsRecorded};
use crate::sync::{Coverage, FinalThrough, SyncEvent};
use crate::workspace::{WorkspaceCalendarSet, WorkspaceEvent, WorkspaceMoneyLimitSet, WorkspaceOpened};
use crate::zone::Zone;

fn one_of<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(values.to_vec())
}

fn list<S: Strategy>(of: S) -> impl Strategy<Value = Vec<S::Value>> {
    prop::collection::vec(of, 0..4)
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (0_i64..7_258_118_400, 0_u32..1_000_000_000)
        .prop_map(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos).unwrap())
}

fn millisecond() -> impl Strategy<Value = DateTime<Utc>> {
    (-2_208_988_800_000_i64..7_258_118_400_000).prop_map(|millis| DateTime::from_timestamp_millis(millis).unwrap())
}

fn date() -> impl Strategy<Value = NaiveDate> {
    (0_i64..80_000).prop_map(|days| FIRST_DATE + TimeDelta::days(days))
}

fn campaign_id() -> impl Strategy<Value = CampaignId> {
    any::<u128>().prop_map(|id| CampaignId(Uuid::from_u128(id)))
}

fn source_id() -> impl Strategy<Value = SourceId> {
    any::<u128>().prop_map(|id| SourceId(Uuid::from_u128(id)))
}

fn currency() -> impl Strategy<Value = Currency> {
    "[A-Z]{3}".prop_map(|code| code.parse().unwrap())
}

fn zone() -> impl Strategy<Value = Zone> {
    one_of(&chrono_tz::TZ_VARIANTS).prop_map(Zone)
}

fn channels() -> impl Strategy<Value = Vec<Channel>> {
    list("[a-z][a-z0-9_]{0,39}".prop_map(|name| name.parse().unwrap()))
}

fn budget() -> impl Strategy<Value = Option<Budget>> {
    let amount = (any::<i64>(), currency()).prop_map(|(micros, currency)| Money { micros, currency });
    prop::option::of((amount, one_of(&BudgetPeriod::ALL)).prop_map(|(amount, per)| Budget { amount, per }))
}

fn external_ids() -> impl Strategy<Value = Vec<ExternalId>> {
    list((any::<Option<String>>(), any::<String>()).prop_map(|(source, id)| ExternalId { source, id }))
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map(any::<String>(), any::<String>(), 0..3)
}

fn created() -> impl Strategy<Value = CampaignEvent> {
    let what = (any::<String>(), channels(), currency(), zone(), date(), prop::option::of(date()));
    let attributes = (labels(), any::<Option<String>>());
    (campaign_id(), what, budget(), external_ids(), attributes, instant()).prop_map(
        |(campaign, what, budget, external_ids, (attributes, created_by_source), at)| {
            let (name, channels, currency, time_zone, starts_on, ends_on) = what;
            CampaignEvent::CampaignCreated {
                campaign,
                name,
                channels,
                currency,
                time_zone,
                starts_on,
                ends_on,
                budget,
                external_ids,
                attributes,
                created_by_source,
                at,
            }
        },
    )
}

fn of_a_campaign() -> impl Strategy<Value = CampaignEvent> {
    instant().prop_flat_map(|at| {
        prop_oneof![
            created(),
            any::<String>().prop_map(move |name| CampaignEvent::CampaignRenamed { name, at }),
            (date(), prop::option::of(date()))
                .prop_map(move |(starts_on, ends_on)| CampaignEvent::CampaignRescheduled { starts_on, ends_on, at }),
            zone().prop_map(move |time_zone| CampaignEvent::CampaignTimeZoneChanged { time_zone, at }),
            currency().prop_map(move |currency| CampaignEvent::CampaignCurrencyChanged { currency, at }),
            channels().prop_map(move |channels| CampaignEvent::CampaignChannelsSet { channels, at }),
            budget().prop_map(move |budget| CampaignEvent::CampaignBudgetSet { budget, at }),
            external_ids().prop_map(move |external_ids| CampaignEvent::CampaignExternalIdsSet { external_ids, at }),
            labels().prop_map(move |attributes| CampaignEvent::CampaignAttributesSet { attributes, at }),
            one_of(&[
                CampaignEvent::CampaignLaunched { at },
                CampaignEvent::CampaignPaused { at },
                CampaignEvent::CampaignResumed { at },
                CampaignEvent::CampaignCompleted { at },
                CampaignEvent::CampaignArchived { at },
            ]),
            one_of(&CampaignState::ALL).prop_map(move |state| CampaignEvent::CampaignUnarchived { state, at }),
        ]
    })
}

fn registered() -> impl Strategy<Value = SourceEvent> {
    let roles = [SourceRole::Primary, SourceRole::Reference];
    let measure_roles = prop::collection::btree_map(one_of(Measure::ALL), one_of(&roles), 0..3);
    let kind = one_of(&[SourceKind::Push, SourceKind::Pull]);
    let what = (any::<String>(), channels(), kind, one_of(&roles), measure_roles, zone(), currency());
    let more = (
        prop::collection::btree_set(one_of(Measure::ALL), 0..3),
        any::<Option<String>>(),
        horizons(),
        any::<Option<i64>>(),
        prop::option::of(date()),
        any::<[Option<i64>; 2]>(),
        (
            one_of(&[IdScope::Day, IdScope::Window]),
            one_of(&[UnknownCampaigns::Reject, UnknownCampaigns::Create]),
            list(
                (one_of(Dimension::ALL), any::<bool>())
                    .prop_map(|(name, partition)| SourceDimension { name, partition }),
            ),
        ),
    );
    (source_id(), what, any::<i64>(), more, instant()).prop_filter_map(
        "a channel",
        |(source, what, expected_delay_s, more, at)| {
            let (measures, platform, horizons, complete_after_s, expected_from, lengths, choices) = more;
            let [quiet_after_s, observation_window_s] = lengths;
            let (id_scope, unknown_campaigns, dimensions) = choices;
            let (name, channels, kind, role, measure_roles, time_zone, currency) = what;
            let channel = channels.into_iter().next()?;
            let definition = SourceDefinition {
                name,
                channel,
                kind,
                role,
                measure_roles,
                measures,
                platform,
                time_zone,
                currency,
                expected_delay_s,
                horizons,
                complete_after_s,
                quiet_after_s,
                expected_from,
                observation_window_s,
                id_scope,
                unknown_campaigns,
                dimensions,
            };
            Some(SourceEvent::SourceRegistered { source, definition, at })
        },
    )
}

fn horizon() -> impl Strategy<Value = Horizon> {
    prop_oneof![any::<i64>().prop_map(Horizon::Seconds), any::<u16>().prop_map(|days| Horizon::MonthEnd { days })]
}

fn horizons() -> impl Strategy<Value = Horizons> {
    (horizon(), horizon(), prop::collection::btree_map(one_of(Measure::ALL), horizon(), 0..3))
        .prop_map(|(delivery, conversions, measures)| Horizons { delivery, conversions, measures })
}

fn of_a_source() -> impl Strategy<Value = SourceEvent> {
    let changed = (registered(), any::<[bool; 11]>(), date()).prop_map(|(event, given, from)| {
        let SourceEvent::SourceRegistered { source, definition, at } = event else { unreachable!() };
        let change = SourceChange {
            channel: given[0].then_some(definition.channel),
            role: given[1].then_some(definition.role),
            measure_roles: given[2].then_some(definition.measure_roles),
            measures: given[3].then_some(definition.measures),
            expected_delay_s: given[4].then_some(definition.expected_delay_s),
            horizons: given[5].then_some(definition.horizons),
            complete_after_s: definition.complete_after_s.filter(|_| given[6]),
            quiet_after_s: definition.quiet_after_s.filter(|_| given[6]),
            observation_window_s: definition.observation_window_s.filter(|_| given[7]),
            unknown_campaigns: given[9].then_some(definition.unknown_campaigns),
            dimensions: given[10].then_some(definition.dimensions),
            series: given[8].then_some(Series {
                id: source,
                time_zone: definition.time_zone,
                currency: definition.currency,
            }),
        };
        SourceEvent::SourceChanged { source, change, from, at }
    });
    prop_oneof![
        3 => registered(),
        3 => changed,
        1 => (source_id(), instant(), instant())
            .prop_map(|(source, ends_at, at)| SourceEvent::SourceEnded { source, ends_at, at }),
        1 => (source_id(), instant(), instant())
            .prop_map(|(source, resumes_at, at)| SourceEvent::SourceResumed { source, resumes_at, at }),
    ]
}

fn observed() -> impl Strategy<Value = ObservationsRecorded> {
    let correction = (any::<String>(), millisecond(), any::<i64>(), any::<Option<i64>>())
        .prop_map(|(of, at, count, value_micros)| Box::new(Correction { of, at, count, value_micros }));
    let what = (any::<String>(), 0_usize..5, one_of(ObservationType::ALL), millisecond());
    let count = prop_oneof![Just(1), Just(1_000_000), any::<i64>()];
    let numbers = (count, any::<Option<i64>>());
    let sealed = prop::option::of(".*".prop_map(Box::from));
    let observation = (what, numbers, labels(), prop::option::of(correction), sealed).prop_map(
        |((id, campaign, kind, occurred_at), (count, value_micros), dimensions, correction, sealed)| Observation {
            id,
            campaign,
            kind,
            occurred_at,
            count,
            value_micros,
            dimensions,
            correction,
            sealed,
        },
    );
    let backfill = ("[a-zA-Z0-9._-]{1,100}", instant())
        .prop_map(|(name, before)| Backfill { name: name.parse().unwrap(), before });
    let series = prop::option::of(source_id());
    let extras = (list(list(".*")), any::<Option<String>>(), prop::option::of(backfill));
    let head = (source_id(), series, currency(), extras);
    (head, list(campaign_id()), list(observation)).prop_map(
        |((source, series, currency, (breakdowns, sealed_with, backfill)), campaigns, observations)| {
            ObservationsRecorded {
                source,
                series,
                currency,
                breakdowns,
                sealed_with,
                backfill,
                campaigns,
                observations,
            }
        },
    )
}

fn stated() -> impl Strategy<Value = StatementsRecorded> {
    let bucket = prop_oneof![instant().prop_map(Bucket::Starts), date().prop_map(Bucket::Day)];
    let measures = prop::collection::btree_map(one_of(Measure::ALL), any::<Option<i64>>(), 0..5);
    let statement = (campaign_id(), bucket, list(".*"), instant(), measures, any::<Option<String>>()).prop_map(
        |(campaign, bucket, values, stated_at, measures, sealed)| Statement {
            campaign,
            bucket,
            values,
            stated_at,
            measures,
            sealed,
        },
    );
    let head = (source_id(), prop::option::of(source_id()), currency(), one_of(&Grain::ALL), zone());
    let breakdown = (list(".*"), any::<Option<u16>>());
    (head, breakdown, any::<Option<String>>(), list(statement)).prop_map(
        |((source, series, currency, grain, time_zone), (breakdown, precedence), sealed_with, statements)| {
            StatementsRecorded {
                source,
                series,
                currency,
                grain,
                time_zone,
                breakdown,
                precedence,
                sealed_with,
                statements,
            }
        },
    )
}

fn of_a_run() -> impl Strategy<Value = SyncEvent> {
    let coverage = (instant(), instant()).prop_map(|(from, to)| Coverage { from, to });
    let completed = (prop::option::of(instant()), one_of(&Grain::ALL), prop::option::of(coverage), any::<i64>());
    let word = (prop::option::of(instant()), prop::option::of(instant()))
        .prop_map(|(delivery, conversions)| FinalThrough { delivery, conversions });
    (source_id(), instant(), completed, word, any::<String>(), 0..4).prop_map(
        |(source, at, (complete_through, grain, covers, lookback_s), final_through, reason, kind)| match kind {
            0 => SyncEvent::SyncStarted { source, at },
            1 => SyncEvent::SyncCompleted { source, at, complete_through, grain, covers, lookback_s, final_through },
            2 => SyncEvent::SyncReopened { source, at, complete_through: complete_through.unwrap_or(at) },
            _ => SyncEvent::SyncFailed { source, at, reason },
        },
    )
}

fn calendar() -> impl Strategy<Value = FiscalCalendar> {
    (one_of(&WEEKDAYS), one_of(&MONTHS), prop::option::of(one_of(&RetailWeeks::ALL)))
        .prop_map(|(week_start, year_start, retail_weeks)| FiscalCalendar { week_start, year_start, retail_weeks })
}

fn event() -> impl Strategy<Value = Event> {
    let opened = (any::<String>(), zone(), currency())
        .prop_map(|(name, time_zone, currency)| WorkspaceEvent::Opened(WorkspaceOpened { name, time_zone, currency }));
    let calendar_set = (calendar(), instant())
        .prop_map(|(calendar, at)| WorkspaceEvent::CalendarSet(WorkspaceCalendarSet { calendar, at }));
    let limit_set = (prop::option::of(any::<i64>()), instant())
        .prop_map(|(limit_micros, at)| WorkspaceEvent::MoneyLimitSet(WorkspaceMoneyLimitSet { limit_micros, at }));
    prop_oneof![
        1 => prop_oneof![opened, calendar_set, limit_set].prop_map(Event::Workspace),
        8 => of_a_campaign().prop_map(Event::Campaign),
        4 => of_a_source().prop_map(Event::Source),
        4 => observed().prop_map(Event::Observations),
        3 => stated().prop_map(Event::Statements),
        2 => of_a_run().prop_map(Event::Sync),
    ]
}

fn validators() -> HashMap<&'static str, Validator> {
    let options = jsonschema::draft202012::options().should_validate_formats(true);
    let validator = |known: &EventType| options.build(&committed(known, known.version())).unwrap();
    EventType::ALL.iter().map(|known| (known.name, validator(known))).collect()
}

#[test]
fn events_match_their_schema_and_round_trip() {
    let validators = validators();
    proptest!(ProptestConfig::with_cases(512), |(event in event())| {
        let known = event.event_type();
        let json = serde_json::to_string(&event).unwrap();
        if let Err(error) = validators[known.name].validate(&serde_json::from_str(&json).unwrap()) {
            panic!("{}: {error}\n{json}", error.instance_path());
        }
        let read = Event::decode(known.stream_type, known.name, &known.version().to_string(), &json);
        prop_assert_eq!(read.unwrap(), event);
    });
}
