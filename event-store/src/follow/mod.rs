//! Following logs: the parts of every consumer of logs, whether it fills tables or acts outside.
//!
//! A consumer keeps a cursor for each log, the last position that it has processed. It decides how it processes an
//! event, and in which transaction its cursor moves. The rest is here:
//!
//! - [`lagging_logs`]: the logs of its share that are ahead of their cursors.
//! - [`read_page`], [`read_pages`]: the next events of a log, or of many, checked for holes ([`LogPage`]).
//! - [`Leases`]: the division of the logs among the processes of one kind of consumer.
//! - [`run`]: the loop around a [`Consumer`]'s rounds, with wake-ups and [`Backoff`].
//!
//! A consumer gets its wake-ups as a [`Notify`](tokio::sync::Notify). The code that starts it listens on
//! [`LOG_CHANNEL`] and, for its leases, on [`LEASES_CHANNEL`]. A wake-up is only a hint, so the listener also wakes
//! slowly without one.
//!
//! [`LOG_CHANNEL`]: crate::LOG_CHANNEL

mod backoff; // waits after failures
mod consumer; // the loop around a consumer's rounds
mod lagging; // the logs that are ahead of their cursors
mod leases; // division of the logs among processes
mod page; // the next events of a log, checked for holes

pub use self::backoff::Backoff;
pub use self::consumer::{Consumer, Round, run};
pub use self::lagging::{LaggingLog, lagging_logs};
pub use self::leases::{
    LEASES_CHANNEL, LeaseConfig, LeaseStatus, Leases, LogAssignment, keep_leases, lease_pool, leases, owner,
};
pub use self::page::{LogPage, read_page, read_pages};
