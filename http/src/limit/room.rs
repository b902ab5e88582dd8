//! Capacity that an API has only a limited amount of.

use std::sync::atomic::{AtomicU64, Ordering};

use metrics::Gauge;

/// A limited number of requests or bytes.
pub(super) struct CapacityBudget {
    most: u64,
    taken: AtomicU64,
    gauge: Gauge,
}

impl CapacityBudget {
    /// A budget of `most`; 0 means no limit.
    pub(super) fn new(most: u64, gauge: Gauge) -> Self {
        // The gauge is shown from the start. An API that is served twice in one process shows the sum.
        gauge.increment(0.0);
        Self { most: if most == 0 { u64::MAX } else { most }, taken: AtomicU64::new(0), gauge }
    }

    /// Takes all of `amount`, or nothing and returns false.
    pub(super) fn take(&self, amount: u64) -> bool {
        let fits = |taken: u64| taken.checked_add(amount).filter(|sum| *sum <= self.most);
        let took = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok();
        if took {
            self.show(amount, Gauge::increment);
        }
        took
    }

    /// Whether `amount` is available now.
    pub(super) fn has(&self, amount: u64) -> bool {
        self.taken.load(Ordering::Acquire).checked_add(amount).is_some_and(|sum| sum <= self.most)
    }

    pub(super) fn give_back(&self, amount: u64) {
        self.taken.fetch_sub(amount, Ordering::AcqRel);
        self.show(amount, Gauge::decrement);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.taken.load(Ordering::Acquire) == 0
    }

    fn show(&self, amount: u64, change: impl Fn(&Gauge, f64)) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge shows; up to 2^53 it is exact")]
        change(&self.gauge, amount as f64);
    }
}
