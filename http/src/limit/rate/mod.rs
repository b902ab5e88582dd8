//! One rate, kept for each of many keys. The arithmetic is governor's (GCRA): a key may use its whole quota at once, and
//! then as much as flows back.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use platform::clock::SharedClock;

/// What a rate is for, as callers and metrics see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Policy {
    /// Its name in `RateLimit-Policy`, and the cause in metrics.
    pub(super) name: &'static str,
    /// What is counted, in a sentence such as "too many …".
    pub(super) counts: &'static str,
    /// How much of it may be used at once, and flows back within the window.
    pub(super) quota: NonZeroU32,
    /// How much flows back in a second.
    per_s: NonZeroU32,
    window_s: u32,
}

impl Policy {
    /// None where `per_s` is 0, which is no limit.
    pub(super) fn new(name: &'static str, counts: &'static str, per_s: u32, window_s: u32) -> Option<Self> {
        let per_s = NonZeroU32::new(per_s)?;
        let quota = per_s.saturating_mul(NonZeroU32::new(window_s)?);
        Some(Self { name, counts, quota, per_s, window_s })
    }

    /// As an item of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11). Units other than requests have no name
    /// in the draft's registry, so none is given.
    pub(super) fn write(&self, field: &mut String) {
        // Writing to a string cannot fail.
        let _ = write!(field, "\"{}\";q={};w={}", self.name, self.quota, self.window_s);
    }
}

/// How a key stands with a policy, after a use of it that was allowed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateLimitStatus {
    pub(super) policy: Policy,
    pub(super) remaining: u32,
    /// How long until the use would be allowed; none where it was.
    pub(super) wait: Option<Duration>,
}

impl RateLimitStatus {
    /// As an item of `RateLimit`. A refusal's window ends when it may be tried again. Otherwise it is the time for which
    /// the rest lasts at the policy's rate, so that nobody who spreads `r` over `t` is refused.
    pub(super) fn write(&self, field: &mut String) {
        let seconds = match self.wait {
            Some(wait) => whole_seconds(wait),
            None => u64::from(self.remaining.div_ceil(self.policy.per_s.get())).max(1),
        };
        let _ = write!(field, "\"{}\";r={};t={seconds}", self.policy.name, self.remaining);
    }
}

/// A wait in seconds: never shorter than it is, and never none.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// More keys in use at once than this are all forgotten, which gives each its whole quota again: memory is worth more.
const MOST_KEYS: usize = 100_000;
/// Fewer keys are not worth looking for idle ones.
const FEW_KEYS: usize = 1_024;

/// A policy, kept for each key by itself.
pub(super) struct RateLimit<K: Hash + Eq + Clone> {
    policy: Policy,
    limiter: RateLimiter<K, KeyedState<K>, Elapsed, StateInformationMiddleware>,
    kept: KeyedState<K>,
    clock: SharedClock,
    started: Duration,
}

impl<K: Hash + Eq + Clone> RateLimit<K> {
    pub(super) fn new(policy: Policy, clock: SharedClock) -> Self {
        let kept = KeyedState(Arc::new(Mutex::new(KeyedStore { used_up_to: HashMap::new(), look_from: FEW_KEYS })));
        let quota = Quota::per_second(policy.per_s).allow_burst(policy.quota);
        let started = clock.elapsed();
        let limiter = RateLimiter::new(quota, kept.clone(), Elapsed(clock.clone()));
        Self { policy, limiter, kept, clock, started }
    }

    /// Uses the quota of `key` for `cells`, if there is as much. More than the whole quota uses all of it.
    pub(super) fn spend(&self, key: &K, cells: NonZeroU32) -> RateLimitStatus {
        let outcome = self.limiter.check_key_n(key, cells.min(self.policy.quota));
        let (remaining, wait) = match outcome {
            Ok(Ok(state)) => (state.remaining_burst_capacity(), None),
            Ok(Err(until)) => (0, Some(until.wait_time_from(self.clock.elapsed()))),
            // Not reached: no more than the quota was asked for.
            Err(_more_than_the_quota) => (0, Some(Duration::from_secs(self.policy.window_s.into()))),
        };
        self.kept.forget_idle(self.now());
        RateLimitStatus { policy: self.policy, remaining, wait }
    }

    /// How `key` stands if nothing of its quota is left.
    pub(super) fn spent(&self, key: &K) -> Option<RateLimitStatus> {
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

/// Time as governor takes it: it must not go back, which the date may.
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
    /// With this many keys it is time to look for idle ones.
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

    /// Forgets the keys that have their whole quota again. Looks only when their number has doubled since it looked last,
    /// so that it costs each new key next to nothing.
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
