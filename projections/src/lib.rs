//! Projections: turn each workspace's log into the read tables, once and in order.
//!
//! [`engine`] runs any projection: it follows the logs, keeps checkpoints, stops visibly rather than skip, and rebuilds
//! beside the live rows. [`views`] holds the read models, one file each, and the only list of projections.
//!
//! What readers may rely on: rows and checkpoint commit together, so one snapshot that reads `read.live_epochs`,
//! `read.checkpoints` and rows sees exactly the events up to that position, if it is taken before the statement that reads
//! rows is planned; and the same log gives the same rows to the byte, however it was cut into batches and however often it
//! was replayed.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod engine; // runs any projection
pub mod leaderboard; // ranks campaigns, anew each time
pub mod views; // the read models

pub use engine::announce::READ_CHANNEL;
pub use engine::epoch_maintenance::{EpochMaintenance, RebuildMode};
pub use engine::follow::{ProjectorConfig, ProjectorError, catch_up, run};
pub use engine::lag::{LagMonitor, MeterError, ProjectionLag};
pub use engine::leases::{LeaseConfig, Leases, ProjectorStatus, projectors};
pub use engine::parked;
pub use engine::replay::{
    EpochState, EpochStatus, KEEP_OLD, ReplayError, ReplayMemory, ReplayOptions, ReplayOutcome, ReplayProgress,
    RolledBack, SegmentSize, SwitchBlocked, drop_old, epochs, replay, rollback,
};
pub use engine::retention;
pub use engine::status::{LogStatus, Parked, Stop, status};
pub use engine::verify::{
    Cell, Changed, Difference, LastVerified, Problem, RowDifference, Sample, TableCount, Verification, Verified,
    VerifyError, VerifyObserver, VerifyRequest, last_verified, verify,
};
