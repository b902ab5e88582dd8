//! The warnings of PostgreSQL during an append. If the wait of a commit for a synchronous standby is cancelled, the
//! server says so by a warning alone, and the commit looks like any other. sqlx passes warnings to `tracing` and to
//! nobody else, so they are heard there. Their texts are in the server's language and have no code.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::instrument::WithSubscriber;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, dispatcher};

/// The target under which sqlx passes on what the server says.
const NOTICE: &str = "sqlx::postgres::notice";

/// A listener for the warnings of one connection.
#[derive(Clone)]
pub(super) struct WarningListener {
    heard: Arc<AtomicBool>,
    dispatch: Dispatch,
}

impl WarningListener {
    /// A listener that passes everything on to the subscriber of this thread.
    pub(super) fn new() -> Self {
        let heard = Arc::new(AtomicBool::new(false));
        let behind = dispatcher::get_default(Clone::clone);
        let most = LevelFilter::current().max(LevelFilter::WARN);
        let dispatch = Dispatch::new(Listening { heard: Arc::clone(&heard), behind, most });
        Self { heard, dispatch }
    }

    /// Runs `work`, and says whether the server warned of something meanwhile.
    pub(super) async fn listen<T>(&self, work: impl Future<Output = T>) -> (T, bool) {
        self.heard.store(false, Ordering::Relaxed);
        let done = work.with_subscriber(self.dispatch.clone()).await;
        (done, self.heard.load(Ordering::Relaxed))
    }
}

/// A subscriber that notes warnings of the server and passes everything on.
struct Listening {
    heard: Arc<AtomicBool>,
    behind: Dispatch,
    /// The most verbose level that somebody listens to.
    most: LevelFilter,
}

fn is_warning(metadata: &Metadata<'_>) -> bool {
    metadata.target() == NOTICE && *metadata.level() == Level::WARN
}

impl Subscriber for Listening {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_warning(metadata) { Interest::always() } else { self.behind.register_callsite(metadata) }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        is_warning(metadata) || self.behind.enabled(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        if is_warning(event.metadata()) {
            self.heard.store(true, Ordering::Relaxed);
            if !self.behind.enabled(event.metadata()) {
                return;
            }
        }
        self.behind.event(event);
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.behind.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.behind.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.behind.record_follows_from(span, follows);
    }

    fn enter(&self, span: &Id) {
        self.behind.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.behind.exit(span);
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.behind.clone_span(span)
    }

    fn try_close(&self, span: Id) -> bool {
        self.behind.try_close(span)
    }
}

#[cfg(test)]
mod tests {
    use super::{NOTICE, WarningListener};

    #[tokio::test]
    async fn hears_a_warning_of_the_server_and_nothing_else() {
        let listener = WarningListener::new();
        let quiet = listener.listen(async {
            tracing::warn!("a slow statement");
            tracing::info!(target: NOTICE, "a table exists already");
            1
        });
        assert_eq!(quiet.await, (1, false));
        let warned = listener.listen(async { tracing::warn!(target: NOTICE, "canceling wait") });
        assert!(warned.await.1);
        tracing::warn!(target: NOTICE, "of another connection");
        assert!(!listener.listen(async {}).await.1, "what was heard before is not heard again");
    }
}
