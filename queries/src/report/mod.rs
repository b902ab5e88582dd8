//! Reports: numbers of campaigns over a range of local days.
//!
//! 1. A request becomes a canonical [`query::ReportQuery`] (pure).
//! 2. That becomes a [`plan::Plan`] with its calendar, and another of the range that it is compared with (pure).
//! 3. [`context`] finds out what its filter admits and what its version follows from.
//! 4. One statement for each part of that sums per cell, source and measure (`aggregate`).
//! 5. `rows` adds the sums to rows; `fill`, `totals` and `compare` add what was asked for; `measure_values` computes the values,
//!    derived measures last, and adds only primary numbers; `order` sorts and cuts pages (all pure).
//! 6. [`data`] keeps the page as columns, and [`row`] views them row by row.

mod aggregate; // the sums, from the tables
mod compare; // rows beside those of another range
mod context; // what is known before anything is added up
pub mod data; // rows as columns
pub mod dimension; // sums by one dimension, and the rest
mod fill; // cells in which nothing was said
pub mod filter; // which numbers count
mod load; // one report, from its query to its rows
pub(crate) mod lookups; // what else is looked up
mod measure_values; // what sources say in one row, and its values
mod order; // sorting, and where a page ends
pub(crate) mod plan; // a query's calendar and what it reads
pub mod query; // what was asked, in its canonical form
pub mod request; // what was asked, as it was sent
pub(crate) mod rollup; // which table of sums, and what it keeps
pub mod row; // rows one by one
pub(crate) mod rows; // sums to rows
pub mod sum; // one sum, and what it is of
#[cfg(test)]
mod tests;
mod totals; // all rows as one
pub mod value; // exact numbers
pub(crate) mod warnings; // what a reader should know beside the numbers

pub use aggregate::MAX_SUMS;
pub(crate) use context::{ReportContext, SnapshotLookups, prepare};
pub use data::ReportData;
pub use load::{MODEL, Report};
pub(crate) use load::{canonical, load, probe};
