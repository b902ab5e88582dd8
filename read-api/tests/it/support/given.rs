//! What happened: events as the command side writes them.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::bucket::{Bucket, Grain};
use domain::campaign::{Budget, CampaignEvent};
use domain::catalogue::EventType;
use domain::event::Event;
use domain::ids::{CampaignId, SourceId};
use domain::measure::Measure;
use domain::money::Money;
use domain::observation::{Correction, Dimension, Observation, ObservationType, ObservationsRecorded};
use domain::source::{Horizon, Horizons, IdScope, Series, SourceDefinition, SourceEvent, SourceKind, SourceRole};
use domain::statement::{Statement, StatementsRecorded};
use domain::sync::{FinalThrough, SyncEvent};
use domain::workspace::{self, WorkspaceEvent, WorkspaceOpened};
use uuid::Uuid;

/// An event and the stream that it belongs to.
#[derive(Debug)]
pub(crate) struct Given {
    stream: Uuid,
    event: Event,
}

impl Given {
    /// Event type, stream and payload, as stored.
    pub(crate) fn stored(&self) -> (EventType, String, String) {
        let event_type = self.event.event_type();
        let is_workspace = event_type.stream_type == workspace::STREAM_TYPE;
        let id = if is_workspace { "workspace".to_owned() } else { self.stream.to_string() };
        (event_type, id, serde_json::to_string(&self.event).unwrap())
    }

    /// The same once more.
    pub(crate) fn again(&self) -> Self {
        Self { stream: self.stream, event: self.event.clone() }
    }
}

pub(crate) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

pub(crate) fn campaign(n: u128) -> CampaignId {
    CampaignId(Uuid::from_u128(0xca00 + n))
}

pub(crate) fn source(n: u128) -> SourceId {
    SourceId(Uuid::from_u128(0x5000 + n))
}

pub(crate) fn opened(time_zone: &str) -> Given {
    let event = WorkspaceOpened {
        name: "Acme".to_owned(),
        time_zone: time_zone.parse().unwrap(),
        currency: "EUR".parse().unwrap(),
    };
    Given { stream: Uuid::nil(), event: Event::Workspace(WorkspaceEvent::Opened(event)) }
}

/// A draft that is to start on 2026-12-01 in Berlin.
pub(crate) fn created(n: u128, name: &str, channels: &[&str]) -> Given {
    changed(
        n,
        CampaignEvent::CampaignCreated {
            campaign: campaign(n),
            name: name.to_owned(),
            channels: channels.iter().map(|channel| channel.parse().unwrap()).collect(),
            currency: "EUR".parse().unwrap(),
            time_zone: "Europe/Berlin".parse().unwrap(),
            starts_on: date("2026-12-01"),
            ends_on: None,
            budget: Some(Budget::total(Money { micros: 5_000_000_000, currency: "EUR".parse().unwrap() })),
            external_ids: Vec::new(),
            attributes: BTreeMap::from([("region".to_owned(), "DACH".to_owned())]),
            created_by_source: None,
            at: at("2026-11-01T09:00:00Z"),
        },
    )
}

pub(crate) fn changed(n: u128, event: CampaignEvent) -> Given {
    Given { stream: campaign(n).0, event: Event::Campaign(event) }
}

/// A primary source in EUR and UTC, expected within an hour, that restates for 3 days. Change what matters.
pub(crate) fn definition(name: &str, channel: &str, kind: SourceKind) -> SourceDefinition {
    SourceDefinition {
        name: name.to_owned(),
        channel: channel.parse().unwrap(),
        kind,
        role: SourceRole::Primary,
        measure_roles: BTreeMap::new(),
        measures: [].into(),
        platform: None,
        time_zone: "UTC".parse().unwrap(),
        currency: "EUR".parse().unwrap(),
        expected_delay_s: 3_600,
        horizons: Horizons::uniform(Horizon::Seconds(3 * 86_400)),
        complete_after_s: None,
        quiet_after_s: None,
        expected_from: None,
        observation_window_s: None,
        id_scope: IdScope::Day,
        unknown_campaigns: domain::source::UnknownCampaigns::Reject,
        dimensions: Vec::new(),
    }
}

/// What happened to a source after its registration.
pub(crate) fn source_event(n: u128, event: SourceEvent) -> Given {
    Given { stream: source(n).0, event: Event::Source(event) }
}

pub(crate) fn registered(n: u128, definition: SourceDefinition) -> Given {
    let event = SourceEvent::SourceRegistered { source: source(n), definition, at: at("2026-11-01T09:00:00Z") };
    Given { stream: source(n).0, event: Event::Source(event) }
}

pub(crate) fn pushing(n: u128, name: &str, channel: &str) -> Given {
    registered(n, definition(name, channel, SourceKind::Push))
}

pub(crate) fn pulled(n: u128, name: &str, channel: &str) -> Given {
    registered(n, definition(name, channel, SourceKind::Pull))
}

/// What one source saw of one campaign: (type, when, count, value in micros).
pub(crate) fn observed(from: u128, of: u128, seen: &[(ObservationType, &str, i64, Option<i64>)]) -> Given {
    let observation =
        |(n, (kind, when, count, value)): (usize, &(ObservationType, &str, i64, Option<i64>))| Observation {
            id: format!("o-{n}"),
            campaign: 0,
            kind: *kind,
            occurred_at: at(when),
            count: *count,
            value_micros: *value,
            dimensions: BTreeMap::new(),
            correction: None,
            sealed: None,
        };
    let observations = seen.iter().enumerate().map(observation).collect();
    let event = ObservationsRecorded::new(source(from), "EUR".parse().unwrap(), vec![campaign(of)], observations);
    Given { stream: source(from).0, event: Event::Observations(event) }
}

/// The same observations, each naming values of dimensions.
pub(crate) fn naming(mut given: Given, named: &[&[(&str, &str)]]) -> Given {
    let Event::Observations(batch) = &mut given.event else { unreachable!("a batch of observations") };
    for (observation, named) in batch.observations.iter_mut().zip(named) {
        observation.dimensions = named.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    }
    given
}

/// A correction of a sale at `when`: (id, original's id, happened at), what it changes, and what the sale comes to with it.
pub(crate) fn sale_corrected(
    (from, of): (u128, u128),
    (id, original, corrected_at): (&str, &str, &str),
    when: &str,
    (count_change, value_change): (i64, Option<i64>),
    (count, value_micros): (i64, Option<i64>),
) -> Given {
    let mut given = observed(from, of, &[(ObservationType::Conversion, when, count_change, value_change)]);
    let Event::Observations(batch) = &mut given.event else { unreachable!("a batch of observations") };
    let correction = Correction { of: original.to_owned(), at: at(corrected_at), count, value_micros };
    id.clone_into(&mut batch.observations[0].id);
    batch.observations[0].correction = Some(Box::new(correction));
    given
}

pub(crate) fn clicks(from: u128, of: u128, when: &str, count: i64) -> Given {
    observed(from, of, &[(ObservationType::Click, when, count, None)])
}

/// What one source states of one campaign, in a grain and zone.
pub(crate) fn stated(from: u128, of: u128, grain: Grain, zone: &str, buckets: &[(&str, &[(Measure, i64)])]) -> Given {
    let bucket = |text: &str| match grain {
        Grain::Day => Bucket::Day(date(text)),
        Grain::Hour | Grain::QuarterHour => Bucket::Starts(at(text)),
    };
    let statement = |(when, measures): &(&str, &[(Measure, i64)])| Statement {
        campaign: campaign(of),
        bucket: bucket(when),
        values: Vec::new(),
        stated_at: at("2026-11-20T00:00:00Z"),
        measures: measures.iter().map(|(measure, value)| (*measure, Some(*value))).collect(),
        sealed: None,
    };
    let event = StatementsRecorded {
        source: source(from),
        series: None,
        currency: "EUR".parse().unwrap(),
        grain,
        time_zone: zone.parse().unwrap(),
        breakdown: Vec::new(),
        precedence: None,
        sealed_with: None,
        statements: buckets.iter().map(statement).collect(),
    };
    Given { stream: source(from).0, event: Event::Statements(event) }
}

/// The same batch in a series of its source.
pub(crate) fn in_series(mut given: Given, series: Series) -> Given {
    let other = |source: SourceId| Some(series.id).filter(|id| *id != source);
    match &mut given.event {
        Event::Observations(batch) => (batch.series, batch.currency) = (other(batch.source), series.currency),
        Event::Statements(batch) => (batch.series, batch.currency) = (other(batch.source), series.currency),
        _ => unreachable!("a batch"),
    }
    given
}

/// The days of UTC that a source states.
pub(crate) fn days(from: u128, of: u128, buckets: &[(&str, &[(Measure, i64)])]) -> Given {
    stated(from, of, Grain::Day, "UTC", buckets)
}

/// What a source says of its runs.
pub(crate) fn sync_event(n: u128, event: SyncEvent) -> Given {
    Given { stream: source(n).0, event: Event::Sync(event) }
}

pub(crate) fn completed(from: u128, said_at: &str, through: &str, grain: Grain) -> Given {
    let event = SyncEvent::SyncCompleted {
        source: source(from),
        at: at(said_at),
        complete_through: Some(at(through)),
        grain,
        covers: None,
        lookback_s: 3 * 86_400,
        final_through: FinalThrough::default(),
    };
    sync_event(from, event)
}

pub(crate) fn started(from: u128, said_at: &str) -> Given {
    let event = SyncEvent::SyncStarted { source: source(from), at: at(said_at) };
    sync_event(from, event)
}

pub(crate) fn failed(from: u128, said_at: &str, reason: &str) -> Given {
    let event = SyncEvent::SyncFailed { source: source(from), at: at(said_at), reason: reason.to_owned() };
    sync_event(from, event)
}

/// What one source states by dimension of days of UTC.
pub(crate) fn broken_down(
    from: u128,
    dimensions: &[Dimension],
    precedence: Option<u16>,
    statements: Vec<Statement>,
) -> Given {
    let mut given = days(from, 1, &[]);
    let Event::Statements(batch) = &mut given.event else { unreachable!("a batch of statements") };
    batch.breakdown = dimensions.iter().map(ToString::to_string).collect();
    (batch.precedence, batch.statements) = (precedence, statements);
    given
}
