//! Pacing: whether campaigns spend their budgets as their days pass.

mod body; // the pacing of one campaign, as it is answered
mod campaign; // what it needs to know of a campaign, and what that comes to
mod plans; // how plans changed
mod single; // the pacing of one campaign
mod spend; // what a campaign spent on each of its local days

pub use body::PacingBody;
pub use single::PacingInputs;
pub(crate) use single::{load, probe};

/// The model that pacing is read from, as answers name it.
pub const MODEL: &str = "pacing";
