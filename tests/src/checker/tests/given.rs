//! Histories and evidence, step by step. Each step is answered as it should be and written as it should be; a test then
//! spoils one part.

use chrono::{DateTime, Utc};
use domain::bucket::quarter_hour;
use domain::campaign::CampaignEvent;
use domain::measure::Measure;
use domain::observation::ObservationType;
use serde_json::json;
use uuid::Uuid;

use crate::evidence::{
    CampaignRow, Cell, Correction, CorrectionRow, Event, Evidence, LastWord, Row, StatementKey, StatementRow, Tables,
    What,
};
use crate::history::{
    Acknowledged, Attempt, Change, Form, History, ItemOutcome, Observation, ObservationOp, Operation, Outcome, Refusal,
    Reply, Request, Source, Statement,
};

pub(super) const CAMPAIGN: Uuid = Uuid::from_u128(1);
const SOURCE: Uuid = Uuid::from_u128(2);

/// Some instant, in the order of its number.
pub(super) fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_168_800 + minute * 60, 0).unwrap()
}

pub(super) fn click(id: &str, count: i64) -> Observation {
    let content = ObservationOp::Happened { campaign: CAMPAIGN, count, value: None };
    Observation { id: id.to_owned(), kind: ObservationType::Click, at: at(0), content }
}

pub(super) fn correction(id: &str, of: &str, count: Option<i64>) -> Observation {
    let content =
        ObservationOp::Corrects { of: of.to_owned(), day: at(0).date_naive(), names_day: true, count, value: None };
    Observation { id: id.to_owned(), kind: ObservationType::Click, at: at(50), content }
}

pub(super) fn statement(minute: i64, clicks: i64) -> Statement {
    let measures = [(Measure::Clicks, clicks)].into();
    Statement { campaign: CAMPAIGN, day: at(0).date_naive(), measures, stated_at: at(minute) }
}

pub(super) struct Given {
    pub(super) history: History,
    pub(super) events: Vec<Event>,
    pub(super) tables: Tables,
    tick: u64,
}

impl Given {
    pub(super) fn new() -> Self {
        Self { history: History::default(), events: Vec::new(), tables: Tables::default(), tick: 0 }
    }

    fn source() -> Source {
        Source { id: SOURCE, name: "tracker".to_owned() }
    }

    pub(super) fn evidence(&self) -> Evidence {
        let head = self.events.last().map_or(0, |event| event.position);
        Evidence { head, events: self.events.clone(), tables: self.tables.clone() }
    }

    /// A request with one attempt, which wrote `what` and was answered.
    fn step(
        &mut self,
        key: Option<&str>,
        operation: Operation,
        stream: &str,
        what: What,
        fates: Option<usize>,
    ) -> usize {
        let position = i64::try_from(self.events.len()).unwrap() + 1;
        let sequence = self.events.iter().filter(|event| event.stream == stream).count();
        let version = i64::try_from(sequence).unwrap() + 1;
        let trace = format!("{position:04}");
        self.events.push(Event { position, stream: stream.to_owned(), sequence: version, trace: trace.clone(), what });
        let content = match fates {
            Some(items) => Acknowledged::Batch(vec![ItemOutcome::Accepted; items]),
            None => Acknowledged::Campaign { campaign: CAMPAIGN, version },
        };
        let body = json!({ "position": position });
        let outcome = Outcome::Done(Reply { content, position, replayed: false, body });
        self.tick += 2;
        let attempts = vec![Attempt { trace, began: self.tick, ended: self.tick + 1, outcome }];
        self.history.requests.push(Request { key: key.map(str::to_owned), operation, attempts });
        self.settle();
        self.history.requests.len() - 1
    }

    pub(super) fn creates(&mut self, name: &str) -> usize {
        let event = CampaignEvent::CampaignCreated {
            campaign: domain::ids::CampaignId(CAMPAIGN),
            name: name.to_owned(),
            channels: Vec::new(),
            currency: "EUR".parse().unwrap(),
            time_zone: domain::zone::Zone::UTC,
            starts_on: at(0).date_naive(),
            ends_on: None,
            budget: None,
            external_ids: Vec::new(),
            attributes: std::collections::BTreeMap::new(),
            created_by_source: None,
            at: at(0),
        };
        let operation = Operation::Create { name: name.to_owned() };
        self.step(Some("k0"), operation, "campaign 1", What::Campaign { campaign: CAMPAIGN, event }, None)
    }

    pub(super) fn changes(&mut self, change: Change, if_match: Option<i64>) -> usize {
        let at = at(60);
        let event = match &change {
            Change::Rename(name) => CampaignEvent::CampaignRenamed { name: name.clone(), at },
            Change::Launch => CampaignEvent::CampaignLaunched { at },
            Change::Pause => CampaignEvent::CampaignPaused { at },
            Change::Resume => CampaignEvent::CampaignResumed { at },
        };
        let operation = Operation::Change { campaign: CAMPAIGN, change, if_match };
        self.step(None, operation, "campaign 1", What::Campaign { campaign: CAMPAIGN, event }, None)
    }

    /// A correction's row is the difference to its original's first count.
    pub(super) fn observes(&mut self, key: Option<&str>, items: Vec<Observation>) -> usize {
        let rows = items.iter().map(|item| self.row(item)).collect();
        let fates = Some(items.len());
        let operation = Operation::Observe { source: Self::source(), form: Form::Batch, items };
        self.step(key, operation, "observations 2", What::Observations { source: SOURCE, rows }, fates)
    }

    fn row(&self, item: &Observation) -> Row {
        let row = Row {
            id: item.id.clone(),
            kind: item.kind,
            campaign: CAMPAIGN,
            occurred_at: at(0),
            count: 0,
            value: None,
            corrects: None,
        };
        match &item.content {
            ObservationOp::Happened { count, .. } => Row { count: *count, ..row },
            ObservationOp::Corrects { of, count, .. } => {
                let count = count.unwrap_or(0);
                let corrects = Some(Correction { of: of.clone(), at: item.at, count, value: None });
                let original = self.rows().find(|row| row.id == *of).map_or(0, |original| original.count);
                Row { count: count - original, corrects, ..row }
            }
        }
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.events
            .iter()
            .filter_map(|event| match &event.what {
                What::Observations { rows, .. } => Some(rows),
                What::Campaign { .. } | What::Statements { .. } | What::Other => None,
            })
            .flatten()
    }

    pub(super) fn states(&mut self, items: Vec<Statement>) -> usize {
        let rows = items.iter().cloned().map(|Statement { campaign, day, measures, stated_at }| StatementRow {
            campaign,
            day,
            stated_at,
            measures,
        });
        let what = What::Statements { source: SOURCE, rows: rows.collect() };
        let fates = Some(items.len());
        self.step(None, Operation::State { source: Self::source(), items }, "statements 2", what, fates)
    }

    /// The same request again, answered by its receipt; gives the attempt's number.
    pub(super) fn repeats(&mut self, request: usize) -> usize {
        self.tick += 2;
        let attempts = &mut self.history.requests[request].attempts;
        let mut again = attempts[0].clone();
        again.trace = format!("again {}", self.tick);
        (again.began, again.ended) = (self.tick, self.tick + 1);
        if let Outcome::Done(reply) = &mut again.outcome {
            reply.replayed = true;
        }
        attempts.push(again);
        attempts.len() - 1
    }

    /// The last request's event again, for another attempt.
    pub(super) fn writes_again(&mut self, request: usize) {
        let attempt = self.repeats(request);
        let mut event = self.events.last().unwrap().clone();
        event.position += 1;
        event.sequence += 1;
        event.trace.clone_from(&self.history.requests[request].attempts[attempt].trace);
        self.events.push(event);
        self.settle();
        let reply = self.reply(request, attempt);
        reply.replayed = false;
        reply.position += 1;
    }

    /// Sends the observations of a request as lines, and the last attempt's answer broke off before the last one.
    pub(super) fn breaks_off(&mut self, request: usize) {
        let Operation::Observe { form, items, .. } = &mut self.history.requests[request].operation else { panic!() };
        *form = Form::Lines;
        let mut fates = vec![ItemOutcome::Accepted; items.len()];
        *fates.last_mut().unwrap() = ItemOutcome::Doubtful;
        let last = self.history.requests[request].attempts.len() - 1;
        self.reply(request, last).content = Acknowledged::Batch(fates);
    }

    pub(super) fn reply(&mut self, request: usize, attempt: usize) -> &mut Reply {
        match &mut self.history.requests[request].attempts[attempt].outcome {
            Outcome::Done(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn refuse(&mut self, request: usize, status: u16, version: Option<i64>) {
        let refusal = Refusal { status, version, body: json!({}) };
        self.history.requests[request].attempts[0].outcome = Outcome::Refused(refusal);
    }

    /// Positions without a hole, as if the missing event had never been.
    pub(super) fn renumber(&mut self) {
        for (position, event) in (1..).zip(&mut self.events) {
            event.position = position;
        }
        self.settle();
    }

    /// The tables, as the log makes them.
    pub(super) fn settle(&mut self) {
        let mut tables = Tables { applied: self.evidence().head, ..Tables::default() };
        let (mut name, mut state) = (String::new(), "draft");
        for event in &self.events {
            match &event.what {
                What::Campaign { event: happened, .. } => {
                    match happened {
                        CampaignEvent::CampaignCreated { name: given, .. }
                        | CampaignEvent::CampaignRenamed { name: given, .. } => name.clone_from(given),
                        CampaignEvent::CampaignPaused { .. } => state = "paused",
                        _ => state = "launched",
                    }
                    let row = CampaignRow {
                        name: name.clone(),
                        state: state.to_owned(),
                        version: event.sequence,
                        position: event.position,
                    };
                    tables.campaigns.insert(CAMPAIGN, row);
                }
                What::Observations { rows, .. } => {
                    for (item, row) in (0..).zip(rows) {
                        if let Some(correction) = &row.corrects {
                            let row = CorrectionRow {
                                campaign: row.campaign,
                                source: SOURCE,
                                id: row.id.clone(),
                                of: correction.of.clone(),
                                changes: (row.count, row.value),
                                total: (correction.count, correction.value),
                            };
                            tables.corrections.insert((event.position, item), row);
                        }
                        let bucket = quarter_hour(row.occurred_at);
                        let cell = Cell { campaign: row.campaign, source: SOURCE, bucket, measure: Measure::Clicks };
                        *tables.increments.entry(cell).or_default() += i128::from(row.count);
                    }
                }
                What::Statements { rows, .. } => {
                    for row in rows {
                        let (day, measure) = (row.day, Measure::Clicks);
                        let key = StatementKey { campaign: row.campaign, source: SOURCE, day, measure };
                        let value = row.measures[&measure].into();
                        let word = LastWord { value, stated_at: row.stated_at, position: event.position };
                        tables.statements.insert(key, word);
                    }
                }
                What::Other => {}
            }
        }
        self.tables = tables;
    }
}
