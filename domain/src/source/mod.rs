//! The source aggregate: one connector's feed, with the meaning of its numbers.
//!
//! 1. Its name is one line of 1 to 100 characters; white space around it is dropped; `*`, `.` and `..` are none.
//! 2. Its expected delay is at most 31 days, its horizons at most 400.
//! 3. It is registered once. The same definition again changes nothing, and neither does the one that holds today;
//!    another one is refused.
//! 4. Settings that do not change what a recorded number means (measures, delays, horizons) change for buckets from a
//!    local date on. The past keeps what it had. Name, kind and the scope of its ids
//!    stay.
//! 5. Another zone or currency begins a series on a date. What was recorded keeps its series, and a series counts
//!    within its dates alone.
//! 6. It ends at an instant: nothing is expected of later buckets, and nothing of them is accepted. It may resume.

mod change;
mod command;
mod cqrs_es;
mod decide;
mod definition;
mod error;
mod event;
mod horizon; // for how long numbers may still change
mod platform; // what known platforms begin with
mod series; // its dates under one zone and one currency
mod state;

#[cfg(test)]
mod series_tests;
#[cfg(test)]
mod tests;

pub use change::SourceChange;
pub use command::SourceCommand;
pub use decide::{MAX_OBSERVATION_WINDOW_DAYS, check_name, decide, observation_window_s};
pub use definition::{IdScope, SourceDefinition, SourceKind, SourceRole, UnknownCampaigns};
pub use error::SourceError;
pub use event::SourceEvent;
pub use horizon::{Horizon, HorizonError, Horizons};
pub use platform::{PLATFORMS, Platform, ZoneRule};
pub use series::{NextSeries, Series, SeriesDates, SeriesTimeline};
pub use state::{DatedChange, DatedDefinition, DeliveryPause, Source, SourceDetails};

pub use crate::catalogue::SOURCE_STREAM as STREAM_TYPE;
