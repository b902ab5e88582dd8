//! The start of the database server that a process speaks to, with the database. What was read before proves nothing on
//! the next one: a backup may have been restored in between, also under the name of the lost database, or a standby
//! promoted that lost the last events. There, a stream may have the same version by other events.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A digest of when a database server started, and of which database of it is meant. It tells two servers apart, two
/// runs of one, and two databases that had the same name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerStart(i64);

impl ServerStart {
    /// No server has been met yet.
    pub const UNKNOWN: Self = Self(0);

    pub(crate) fn of_digest(digest: i64) -> Self {
        Self(digest)
    }

    /// Whether what was read from this server holds on `other`. Before the first one was met, nothing was remembered.
    pub(crate) fn holds_on(self, other: Self) -> bool {
        self == other || self == Self::UNKNOWN
    }
}

/// The server that the appender's connections met last.
#[derive(Debug, Clone, Default)]
pub(crate) struct CurrentServer(Arc<AtomicI64>);

impl CurrentServer {
    pub(crate) fn get(&self) -> ServerStart {
        ServerStart(self.0.load(Ordering::Acquire))
    }

    /// Notes the server of a new connection. True if it is another one than before.
    pub(crate) fn meet(&self, met: ServerStart) -> bool {
        let before = self.0.swap(met.0, Ordering::AcqRel);
        before != met.0 && before != ServerStart::UNKNOWN.0
    }
}

#[cfg(test)]
mod tests {
    use super::{CurrentServer, ServerStart};

    #[test]
    fn what_was_read_from_one_server_holds_there_alone() {
        let (one, other) = (ServerStart::of_digest(7), ServerStart::of_digest(9));
        assert!(one.holds_on(one));
        assert!(!one.holds_on(other));
        assert!(ServerStart::UNKNOWN.holds_on(one));
    }

    #[test]
    fn meets_another_server_once() {
        let (one, other) = (ServerStart::of_digest(7), ServerStart::of_digest(9));
        let current = CurrentServer::default();
        assert!(!current.meet(one), "the first one");
        assert!(!current.meet(one));
        assert!(current.meet(other));
        assert_eq!(current.get(), other);
    }
}
