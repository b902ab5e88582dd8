//! Following logs: what any consumer of logs is made of, whether it fills tables or acts outside.
//!
//! A consumer keeps a cursor for each log, the last position that it has dealt with, and decides itself what is done
//! with an event and in which transaction its cursor moves. It finds here everything else:
//!
//! - [`lagging_logs`]: which logs of its share go further than their cursors.
//! - [`read_page`], [`read_pages`]: the next events of a log, or of many, checked for holes ([`LogPage`]).
//! - [`Leases`]: how the processes of one kind of consumer divide the logs among them.
//! - [`run`]: the loop around a [`Consumer`]'s rounds, with wake-ups and [`Backoff`].
//!
//! What wakes a consumer is handed in as a [`Notify`](tokio::sync::Notify): whoever starts it listens on
//! [`LOG_CHANNEL`] and, for its leases, on [`LEASES_CHANNEL`]. A wake-up is only a hint, so the listener also wakes
//! slowly without one.
//!
//! [`LOG_CHANNEL`]: crate::LOG_CHANNEL

mod backoff; // how long to wait after a failure
mod consumer; // the loop around a consumer's rounds
mod lagging; // which logs go further than their cursors
mod leases; // divides the logs among processes
mod page; // the next events of a log, checked for holes

pub use self::backoff::Backoff;
pub use self::consumer::{Consumer, Round, run};
pub use self::lagging::{LaggingLog, lagging_logs};
pub use self::leases::{
    LEASES_CHANNEL, LeaseConfig, LeaseStatus, Leases, LogAssignment, keep_leases, lease_pool, leases, owner,
};
pub use self::page::{LogPage, read_page, read_pages};
