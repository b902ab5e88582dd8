//! Projections: they turn each workspace's log into the read tables, once and in order.
//!
//! [`engine`] runs the projections that it is given. It follows the logs, keeps checkpoints, and rebuilds beside the
//! live rows. At a missing event it stops visibly and never skips. [`views`] holds the read models, one file each.
//! [`registry`] lists the projections of this program and hands them to the engine.
//!
//! Readers may rely on two guarantees. Rows and checkpoint commit together: a snapshot that reads `read.live_epochs`,
//! `read.checkpoints` and rows sees exactly the events up to that position. The snapshot must be taken before the
//! statement that reads rows is planned. And the same log gives the same rows to the byte, however it was cut into
//! batches and however often it was replayed.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod engine; // runs any projection
pub mod leaderboard; // refreshes the ranking of campaigns
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
pub use views::CAMPAIGN_MODEL;
