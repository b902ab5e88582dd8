//! Reports: numbers of campaigns over a range of local days.
//!
//! 1. A request becomes a canonical [`query::ReportQuery`] (pure).
//! 2. The query becomes a [`plan::Plan`] with its calendar. The range that it is compared with has a plan of its own
//!    (pure).
//! 3. `prepare` loads the [`context`]: what the filters admit, and what the version follows from.
//! 4. `aggregate` sums by cell, source and measure: one statement for each part that the filters admit.
//! 5. `rows` adds the sums to rows. `fill`, `totals` and `compare` add what was requested. `measure_values` computes
//!    the values, derived measures last. `order` sorts the rows and cuts pages (all pure).
//! 6. [`data`] keeps the page as columns, and [`row`] views them row by row.

mod aggregate; // sums from the tables
pub mod calendar; // the calendar of a query
mod compare; // rows compared with those of another range
pub mod comparison; // the range that it is compared with
mod context; // what is known of a report before its sums
pub(crate) mod coverage; // which numbers ratios are computed from
pub mod data; // rows as columns
pub mod dates; // the days of a query
mod dimension; // sums by the values of one dimension
mod elapsed; // the part of a range that is over
mod expected; // sources that have delivered nothing yet
mod fill; // rows for cells without numbers
pub mod filter; // which numbers count
mod load; // one report, from its query to its rows
pub(crate) mod lookups; // names, statuses, restatements and overlaps
mod marks; // what bounds when the numbers of a range were last touched
pub(crate) mod measure_values; // the values of one row
mod order; // sorting and pages
pub(crate) mod partial; // warnings about what ratios do not cover
pub(crate) mod plan; // the calendar of a query and what it reads
mod prepare; // what is loaded before sums are computed
pub mod query; // the canonical query
mod range; // the plans of its ranges, and where their sums are read
mod refunds; // money that is taken back in two ways
pub(crate) mod replaced; // what a source stated of dates that another of its series holds now
pub mod request; // the request as it was sent
pub(crate) mod rollup; // which table of sums is read, and what it keeps
pub mod row; // rows one by one, as they are written
pub(crate) mod rows; // from sums to rows
mod snapshot_lookups; // what the reports of a snapshot have in common
mod source_inputs; // what a version rests on of the sources
mod sum; // one sum and its key
#[cfg(test)]
mod tests;
mod totals; // totals and subtotals
pub mod value; // exact numbers
pub(crate) mod warnings; // warnings about the numbers

pub use aggregate::MAX_SUMS;
pub(crate) use context::ReportContext;
pub use data::ReportData;
pub use load::{MODEL, Report};
pub(crate) use load::{canonical, load, probe};
pub(crate) use prepare::prepare;
pub(crate) use snapshot_lookups::SnapshotLookups;
