//! Random requests in random company, against a model that judges them one after the other: whatever was put into one
//! batch, the answers and the log are the same.

use std::collections::HashMap;

use event_store::{
    AppendError, AppendOutcome, AppendRequest, AppenderConfig, Claim, ClaimEffect, ClaimPrecondition, ExpectedVersion,
    Item, NewEvent, OnDuplicate, Payload,
};
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Writer, check_log, enqueued, event, item, items, log_of, one_lane, receipt, request, workspace};

const CASES: usize = 60;

/// One log, as the contract describes it.
#[derive(Default)]
struct Model {
    log: Vec<(String, i64, String)>,
    versions: HashMap<String, i64>,
    claims: HashMap<String, (String, String)>,
    receipts: HashMap<String, ([u8; 32], String, AppendOutcome)>,
    fingerprints: HashMap<uuid::Uuid, i64>,
}

impl Model {
    fn append(&mut self, request: &AppendRequest) -> Result<AppendOutcome, String> {
        if let Some(receipt) = &request.receipt
            && let Some((digest, response, answer)) = self.receipts.get(&receipt.key)
        {
            if *digest != receipt.digest {
                return Err("receipt".to_owned());
            }
            return Ok(AppendOutcome { replayed: true, response: Some(response.clone()), ..answer.clone() });
        }
        let mut version = self.versions.get(&request.stream_id).copied().unwrap_or(0);
        if matches!(request.expected, ExpectedVersion::Exact(expected) if expected != version) {
            return Err(format!("version {version}"));
        }
        for claim in &request.claims {
            let found = self.claims.get(&claim.key);
            let holds = match &claim.expect {
                ClaimPrecondition::Any => true,
                ClaimPrecondition::Absent => found.is_none(),
                ClaimPrecondition::Held { owner, state } => found == Some(&(owner.clone(), state.clone())),
            };
            if !holds {
                return Err(format!("claim {} {found:?}", claim.key));
            }
        }
        for claim in &request.claims {
            match &claim.then {
                ClaimEffect::Keep => {}
                ClaimEffect::Put { owner, state } => {
                    self.claims.insert(claim.key.clone(), (owner.clone(), state.clone()));
                }
                ClaimEffect::Remove => {
                    self.claims.remove(&claim.key);
                }
            }
        }
        let (mut duplicates, mut conflicts, mut counted) = (Vec::new(), Vec::new(), 0);
        for event in &request.events {
            let payload = match &event.payload {
                Payload::Json(payload) => Some(payload.clone()),
                Payload::Items { head, items, tail } => {
                    let mut accepted = Vec::new();
                    for item in items {
                        match item.key.map(|key| (key, self.fingerprints.get(&key.id).copied())) {
                            Some((key, Some(taken))) if taken == key.fingerprint => duplicates.push(counted),
                            Some((_, Some(_))) => conflicts.push(counted),
                            Some((key, None)) => {
                                self.fingerprints.insert(key.id, key.fingerprint);
                                accepted.push(item.content.as_str());
                            }
                            None => accepted.push(&item.content),
                        }
                        counted += 1;
                    }
                    (!accepted.is_empty()).then(|| format!("{head}{}{tail}", accepted.join(",")))
                }
            };
            if let Some(payload) = payload {
                version += 1;
                self.log.push((request.stream_id.clone(), version, payload));
            }
        }
        self.versions.insert(request.stream_id.clone(), version);
        let position = i64::try_from(self.log.len()).unwrap();
        let answer = AppendOutcome {
            version,
            position,
            recorded_at: None,
            response: None,
            duplicates,
            conflicts,
            replayed: false,
        };
        if let Some(receipt) = &request.receipt {
            let kept = (receipt.digest, receipt.response.clone(), answer.clone());
            self.receipts.insert(receipt.key.clone(), kept);
        }
        Ok(answer)
    }
}

fn told(answer: Result<AppendOutcome, AppendError>) -> Result<AppendOutcome, String> {
    // It is known without a lookup or not, as the request's company has it.
    answer.map(|answer| AppendOutcome { recorded_at: None, ..answer }).map_err(|error| match error {
        AppendError::Version { actual } => format!("version {actual}"),
        AppendError::Claim { key, found, .. } => {
            format!("claim {key} {:?}", found.map(|found| (found.owner, found.state)))
        }
        AppendError::ReceiptMismatch => "receipt".to_owned(),
        other => panic!("{other:?}"),
    })
}

/// Few names, so that requests meet.
fn any_claim() -> impl Strategy<Value = Claim> {
    let held = || ("[ab]", "[st]");
    let expect = prop_oneof![
        3 => Just(ClaimPrecondition::Any),
        2 => Just(ClaimPrecondition::Absent),
        2 => held().prop_map(|(owner, state)| ClaimPrecondition::Held { owner, state }),
    ];
    let then = prop_oneof![
        2 => Just(ClaimEffect::Keep),
        3 => held().prop_map(|(owner, state)| ClaimEffect::Put { owner, state }),
        1 => Just(ClaimEffect::Remove),
    ];
    ("[xyz]", expect, then).prop_map(|(key, expect, then)| Claim { kind: "name", key, expect, then })
}

fn any_event() -> impl Strategy<Value = NewEvent> {
    let free = Just(Item { key: None, when_taken: OnDuplicate::Skip, content: "\"free\"".to_owned() });
    let keyed = (1..12_u128, 1..3_i64).prop_map(|(id, fingerprint)| item(id, fingerprint));
    prop_oneof![
        2 => (0..100_i32).prop_map(|n| event(&n.to_string())),
        3 => proptest::collection::vec(prop_oneof![1 => free, 4 => keyed], 0..5).prop_map(items),
    ]
}

fn any_request(ws: i32) -> impl Strategy<Value = AppendRequest> {
    let expected = prop_oneof![
        3 => Just(ExpectedVersion::Any),
        2 => (0..4_i64).prop_map(ExpectedVersion::Exact),
    ];
    let kept = proptest::option::weighted(0.4, ("[k-m]", 1..3_u8));
    let claims = proptest::collection::vec(any_claim(), 0..3);
    let events = proptest::collection::vec(any_event(), 0..4);
    ("[pq]", expected, kept, claims, events).prop_map(move |(stream, expected, kept, claims, mut events)| {
        // An id may be there once in a request.
        let mut seen = std::collections::HashSet::new();
        for event in &mut events {
            if let Payload::Items { items, .. } = &mut event.payload {
                items.retain(|item| item.key.is_none_or(|key| seen.insert(key.id)));
            }
        }
        let receipt = kept.map(|(key, digest)| receipt(&key, digest, &format!("{key}{digest}")));
        AppendRequest { expected, claims, events, receipt, ..request(ws, &stream) }
    })
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn batches_answer_like_single_requests(_: PgPoolOptions, connect: PgConnectOptions) {
    let mut runner = TestRunner::deterministic();
    let mut writers = Vec::new();
    for batch_requests in [1, 3, 512] {
        writers.push(Writer::start(&connect, AppenderConfig { batch_requests, ..one_lane() }).await);
    }
    for case in 0..CASES {
        let writer = &writers[case % writers.len()];
        let ws = workspace(&connect, &format!("case {case}")).await;
        let requests = proptest::collection::vec(any_request(ws), 1..60).new_tree(&mut runner).unwrap().current();
        let mut model = Model::default();
        let expected: Vec<_> = requests.iter().map(|request| model.append(request)).collect();
        let answers = join_all(requests.iter().map(|request| enqueued(&writer.appender, request.clone()))).await;
        for (n, (answer, expected)) in answers.into_iter().map(told).zip(expected).enumerate() {
            assert_eq!(answer, expected, "case {case}, request {n} of {requests:#?}");
        }
        check_log(&writer.pool, ws).await;
        let log: Vec<_> = log_of(&writer.pool, ws)
            .await
            .into_iter()
            .map(|event| (event.stream_id().to_owned(), event.sequence, event.payload().to_owned()))
            .collect();
        assert_eq!(log, model.log, "case {case}: {requests:#?}");
    }
    for writer in writers {
        writer.stop().await;
    }
}
