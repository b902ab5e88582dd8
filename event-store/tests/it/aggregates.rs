//! cqrs-es on the log.

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::PersistedEventRepository;
use cqrs_es::{Aggregate, AggregateError, CqrsFramework, DomainEvent, EventStore};
use event_store::cqrs_es::CqrsEventStore;
use event_store::{
    AggregateStore, AppendError, AppendRequest, CommitContext, LoadError, Loaded, Metadata, NewEvent, Payload, Upcast,
};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::support::{Writer, check_log, now, one_lane, receipt, request, take, workspace};

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Counter {
    total: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Counted {
    Added { amount: i64 },
}

impl DomainEvent for Counted {
    fn event_type(&self) -> String {
        "Added".to_owned()
    }

    fn event_version(&self) -> String {
        "2".to_owned()
    }
}

#[derive(Debug, thiserror::Error, PartialEq)]
#[error("below zero")]
struct BelowZero;

impl Aggregate for Counter {
    const TYPE: &'static str = "counter";
    type Command = Vec<i64>;
    type Event = Counted;
    type Error = BelowZero;
    type Services = ();

    async fn handle(&mut self, amounts: Vec<i64>, (): &(), sink: &EventSink<Self>) -> Result<(), BelowZero> {
        for amount in amounts {
            if self.total + amount < 0 {
                return Err(BelowZero);
            }
            sink.write(Counted::Added { amount }, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, Counted::Added { amount }: Counted) {
        self.total += amount;
    }
}

const UPCAST: Upcast = |event_type, version, payload| match (event_type, version) {
    ("Added", "1") => Ok(serde_json::json!({"Added": {"amount": payload["Added"]}})),
    ("Added", "2") => Ok(payload),
    _ => Err("written by newer code".into()),
};

fn store(writer: &Writer) -> AggregateStore<Counter> {
    AggregateStore::new(writer.pool.clone(), writer.appender.clone(), UPCAST)
}

fn framework_store(writer: &Writer) -> CqrsEventStore<Counter> {
    CqrsEventStore::new(store(writer), now)
}

fn alongside() -> CommitContext {
    CommitContext { metadata: Metadata::default(), claims: Vec::new(), receipt: None, recorded_at: now() }
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn cqrs_framework_runs_on_the_log(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let id = format!("{ws}/a");
    let framework = CqrsFramework::new(framework_store(&writer), Vec::new(), ());
    let metadata = || [("actor".to_owned(), "tester".to_owned())].into();
    framework.execute_with_metadata(&id, vec![1, 2], metadata()).await.unwrap();
    framework.execute(&id, vec![]).await.unwrap();
    framework.execute(&id, vec![3]).await.unwrap();
    let refused = framework.execute(&id, vec![4, -100]).await;
    assert!(matches!(refused, Err(AggregateError::UserError(BelowZero))));

    let envelopes = framework_store(&writer).load_events(&id).await.unwrap();
    assert_eq!(envelopes.iter().map(|envelope| envelope.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(envelopes[2].payload, Counted::Added { amount: 3 });
    assert_eq!(envelopes[0].metadata, metadata());
    assert_eq!(check_log(&writer.pool, ws).await, 3);

    let stock = PostgresEventRepository::new(writer.pool.clone()).with_tables("log.events", "log.snapshots");
    let stored = stock.get_events::<Counter>(&id).await.unwrap();
    assert_eq!(stored.len(), 3);
    assert_eq!((stored[1].sequence, stored[1].event_version.as_str()), (2, "2"));
    assert_eq!(stored[1].payload, serde_json::json!({"Added": {"amount": 2}}));
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn append_conflicts_unless_at_the_loaded_version(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let id = format!("{ws}/a");
    let store = store(&writer);
    let added = [Counted::Added { amount: 5 }];
    let fresh = Loaded::new_stream(id.clone());
    let with =
        CommitContext { claims: vec![take("x", "a")], receipt: Some(receipt("key", 1, "answer")), ..alongside() };
    let first = store.append(&fresh, &added, with.clone()).await.unwrap();
    assert_eq!((first.version, first.position), (1, 1));
    assert_eq!(store.append(&fresh, &added, with).await.unwrap().response.as_deref(), Some("answer"));
    let stale = store.append(&fresh, &added, alongside()).await;
    assert!(matches!(stale, Err(AppendError::Version { actual: 1 })));

    let loaded = store.load(&id).await.unwrap();
    assert_eq!((loaded.version, &loaded.aggregate), (1, &Counter { total: 5 }));
    store.append(&loaded, &added, alongside()).await.unwrap();
    let conflict = framework_store(&writer).commit(added.to_vec(), loaded, std::collections::HashMap::new()).await;
    assert!(matches!(conflict, Err(AggregateError::AggregateConflict)));

    let missing = store.load(&format!("{ws}/none")).await.unwrap();
    assert_eq!((missing.version, missing.aggregate), (0, Counter::default()));
    let nowhere = store.append(&Loaded::new_stream("a".to_owned()), &added, alongside()).await;
    assert!(matches!(nowhere, Err(AppendError::Invalid(_))));
    writer.stop().await;
}

#[sqlx::test(migrator = "event_store::MIGRATOR")]
async fn loads_old_events_in_their_current_version(_: PgPoolOptions, connect: PgConnectOptions) {
    let writer = Writer::start(&connect, one_lane()).await;
    let ws = workspace(&connect, "acme").await;
    let stored = |version: &str, payload: &str| AppendRequest {
        stream_type: Counter::TYPE,
        events: vec![NewEvent {
            event_type: "Added".to_owned(),
            event_version: version.to_owned(),
            payload: Payload::Json(payload.to_owned()),
        }],
        ..request(ws, "a")
    };
    writer.append(stored("1", r#"{"Added": 7}"#)).await.unwrap();
    writer.append(stored("2", r#"{"Added": {"amount": 1}}"#)).await.unwrap();
    let id = format!("{ws}/a");
    assert_eq!(store(&writer).load(&id).await.unwrap().aggregate, Counter { total: 8 });
    assert_eq!(framework_store(&writer).load_events(&id).await.unwrap().len(), 2);

    writer.append(stored("2", r#"{"Added": 7}"#)).await.unwrap();
    let unreadable = store(&writer).load(&id).await;
    assert!(matches!(unreadable, Err(LoadError::Event { sequence: 3, .. })), "{unreadable:?}");
    let unreadable = framework_store(&writer).load_aggregate(&id).await;
    assert!(matches!(unreadable, Err(AggregateError::DeserializationError(_))), "{unreadable:?}");
    writer.stop().await;
}
