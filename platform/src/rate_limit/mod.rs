//! One rate limit, counted for each of many keys. It uses the algorithm GCRA of governor: a key may use its whole quota
//! at once, and then as much as is replenished.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::clock::SharedClock;

/// A rate limit's subject and its amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatePolicy {
    /// Its name, for callers and metrics.
    pub name: &'static str,
    /// The counted things, as the end of a sentence such as "too many …".
    pub counts: &'static str,
    /// The amount that may be used at once, and that is replenished within the window.
    pub quota: NonZeroU32,
    /// The amount that is replenished in a second.
    pub per_s: NonZeroU32,
    /// The window, in seconds.
    pub window_s: u32,
}

impl RatePolicy {
    /// A policy of `per_s` over a window. None if `per_s` is 0, which means no limit.
    pub fn new(name: &'static str, counts: &'static str, per_s: u32, window_s: u32) -> Option<Self> {
        let per_s = NonZeroU32::new(per_s)?;
        let quota = per_s.saturating_mul(NonZeroU32::new(window_s)?);
        Some(Self { name, counts, quota, per_s, window_s })
    }
}

/// The rest of a key's quota after a use, whether that was allowed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// The policy.
    pub policy: RatePolicy,
    /// How much of the quota is left.
    pub remaining: u32,
    /// The time until the use would be allowed. None if it was allowed.
    pub wait: Option<Duration>,
}

/// The most keys in use at once. Above it, all are forgotten, which gives each its whole quota again. This bounds the
/// memory.
const MOST_KEYS: usize = 100_000;
/// The number of keys below which no idle ones are removed.
const FEW_KEYS: usize = 1_024;

/// A policy, counted for each key separately.
pub struct RateLimit<K: Hash + Eq + Clone> {
    policy: RatePolicy,
    limiter: RateLimiter<K, KeyedState<K>, Elapsed, StateInformationMiddleware>,
    kept: KeyedState<K>,
    clock: SharedClock,
    started: Duration,
}

impl<K: Hash + Eq + Clone> RateLimit<K> {
    /// A limit without any use so far.
    pub fn new(policy: RatePolicy, clock: SharedClock) -> Self {
        let kept = KeyedState(Arc::new(Mutex::new(KeyedStore { used_up_to: HashMap::new(), look_from: FEW_KEYS })));
        let quota = Quota::per_second(policy.per_s).allow_burst(policy.quota);
        let started = clock.elapsed();
        let limiter = RateLimiter::new(quota, kept.clone(), Elapsed(clock.clone()));
        Self { policy, limiter, kept, clock, started }
    }

    /// Spends `cells` of the quota of `key`, if that much is left. A request for more than the whole quota spends all
    /// of it.
    pub fn spend(&self, key: &K, cells: NonZeroU32) -> RateLimitStatus {
        let outcome = self.limiter.check_key_n(key, cells.min(self.policy.quota));
        let (remaining, wait) = match outcome {
            Ok(Ok(state)) => (state.remaining_burst_capacity(), None),
            Ok(Err(until)) => (0, Some(until.wait_time_from(self.clock.elapsed()))),
            // Unreachable: the request is capped at the quota.
            Err(_more_than_the_quota) => (0, Some(Duration::from_secs(self.policy.window_s.into()))),
        };
        self.kept.forget_idle(self.now());
        RateLimitStatus { policy: self.policy, remaining, wait }
    }

    /// The status of `key` if nothing of its quota is left.
    pub fn spent(&self, key: &K) -> Option<RateLimitStatus> {
        let used_up_to = self.kept.lock().used_up_to.get(key).copied()?;
        let cell = Duration::from_secs(1) / self.policy.per_s.get();
        let free_from = Duration::from_nanos(used_up_to.as_u64()).checked_sub(cell * (self.policy.quota.get() - 1))?;
        let wait = free_from.checked_sub(Duration::from_nanos(self.now().as_u64()))?;
        (!wait.is_zero()).then_some(RateLimitStatus { policy: self.policy, remaining: 0, wait: Some(wait) })
    }

    fn now(&self) -> Nanos {
        self.clock.elapsed().saturating_sub(self.started).into()
    }

    #[cfg(test)]
    fn keys(&self) -> usize {
        self.kept.lock().used_up_to.len()
    }
}

impl<K: Hash + Eq + Clone> fmt::Debug for RateLimit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.policy.fmt(f)
    }
}

/// The clock as governor reads it. Its time must not go back, unlike the date.
struct Elapsed(SharedClock);

impl governor::clock::Clock for Elapsed {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// For each key, the moment up to which its use so far would have taken at the policy's rate.
struct KeyedState<K>(Arc<Mutex<KeyedStore<K>>>);

struct KeyedStore<K> {
    used_up_to: HashMap<K, Nanos>,
    /// The number of keys from which to remove idle ones.
    look_from: usize,
}

impl<K> Clone for KeyedState<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Hash + Eq> KeyedState<K> {
    fn lock(&self) -> MutexGuard<'_, KeyedStore<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the keys that have their whole quota again. It runs only when the number of keys has doubled since the
    /// last run, so the cost for each new key is negligible.
    fn forget_idle(&self, now: Nanos) {
        let mut keys = self.lock();
        if keys.used_up_to.len() < keys.look_from {
            return;
        }
        keys.used_up_to.retain(|_, used_up_to| *used_up_to > now);
        if keys.used_up_to.len() >= MOST_KEYS {
            keys.used_up_to.clear();
        }
        keys.look_from = (keys.used_up_to.len() * 2).clamp(FEW_KEYS, MOST_KEYS);
        let room = keys.look_from;
        keys.used_up_to.shrink_to(room);
    }
}

impl<K: Hash + Eq + Clone> StateStore for KeyedState<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut keys = self.lock();
        if let Some(used_up_to) = keys.used_up_to.get_mut(key) {
            let (outcome, next) = decide(Some(*used_up_to))?;
            *used_up_to = next;
            return Ok(outcome);
        }
        let (outcome, next) = decide(None)?;
        keys.used_up_to.insert(key.clone(), next);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests;
