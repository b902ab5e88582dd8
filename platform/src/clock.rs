//! The clock: the only code that reads the system's time.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// A source of the current time. It is a trait so that a test can set any date.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    fn now(&self) -> DateTime<Utc>;

    /// The time since a fixed moment. It never goes back, unlike the date, so rates are measured by it.
    fn elapsed(&self) -> Duration;
}

/// A clock that parts of a process share.
pub type SharedClock = Arc<dyn Clock>;

/// The system's clock.
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

/// A clock that moves only when a test moves it. Clones show the same time. A move back changes the date, but not the
/// elapsed time.
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
