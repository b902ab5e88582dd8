//! Questions that many requests ask, put to the database as one.
//!
//! A request that comes while a question is under way waits for the next one, which then speaks for everyone who came
//! meanwhile. So each gets what was true after it came, and many cost little more than one.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use sqlx::{PgConnection, PgPool};
use tokio::sync::oneshot;

use crate::refusal::Refusal;

/// Before a question is asked, others may join it for so many turns of the runtime at most: each takes microseconds.
const MOST_TURNS: usize = 32;

/// Reads what there is of each, by one statement. What is not found is left out.
pub(crate) type Read<K, V> = for<'a> fn(&'a mut PgConnection, &'a [K]) -> BoxFuture<'a, Result<HashMap<K, V>, Refusal>>;

/// Asks together for what keys of type `K` name. Clones ask together, too.
pub(crate) struct Together<K, V> {
    pool: PgPool,
    read: Read<K, V>,
    waiting: Arc<Mutex<Waiting<K, V>>>,
}

struct Waiting<K, V> {
    callers: Vec<Caller<K, V>>,
    /// Whether somebody asks already, who will ask again for those who came meanwhile.
    is_asking: bool,
}

struct Caller<K, V> {
    key: K,
    answer: oneshot::Sender<Arc<V>>,
}

impl<K, V> Together<K, V>
where
    K: Copy + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(pool: PgPool, read: Read<K, V>) -> Self {
        let waiting = Waiting { callers: Vec::new(), is_asking: false };
        Self { pool, read, waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// What there is at some instant after this was called. `None`: nothing, or the database could not be asked.
    pub(crate) async fn ask(&self, key: K) -> Option<Arc<V>> {
        let (answer, told) = oneshot::channel();
        if self.join(Caller { key, answer }) {
            // A task of its own, because those who wait for it must not depend on whether this caller stays.
            tokio::spawn(self.clone().answer_all());
        }
        told.await.ok()
    }

    /// Whether it is for this caller to have the question asked.
    fn join(&self, caller: Caller<K, V>) -> bool {
        let mut waiting = self.waiting();
        waiting.callers.push(caller);
        !std::mem::replace(&mut waiting.is_asking, true)
    }

    /// Asks until nobody waits.
    async fn answer_all(self) {
        let mut asking = Asking { together: &self, is_over: false };
        loop {
            self.gather().await;
            let Some(callers) = self.take() else {
                asking.is_over = true;
                return;
            };
            let keys: HashSet<_> = callers.iter().map(|caller| caller.key).collect();
            match self.find(&keys.into_iter().collect::<Vec<_>>()).await {
                Ok(found) => {
                    let found: HashMap<_, _> = found.into_iter().map(|(key, value)| (key, Arc::new(value))).collect();
                    for Caller { key, answer } in callers {
                        // Whoever went away needs no answer.
                        found.get(&key).and_then(|value| answer.send(Arc::clone(value)).ok());
                    }
                }
                // Each caller asks by itself then, and tells of it.
                Err(error) => tracing::debug!(%error, "cannot ask for many together"),
            }
        }
    }

    /// Lets the requests that are here already join: those that the runtime has work for run before this goes on.
    async fn gather(&self) {
        let mut joined = 0;
        for _ in 0..MOST_TURNS {
            tokio::task::yield_now().await;
            let now = self.waiting().callers.len();
            if now == std::mem::replace(&mut joined, now) {
                return;
            }
        }
    }

    fn take(&self) -> Option<Vec<Caller<K, V>>> {
        let mut waiting = self.waiting();
        waiting.is_asking = !waiting.callers.is_empty();
        waiting.is_asking.then(|| std::mem::take(&mut waiting.callers))
    }

    async fn find(&self, keys: &[K]) -> Result<HashMap<K, V>, Refusal> {
        (self.read)(&mut *self.pool.acquire().await?, keys).await
    }
}

impl<K, V> Together<K, V> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<K, V>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Clone for Together<K, V> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), read: self.read, waiting: Arc::clone(&self.waiting) }
    }
}

impl<K, V> fmt::Debug for Together<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Together")
    }
}

/// The task that asks. If it ends before its time, by a panic, nobody is left waiting for it.
struct Asking<'a, K, V> {
    together: &'a Together<K, V>,
    is_over: bool,
}

impl<K, V> Drop for Asking<'_, K, V> {
    fn drop(&mut self) {
        if !self.is_over {
            let mut waiting = self.together.waiting();
            waiting.is_asking = false;
            waiting.callers.clear();
        }
    }
}

#[cfg(test)]
mod tests;
