//! One event of the log. Batches are parsed here from their JSON, not by the code under test.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::campaign::CampaignEvent;
use domain::catalogue::OBSERVATIONS_RECORDED;
use domain::measure::Measure;
use domain::observation::ObservationType;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// An event as it is stored.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its position in the log.
    pub position: i64,
    /// Its stream, with the stream's type.
    pub stream: String,
    /// Its sequence in the stream.
    pub sequence: i64,
    /// The trace id of the attempt that wrote it.
    pub trace: String,
    /// Its content.
    pub what: What,
}

/// The content of an event.
#[derive(Debug, Clone)]
pub enum What {
    /// A campaign's event.
    Campaign {
        /// The campaign.
        campaign: Uuid,
        /// The event.
        event: CampaignEvent,
    },
    /// A batch of observations.
    Observations {
        /// The source.
        source: Uuid,
        /// The observations.
        rows: Vec<Row>,
    },
    /// A batch of statements.
    Statements {
        /// The source.
        source: Uuid,
        /// The statements.
        rows: Vec<StatementRow>,
    },
    /// Events that no client of a history writes: workspaces, sources, syncs, and undecodable ones.
    Other,
}

/// One observation, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: ObservationType,
    /// Its campaign.
    pub campaign: Uuid,
    /// Its time; for a correction, the original's.
    pub occurred_at: DateTime<Utc>,
    /// Its count; for a correction, the difference.
    pub count: i64,
    /// Its value or cost; for a correction, the difference.
    pub value: Option<i64>,
    /// The correction, if it is one.
    pub corrects: Option<Correction>,
}

/// The correction in an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The original's id.
    pub of: String,
    /// The time of the correction.
    pub at: DateTime<Utc>,
    /// The original's count after it.
    pub count: i64,
    /// The original's value after it.
    pub value: Option<i64>,
}

/// One statement, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatementRow {
    /// The campaign.
    pub campaign: Uuid,
    /// The day, in UTC.
    pub day: NaiveDate,
    /// The instant as of which it was stated.
    pub stated_at: DateTime<Utc>,
    /// The totals.
    pub measures: BTreeMap<Measure, i64>,
}

#[derive(Deserialize)]
struct ObservationsPayload {
    source: Uuid,
    campaigns: Vec<Uuid>,
    observations: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct StatementsPayload {
    source: Uuid,
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
struct Statement {
    campaign: Uuid,
    bucket: NaiveDate,
    stated_at: DateTime<Utc>,
    measures: BTreeMap<Measure, i64>,
}

#[derive(Deserialize)]
struct Corrects {
    of: String,
    at: i64,
    count: i64,
    value: Option<i64>,
}

impl What {
    /// Parses an event from its stream's type, its stream, its own type and version, and its payload.
    pub fn read(stream_type: &str, stream: &str, (event_type, version): (&str, &str), payload: &str) -> Self {
        match stream_type {
            domain::campaign::STREAM_TYPE => {
                let campaign = stream.rsplit('/').next().unwrap().parse().unwrap();
                match domain::event::Event::decode(stream_type, event_type, version, payload) {
                    Ok(domain::event::Event::Campaign(event)) => Self::Campaign { campaign, event },
                    other => panic!("no event of a campaign: {other:?} {payload}"),
                }
            }
            // An event that a test wrote, not a client.
            domain::observation::STREAM_TYPE if event_type != OBSERVATIONS_RECORDED.name => Self::Other,
            domain::observation::STREAM_TYPE => {
                let ObservationsPayload { source, campaigns, observations } = serde_json::from_str(payload).unwrap();
                let rows = observations.iter().map(|row| Row::read(row, &campaigns)).collect();
                Self::Observations { source, rows }
            }
            domain::statement::STREAM_TYPE => {
                let StatementsPayload { source, statements } = serde_json::from_str(payload).unwrap();
                let rows = statements.into_iter().map(|Statement { campaign, bucket, stated_at, measures }| {
                    StatementRow { campaign, day: bucket, stated_at, measures }
                });
                Self::Statements { source, rows: rows.collect() }
            }
            _ => Self::Other,
        }
    }
}

impl Row {
    /// Parses `[id, campaign, type, occurred_at, count?, value?, dimensions?, correction?]`.
    fn read(row: &[Value], campaigns: &[Uuid]) -> Self {
        let part = |index: usize| row.get(index).filter(|part| !part.is_null());
        let kind: ObservationType = part(2).and_then(Value::as_str).unwrap().parse().unwrap();
        let corrects = part(7).map(|part| {
            let Corrects { of, at, count, value } = Corrects::deserialize(part).unwrap();
            Correction { of, at: DateTime::from_timestamp_millis(at).unwrap(), count, value }
        });
        Self {
            id: part(0).and_then(Value::as_str).unwrap().to_owned(),
            kind,
            campaign: campaigns[usize::try_from(part(1).and_then(Value::as_u64).unwrap()).unwrap()],
            occurred_at: DateTime::from_timestamp_millis(part(3).and_then(Value::as_i64).unwrap()).unwrap(),
            count: part(4).map_or_else(|| kind.unit_count(), |count| count.as_i64().unwrap()),
            value: part(5).map(|value| value.as_i64().unwrap()),
            corrects,
        }
    }

    /// The instant of its id's uniqueness: its own time, or that of the correction.
    pub fn at(&self) -> DateTime<Utc> {
        self.corrects.as_ref().map_or(self.occurred_at, |correction| correction.at)
    }

    /// The amounts that it adds, by measure.
    pub fn adds(&self) -> impl Iterator<Item = (Measure, i128)> {
        let count = self.kind.count_measure().map(|measure| (measure, i128::from(self.count)));
        let value = self.kind.value_measure().zip(self.value.map(i128::from));
        count.into_iter().chain(value)
    }
}
