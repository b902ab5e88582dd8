//! Questions that many requests ask, put to the database as one.
//!
//! A request that comes while two questions are under way waits for the next one, which then speaks for everyone who
//! came meanwhile. So each gets what was true after it came, and many cost little more than one.

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

/// So many questions are under way at most. While the database has one, this process makes the other: with only one,
/// all who ask would go in step, and either side would wait for the other.
const MAX_IN_FLIGHT: usize = 2;

/// Before a question is asked, others may join it for so many turns of the runtime at most: each takes microseconds.
const MAX_YIELDS: usize = 32;

/// A question that takes longer is given up: the database's host may be gone without a word. It is shorter than a
/// request may take, so that those who waited can still ask for themselves.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Reads what there is of each, by one statement. What is not found is left out.
pub(crate) type LoadFn<K, V> =
    for<'a> fn(&'a mut Connection, &'a [K]) -> BoxFuture<'a, Result<HashMap<K, V>, ReadError>>;

/// Asks together for what keys of type `K` name. Clones ask together, too.
pub(crate) struct BatchLoader<K, V> {
    pool: PgPool,
    read: LoadFn<K, V>,
    patience: Duration,
    waiting: Arc<Mutex<Pending<K, V>>>,
}

struct Pending<K, V> {
    callers: Vec<Waiter<K, V>>,
    /// How many ask already, who will ask again for those who came meanwhile.
    asking: usize,
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
        let waiting = Pending { callers: Vec::new(), asking: 0 };
        Self { pool, read, patience: TIMEOUT, waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// What there is at some instant after this was called. `None`: nothing, or the database could not be asked.
    pub(crate) async fn load(&self, key: K) -> Option<Arc<V>> {
        let (answer, told) = oneshot::channel();
        if self.join(Waiter { key, answer }) {
            // A task of its own, because those who wait for it must not depend on whether this caller stays.
            tokio::spawn(self.clone().answer_all());
        }
        told.await.ok()
    }

    /// Whether it is for this caller to have the question asked.
    fn join(&self, caller: Waiter<K, V>) -> bool {
        let mut waiting = self.waiting();
        waiting.callers.push(caller);
        let may_ask = waiting.asking < MAX_IN_FLIGHT;
        waiting.asking += usize::from(may_ask);
        may_ask
    }

    /// Asks until nobody waits, on one connection: one that is given back is asked each time whether it lives.
    async fn answer_all(self) {
        let mut asking = LoaderTask { together: &self, is_over: false };
        let mut kept = None;
        loop {
            self.coalesce().await;
            let Some(callers) = self.take() else {
                asking.is_over = true;
                return;
            };
            let keys: HashSet<_> = callers.iter().map(|caller| caller.key).collect();
            let keys: Vec<_> = keys.into_iter().collect();
            match timeout(self.patience, self.find(&mut kept, &keys)).await {
                Ok(Ok(found)) => {
                    let found: HashMap<_, _> = found.into_iter().map(|(key, value)| (key, Arc::new(value))).collect();
                    for Waiter { key, answer } in callers {
                        // Whoever went away needs no answer.
                        found.get(&key).and_then(|value| answer.send(Arc::clone(value)).ok());
                    }
                }
                // Each caller asks by itself then, and tells of it.
                Ok(Err(error)) => tracing::debug!(%error, "cannot ask for many together"),
                Err(_elapsed) => tracing::warn!(after_s = self.patience.as_secs(), "the database gave no answer"),
            }
        }
    }

    /// Lets the requests that are here already join: those that the runtime has work for run before this goes on.
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
            waiting.asking -= 1;
            return None;
        }
        // About as many will wait for the next one.
        let next = Vec::with_capacity(waiting.callers.len());
        Some(std::mem::replace(&mut waiting.callers, next))
    }

    /// A connection on which something went wrong is not kept.
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

/// A task that asks. If it ends before its time, by a panic, nobody is left waiting for it.
struct LoaderTask<'a, K, V> {
    together: &'a BatchLoader<K, V>,
    is_over: bool,
}

impl<K, V> Drop for LoaderTask<'_, K, V> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut waiting = self.together.waiting();
            waiting.asking -= 1;
            waiting.callers.clear();
        }
    }
}

#[cfg(test)]
mod tests;
