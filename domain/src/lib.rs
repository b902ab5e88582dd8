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
//! - A **measure** is what is counted; derived measures are computed last, from sums.
//! - **Freshness** is a function of syncs, deadlines and a given now.
//!
//! Time and ids are passed in everywhere. To add an event: add a variant beside its neighbours, decide it in `decide`,
//! fold it in `apply`, and let the compiler name every view that must learn it.
#![warn(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

pub mod bucket; // 15-minute buckets, grains and the calendar cuts of a query
pub mod campaign; // the campaign aggregate
pub mod channel; // where a campaign runs
pub mod decimal; // exact decimals as integers
pub mod event;
pub mod freshness; // live, provisional, final
pub mod ids; // the newtypes that name things
pub mod measure; // what is counted, and what is computed from it
pub mod money; // currencies and amounts
pub mod observation; // pushed increments
pub mod source; // the source aggregate
pub mod statement; // stated totals
pub mod sync; // a source's own runs
pub mod workspace; // the tenant's own event
pub mod zone; // IANA time zones // everything a log can hold
