//! A lane's connection: opened on demand, reopened when lost, with a classification of its errors.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use tokio::time::{Instant, timeout};

use super::config::AppenderConfig;
use super::warnings::WarningListener;
use super::{AppendResult, batch};
use crate::error::AppendError;
use crate::generations::note_generation;
use crate::server_start::{CurrentServer, ServerStart};
use crate::validated_request::ValidatedRequest;

/// How long a connection is used without a check. A longer idle one is pinged before a batch.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);
/// The most attempts at a batch that the database aborted in favour of another transaction.
const ATTEMPTS: usize = 5;

/// The session settings of `log.append`, and a digest of the server's start and of the database. Every lookup uses a
/// key, every plan is made once, and warnings are sent, whatever the server is configured to send. Settings on the
/// function itself would cost as much at each call as a small batch.
const SETTINGS: &str = "SELECT hashtextextended(
        concat_ws(' ', extract(epoch FROM pg_postmaster_start_time()),
                  (SELECT oid FROM pg_database WHERE datname = current_database())), 0)
    FROM (SELECT count(set_config(name, value, false)) FROM (VALUES
    ('default_transaction_isolation', 'read committed'), ('client_min_messages', 'warning'),
    ('plan_cache_mode', 'force_generic_plan'), ('jit', 'off'), ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'),
    ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off'))
    AS setting (name, value)) AS made";

/// What the lanes of an appender know of the server.
#[derive(Clone, Default)]
pub(super) struct ServerKnowledge {
    pub(super) current: CurrentServer,
    /// The server whose generation is noted.
    noted: CurrentServer,
    days: Arc<DayPartitionCache>,
}

/// The days whose partitions this process knows to exist.
#[derive(Debug, Default)]
struct DayPartitionCache(Mutex<HashSet<NaiveDate>>);

impl DayPartitionCache {
    fn unknown(&self, days: &HashSet<NaiveDate>) -> Vec<NaiveDate> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        days.difference(&known).copied().collect()
    }

    fn learn(&self, day: NaiveDate) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(day);
    }

    fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The error of a whole batch.
pub(super) enum BatchError {
    /// The database rejected part of it and wrote nothing.
    Content(sqlx::Error),
    /// Another error; whether the batch was written is unknown.
    Database(Arc<sqlx::Error>),
}

impl BatchError {
    pub(super) fn error(&self) -> &sqlx::Error {
        match self {
            Self::Content(error) => error,
            Self::Database(error) => error,
        }
    }

    /// The error for a caller whose request failed alone.
    pub(super) fn into_answer(self) -> AppendError {
        match self {
            Self::Content(sqlx::Error::Database(error)) if !error.code().is_some_and(|code| code.starts_with("23")) => {
                AppendError::Invalid(error.message().to_owned())
            }
            // The log must keep its own constraints, so the caller is not at fault.
            Self::Content(error) => AppendError::Unavailable(Arc::new(error)),
            Self::Database(error) => AppendError::Unavailable(error),
        }
    }
}

pub(super) struct Session {
    pool: PgPool,
    config: AppenderConfig,
    known: ServerKnowledge,
    warnings: WarningListener,
    connection: Option<PoolConnection<Postgres>>,
    /// The server of the connection.
    server: ServerStart,
    last_used: Instant,
}

impl Session {
    pub(super) fn new(pool: PgPool, config: AppenderConfig, known: ServerKnowledge) -> Self {
        Self {
            pool,
            config,
            known,
            warnings: WarningListener::new(),
            connection: None,
            server: ServerStart::UNKNOWN,
            last_used: Instant::now(),
        }
    }

    /// Writes a batch in one transaction, and returns one answer per request.
    pub(super) async fn append(&mut self, requests: &[&ValidatedRequest]) -> Result<Vec<AppendResult>, BatchError> {
        let mut attempt = 1;
        loop {
            let error = match self.attempt(requests).await {
                Ok(answers) => return Ok(answers),
                Err(error) => error,
            };
            match classify(&error) {
                ErrorClass::GaveWay if attempt < ATTEMPTS => attempt += 1,
                ErrorClass::GaveWay => return Err(BatchError::Database(Arc::new(error))),
                ErrorClass::Content => {
                    // A missing partition, whose day was dropped, looks the same. The next attempt creates it again.
                    self.known.days.forget();
                    return Err(BatchError::Content(error));
                }
                ErrorClass::Lost => {
                    self.disconnect();
                    return Err(BatchError::Database(Arc::new(error)));
                }
            }
        }
    }

    async fn attempt(&mut self, requests: &[&ValidatedRequest]) -> Result<Vec<AppendResult>, sqlx::Error> {
        let (connect_timeout, append_timeout) = (self.config.connect_timeout, self.config.append_timeout);
        timeout(connect_timeout, self.connect()).await.map_err(|_elapsed| sqlx::Error::PoolTimedOut)??;
        timeout(append_timeout, self.append_batch(requests))
            .await
            .map_err(|_elapsed| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))?
    }

    /// Opens a working connection.
    async fn connect(&mut self) -> Result<(), sqlx::Error> {
        if self.last_used.elapsed() > PING_AFTER_IDLE
            && let Some(connection) = &mut self.connection
            && connection.ping().await.is_err()
        {
            self.disconnect();
        }
        while self.connection.is_none() {
            let mut connection = self.pool.acquire().await?;
            // The pool may hold connections that died while they were idle.
            match sqlx::query_scalar(SETTINGS).fetch_one(&mut *connection).await {
                Ok(server) => {
                    self.meet(ServerStart::of_digest(server));
                    self.connection = Some(connection);
                }
                Err(_) => drop(connection.detach()),
            }
        }
        Ok(())
    }

    fn meet(&mut self, server: ServerStart) {
        self.server = server;
        if self.known.current.meet(server) {
            tracing::info!("the database server has started anew: what this process remembered of it is forgotten");
            self.known.days.forget();
        }
    }

    async fn append_batch(&mut self, requests: &[&ValidatedRequest]) -> Result<Vec<AppendResult>, sqlx::Error> {
        let connection = self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)?;
        if self.known.noted.get() != self.server
            && let Some(first) = requests.first()
        {
            note_met(connection, first.recorded_at).await?;
            self.known.noted.meet(self.server);
        }
        for day in self.known.days.unknown(&days(requests)) {
            sqlx::query!("SELECT log.ensure_day($1)", day).execute(&mut **connection).await?;
            self.known.days.learn(day);
        }
        let started = Instant::now();
        let work = append_holding(connection, requests, self.server);
        let (answers, is_warned) = self.warnings.listen(work).await;
        let mut answers = answers?;
        if is_warned && awaits_standby(connection).await {
            tracing::error!(
                requests = requests.len(),
                "the wait of a commit for a synchronous standby was ended: nothing of it is acknowledged"
            );
            for answer in answers.iter_mut().filter(|answer| answer.is_ok()) {
                *answer = Err(AppendError::Unconfirmed);
            }
        }
        self.last_used = Instant::now();
        metrics::counter!("highwater_append_batches_total").increment(1);
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        metrics::histogram!("highwater_append_batch_size").record(requests.len() as f64);
        metrics::histogram!("highwater_append_seconds").record(started.elapsed());
        Ok(answers)
    }

    /// Closes the connection instead of returning it to the pool in an unknown state.
    fn disconnect(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

/// Notes the generation of the logs on a server that this process has not met. No answer rests on it, so an error of
/// the database stops no append.
async fn note_met(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    match note_generation(connection, now).await {
        Err(error @ sqlx::Error::Database(_)) => {
            tracing::warn!(%error, "cannot note the generation of the logs");
            Ok(())
        }
        noted => noted,
    }
}

/// Whether commits wait for a synchronous standby. Nothing else is known of a warning, because it has no code.
async fn awaits_standby(connection: &mut PgConnection) -> bool {
    sqlx::query_scalar!(r#"SELECT current_setting('synchronous_standby_names') <> '' AS "awaits!""#)
        .fetch_one(connection)
        .await
        .unwrap_or(true)
}

/// Writes the requests that were judged on this server, and rejects the others.
async fn append_holding(
    connection: &mut PgConnection,
    requests: &[&ValidatedRequest],
    server: ServerStart,
) -> Result<Vec<AppendResult>, sqlx::Error> {
    let holds = |request: &&ValidatedRequest| request.judged_on.holds_on(server);
    if requests.iter().all(holds) {
        return batch::append(connection, requests).await;
    }
    let holding: Vec<_> = requests.iter().copied().filter(holds).collect();
    let answers = if holding.is_empty() { Vec::new() } else { batch::append(connection, &holding).await? };
    let mut answers = answers.into_iter();
    let answer = |request| {
        let answer = if holds(request) { answers.next() } else { Some(Err(AppendError::ServerStartedAnew)) };
        answer.ok_or_else(|| sqlx::Error::Protocol("log.append left a request unanswered".to_owned()))
    };
    requests.iter().map(answer).collect()
}

/// The days whose partitions the batch needs.
fn days(requests: &[&ValidatedRequest]) -> HashSet<NaiveDate> {
    let recorded = requests
        .iter()
        .filter(|request| request.receipt.is_some() || !request.keys.is_empty())
        .map(|request| request.recorded_at.date_naive());
    let items = requests.iter().flat_map(|request| request.keys.iter().map(|key| key.day));
    recorded.chain(items).collect()
}

enum ErrorClass {
    Content,
    GaveWay,
    Lost,
}

/// Classifies an error by its code: 22 data, 23 constraint, 54 limit; 40 aborted in favour of another transaction.
fn classify(error: &sqlx::Error) -> ErrorClass {
    let code = error.as_database_error().and_then(DatabaseError::code);
    match code.as_deref().and_then(|code| code.get(..2)) {
        Some("22" | "23" | "54") => ErrorClass::Content,
        Some("40") => ErrorClass::GaveWay,
        _ => ErrorClass::Lost,
    }
}
