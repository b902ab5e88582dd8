//! Batch loading: the keys of many requests are loaded by one statement.
//!
//! A request that arrives while two loads are in flight waits for the next load, which serves all requests that arrived
//! meanwhile. So each request gets what was true after it arrived, and many cost little more than one.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::PgPool;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::database::connection::Connection;
use crate::error::ReadError;

/// The most loads in flight. With one alone, all requests would run in step, and this process and the database would
/// wait for each other in turn.
const MAX_IN_FLIGHT: usize = 2;

/// The most turns of the runtime for which other requests may join a load before it starts. Each takes microseconds.
const MAX_YIELDS: usize = 32;

/// The timeout of a load, because the database's host may have gone without closing the connection. It is shorter than
/// that of a request, so that its callers can still load for themselves.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Loads the values of these keys by one statement. Keys without a value are left out.
pub(crate) type LoadFn<K, V> =
    for<'a> fn(&'a mut Connection, &'a [K]) -> BoxFuture<'a, Result<HashMap<K, V>, ReadError>>;

/// Loads values of type `V` by keys of type `K`, those of concurrent requests together. Clones share the loads.
pub(crate) struct BatchLoader<K, V> {
    pool: PgPool,
    read: LoadFn<K, V>,
    timeout_after: Duration,
    waiting: Arc<Mutex<Pending<K, V>>>,
}

struct Pending<K, V> {
    callers: Vec<Waiter<K, V>>,
    /// The tasks that load at present. Each loads again for the callers that arrive meanwhile.
    in_flight: usize,
}

struct Waiter<K, V> {
    key: K,
    answer: oneshot::Sender<Arc<V>>,
}

impl<K, V> BatchLoader<K, V>
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(pool: PgPool, read: LoadFn<K, V>) -> Self {
        let waiting = Pending { callers: Vec::new(), in_flight: 0 };
        Self { pool, read, timeout_after: TIMEOUT, waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// The value of a key at some instant after this call. `None`: there is none, or the database cannot be queried.
    pub(crate) async fn load(&self, key: K) -> Option<Arc<V>> {
        let (answer, received) = oneshot::channel();
        if self.join(Waiter { key, answer }) {
            // A task of its own, because its other callers must not depend on whether this caller stays.
            tokio::spawn(self.clone().load_all());
        }
        received.await.ok()
    }

    /// Adds a caller. Whether the caller must start a task.
    fn join(&self, caller: Waiter<K, V>) -> bool {
        let mut waiting = self.waiting();
        waiting.callers.push(caller);
        let may_load = waiting.in_flight < MAX_IN_FLIGHT;
        waiting.in_flight += usize::from(may_load);
        may_load
    }

    /// Loads until no caller waits, on one connection, because the pool would test the connection each time.
    async fn load_all(self) {
        let mut task = LoaderTask { loader: &self, is_over: false };
        let mut kept = None;
        loop {
            self.coalesce().await;
            let Some(callers) = self.take() else {
                task.is_over = true;
                return;
            };
            let keys: HashSet<_> = callers.iter().map(|caller| caller.key).collect();
            let keys: Vec<_> = keys.into_iter().collect();
            match timeout(self.timeout_after, self.find(&mut kept, &keys)).await {
                Ok(Ok(found)) => {
                    let found: HashMap<_, _> = found.into_iter().map(|(key, value)| (key, Arc::new(value))).collect();
                    for Waiter { key, answer } in callers {
                        // A caller that went away needs no answer.
                        found.get(&key).and_then(|value| answer.send(Arc::clone(value)).ok());
                    }
                }
                // Each caller loads by itself then, and reports the error.
                Ok(Err(error)) => tracing::debug!(%error, "cannot load for many requests together"),
                Err(_elapsed) => tracing::warn!(after_s = self.timeout_after.as_secs(), "the database gave no answer"),
            }
        }
    }

    /// Lets concurrent requests join: the runtime runs them before this task goes on.
    async fn coalesce(&self) {
        let mut joined = 0;
        for _ in 0..MAX_YIELDS {
            tokio::task::yield_now().await;
            let now = self.waiting().callers.len();
            if now == std::mem::replace(&mut joined, now) {
                return;
            }
        }
    }

    fn take(&self) -> Option<Vec<Waiter<K, V>>> {
        let mut waiting = self.waiting();
        if waiting.callers.is_empty() {
            waiting.in_flight -= 1;
            return None;
        }
        // The next load will have about as many callers.
        let next = Vec::with_capacity(waiting.callers.len());
        Some(std::mem::replace(&mut waiting.callers, next))
    }

    /// Loads on the kept connection, or on a new one. A connection with an error is not kept.
    async fn find(&self, kept: &mut Option<Connection>, keys: &[K]) -> Result<HashMap<K, V>, ReadError> {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::acquire(&self.pool).await?,
        };
        let found = (self.read)(&mut connection, keys).await?;
        *kept = Some(connection);
        Ok(found)
    }
}

impl<K, V> BatchLoader<K, V> {
    fn waiting(&self) -> MutexGuard<'_, Pending<K, V>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Clone for BatchLoader<K, V> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), waiting: Arc::clone(&self.waiting), ..*self }
    }
}

impl<K, V> fmt::Debug for BatchLoader<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchLoader")
    }
}

/// A loading task. If it panics, its callers are released.
struct LoaderTask<'a, K, V> {
    loader: &'a BatchLoader<K, V>,
    is_over: bool,
}

impl<K, V> Drop for LoaderTask<'_, K, V> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut waiting = self.loader.waiting();
            waiting.in_flight -= 1;
            waiting.callers.clear();
        }
    }
}

#[cfg(test)]
mod tests;
