//! Waits after failures. They double, with jitter, so that many processes do not return at once.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);

/// Waits that double from 50 ms up to a limit.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Starts at 50 ms.
    pub fn up_to(longest: Duration) -> Self {
        Self { next: FIRST, longest }
    }

    /// Returns the next wait, from half of the current step to all of it.
    pub fn wait(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.longest);
        step.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Restarts from the first wait, after a success.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}
