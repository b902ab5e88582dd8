//! Projections: turn each workspace's log into the read tables, once and in order.
//!
//! [`engine`] runs the projections that it is given: it follows the logs, keeps checkpoints, stops visibly rather than skip, and
//! rebuilds beside the live rows. [`views`] holds the read models, one file each. [`registry`] lists the projections of this
//! program and hands them to the engine.
//!
//! What readers may rely on: rows and checkpoint commit together, so one snapshot that reads `read.live_epochs`,
//! `read.checkpoints` and rows sees exactly the events up to that position, if it is taken before the statement that reads
//! rows is planned; and the same log gives the same rows to the byte, however it was cut into batches and however often it
//! was replayed.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod engine; // runs any projection
pub mod leaderboard; // ranks campaigns, anew each time
pub mod registry; // the projections of this program
pub mod views; // the read models

pub use engine::difference::{Cell, Changed, Difference, RowDifference};
pub use engine::epoch_maintenance::{EpochMaintenance, RebuildMode};
pub use engine::error::{ReplayError, SwitchBlocked};
pub use engine::follow::{ProjectorConfig, ProjectorError, run};
pub use engine::lag::{LagMonitor, MeterError, ProjectionLag};
pub use engine::projectors::{ProjectorStatus, set_lease_gauges};
pub use engine::rebuild::{ReplayMemory, ReplayProgress, SegmentSize};
pub use engine::replay::{EpochState, EpochStatus, KEEP_OLD, ReplayOptions, ReplayOutcome, RolledBack};
pub use engine::status::{LogStatus, Parked, Stop};
pub use engine::verify::{
    LastVerified, Problem, Sample, TableCount, Verification, Verified, VerifyError, VerifyObserver, VerifyRequest,
    last_verified,
};
pub use registry::{
    PROJECTIONS, catch_up, drop_old, epochs, parked, projectors, replay, retention, rollback, status, verify,
};
