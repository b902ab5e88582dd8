//! Counts the statements that a test's thread sends to a database.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// The statements that were sent, for as long as this lives.
pub(crate) struct Statements {
    sent: Arc<AtomicUsize>,
    _counting: DefaultGuard,
}

impl Statements {
    pub(crate) fn count() -> Self {
        let sent = Arc::new(AtomicUsize::new(0));
        let guard = tracing::subscriber::set_default(Counter(Arc::clone(&sent)));
        Self { sent, _counting: guard }
    }

    /// Counts from here on.
    pub(crate) fn begin(&self) {
        self.sent.store(0, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }
}

/// What begins a connection is none of it: when a pool opens another one is a matter of chance.
struct Sent<'a>(&'a AtomicUsize);

impl Visit for Sent<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "summary" && !value.starts_with("SET ROLE") {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Takes nothing but the lines that sqlx writes of each statement.
struct Counter(Arc<AtomicUsize>);

impl Subscriber for Counter {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Sent(&self.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
