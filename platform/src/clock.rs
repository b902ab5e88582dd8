//! Where time comes from. Nothing else asks the system for the date.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// Tells the time. A trait, so that a test can be at any date.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    fn now(&self) -> DateTime<Utc>;

    /// How long it is since some fixed moment. Unlike the date, this never goes back: it is what rates are measured by.
    fn elapsed(&self) -> Duration;
}

/// A clock that many parts of a process look at.
pub type SharedClock = Arc<dyn Clock>;

/// The system's time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
        Utc::now()
    }

    fn elapsed(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

/// A clock that stands still until it is moved. Clones show the same time. Moved back, it shows an earlier date, but no
/// less time has passed.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<Moment>>);

#[derive(Debug, Clone, Copy)]
struct Moment {
    now: DateTime<Utc>,
    elapsed: Duration,
}

impl Moment {
    fn move_to(&mut self, now: DateTime<Utc>) {
        self.elapsed += (now - self.now).to_std().unwrap_or_default();
        self.now = now;
    }
}

impl ManualClock {
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(Arc::new(Mutex::new(Moment { now, elapsed: Duration::ZERO })))
    }

    pub fn shared(&self) -> SharedClock {
        Arc::new(self.clone())
    }

    pub fn set(&self, now: DateTime<Utc>) {
        self.moment().move_to(now);
    }

    pub fn advance(&self, by: TimeDelta) {
        let mut moment = self.moment();
        let now = moment.now + by;
        moment.move_to(now);
    }

    fn moment(&self) -> MutexGuard<'_, Moment> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        self.moment().now
    }

    fn elapsed(&self) -> Duration {
        self.moment().elapsed
    }
}
