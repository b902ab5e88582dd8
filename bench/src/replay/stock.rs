//! cqrs-es and postgres-es as their documentation says: `QueryReplay::replay_all` over a `GenericQuery`, which loads,
//! changes and stores the view of the event's aggregate for each event.
//!
//! An aggregate is what its events are about: a campaign where each event is one observation, the source where an event
//! is a batch. The view holds the same sums as ours. It grows while more is replayed, so a figure of the first events
//! flatters.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Result, ensure};
use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{GenericQuery, QueryReplay};
use cqrs_es::{Aggregate, DomainEvent, EventEnvelope, View};
use domain::bucket::quarter_hour;
use domain::observation::ObservationsRecorded;
use postgres_es::{PostgresEventRepository, PostgresViewRepository, default_postgress_pool};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::server::Database;

/// The first events of a log, in tables as in the `db/init.sql` of postgres-es.
const TABLES: &[&str] = &[
    "CREATE TABLE events
     (
         aggregate_type text                         NOT NULL,
         aggregate_id   text                         NOT NULL,
         sequence       bigint CHECK (sequence >= 0) NOT NULL,
         event_type     text                         NOT NULL,
         event_version  text                         NOT NULL,
         payload        json                         NOT NULL,
         metadata       json                         NOT NULL,
         PRIMARY KEY (aggregate_type, aggregate_id, sequence)
     )",
    "CREATE TABLE feed_view
     (
         view_id text                        NOT NULL,
         version bigint CHECK (version >= 0) NOT NULL,
         payload json                        NOT NULL,
         PRIMARY KEY (view_id)
     )",
];

const EVENTS: &str = "INSERT INTO events
     SELECT 'feed', about.id, row_number() OVER (PARTITION BY about.id ORDER BY e.position), e.event_type,
            e.event_version, e.payload, '{}'
     FROM log.events e
     CROSS JOIN LATERAL (SELECT CASE json_array_length(e.payload -> 'campaigns')
                                WHEN 1 THEN e.payload -> 'campaigns' ->> 0
                                ELSE e.payload ->> 'source' END) AS about (id)
     WHERE e.workspace = $1 AND e.aggregate_type = 'observations' ORDER BY e.position LIMIT $2";

pub(super) struct Stock {
    events: i64,
}

impl Stock {
    /// Takes over the first events of a log, at most `limit`.
    pub(super) async fn fill(database: &Database, workspace: i32, limit: i64) -> Result<Self> {
        for table in TABLES {
            sqlx::query(table).execute(&database.admin).await?;
        }
        let filled = sqlx::query(EVENTS).bind(workspace).bind(limit).execute(&database.admin).await?;
        sqlx::query("VACUUM (ANALYZE) events").execute(&database.admin).await?;
        Ok(Self { events: i64::try_from(filled.rows_affected())? })
    }

    pub(super) fn events(&self) -> i64 {
        self.events
    }

    /// Replays all of it, and says how many seconds that took.
    pub(super) async fn replay(&self, database: &Database) -> Result<f64> {
        sqlx::query("TRUNCATE feed_view").execute(&database.admin).await?;
        database.settle().await?;
        let pool = default_postgress_pool(database.config.url.expose_secret()).await;
        let failed = Arc::new(AtomicBool::new(false));
        let note = |failed: &Arc<AtomicBool>| {
            let failed = Arc::clone(failed);
            Box::new(move |_| failed.store(true, Ordering::Relaxed))
        };
        let views = Arc::new(PostgresViewRepository::<Sums, Feed>::new("feed_view", pool.clone()));
        let mut query = GenericQuery::new(views);
        query.use_error_handler(note(&failed));
        let mut replay: QueryReplay<_, _, Feed> = QueryReplay::new(PostgresEventRepository::new(pool.clone()), query);
        replay.use_error_handler(note(&failed));
        let began = Instant::now();
        replay.replay_all().await?;
        let seconds = began.elapsed().as_secs_f64();
        pool.close().await;
        ensure!(!failed.load(Ordering::Relaxed), "the replay of cqrs-es met an error");
        // It says nothing of what it leaves out.
        let applied: i64 = sqlx::query_scalar("SELECT coalesce(sum(version), 0)::bigint FROM feed_view")
            .fetch_one(&database.admin)
            .await?;
        ensure!(applied == self.events, "cqrs-es replayed {applied} of {} events", self.events);
        Ok(seconds)
    }
}

/// What the events are of. It decides nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Feed;

impl Aggregate for Feed {
    const TYPE: &'static str = "feed";
    type Command = ();
    type Event = Recorded;
    type Error = Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Infallible> {
        Ok(())
    }

    fn apply(&mut self, _: Recorded) {}
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Recorded(ObservationsRecorded);

impl DomainEvent for Recorded {
    fn event_type(&self) -> String {
        "ObservationsRecorded".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

/// By campaign, quarter hour and measure.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sums(BTreeMap<String, i64>);

impl View<Feed> for Sums {
    fn update(&mut self, event: &EventEnvelope<Feed>) {
        let Recorded(batch) = &event.payload;
        for observation in &batch.observations {
            let bucket = quarter_hour(observation.occurred_at).timestamp();
            for (measure, value) in observation.increments() {
                let cell = format!("{} {bucket} {}", batch.campaigns[observation.campaign], measure.name());
                *self.0.entry(cell).or_default() += value;
            }
        }
    }
}
