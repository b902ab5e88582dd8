//! The rules of campaign tracking as pure functions: no I/O, no clock, no SQL.
//!
//! The words, in reading order:
//!
//! - A **workspace** is a tenant; nothing crosses workspaces.
//! - A **campaign** is the aggregate with decisions: dates, channels, budget, and a life from draft to archived.
//! - A **source** is one connector's feed. It belongs to a channel and has a role: `primary` counts toward totals,
//!   `reference` is shown beside them.
//! - An **observation** is something that happened, pushed as an increment.
//! - A **statement** is what a pull source says a total is, as of now; the newest wins.
//! - A **sync** is a source saying how its own run went, and through when it is complete.
//! - An **item** is one observation or statement of a batch, as it is sent; it is accepted or rejected by itself.
//! - A **measure** is what is counted; derived measures are computed last, from sums.
//! - **Freshness** is a function of syncs, deadlines and a given now.
//!
//! Time and ids are passed in everywhere. To add an event: add a variant beside its neighbours, name it in
//! `catalogue`, decide it in `decide`, fold it in `apply`, and let the compiler name every view that must learn it.
#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod breakdown;
pub mod bucket;
pub mod campaign;
pub mod catalogue;
pub mod channel;
pub mod decimal;
pub mod event;
pub mod freshness;
pub mod ids;
pub mod item;
mod json_object;
pub mod measure;
pub mod money;
pub mod note;
pub mod observation;
pub mod pacing;
pub mod rfc3339;
mod rule_codes;
pub mod source;
pub mod statement;
pub mod sync;
pub mod text;
pub mod workspace;
pub mod zone;
