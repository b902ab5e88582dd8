//! Reports: numbers of campaigns over a range of local days.
//!
//! A request becomes a canonical [`query::ReportQuery`] (pure), that becomes a [`plan::Plan`] with its calendar, and another of
//! what it is compared with (pure). [`context`] finds out what its filter lets in and what its version follows from; one
//! statement for each part of that gathers sums per cell, source and measure (`aggregate`). `rows` tallies them by rows,
//! `fill`, `totals` and `compare` add what was asked for, `measure_values` tells values, `order` sorts and pages (all pure), `row`
//! writes. Derived measures are computed last, and only primary numbers are added.

mod aggregate; // the sums, from the tables
mod compare; // rows beside those of another range
mod context; // what is known before anything is added up
pub(crate) mod dimension; // sums by one dimension, and the rest
mod fill; // cells in which nothing was said
pub(crate) mod filter; // which numbers count
pub(crate) mod lookups; // what else is looked up
mod measure_values; // what sources say in one row, and its values
pub(crate) mod order; // sorting, and where a page ends
pub(crate) mod plan; // a query's calendar and what it reads
pub(crate) mod query; // what was asked, in its canonical form
mod render; // one report, from request to rows
pub(crate) mod request; // what was asked, as it was sent
pub(crate) mod rollup; // which table of sums, and what it keeps
mod row; // rows on the wire
pub(crate) mod rows; // sums to rows
mod table; // rows as CSV
#[cfg(test)]
mod tests;
mod totals; // all rows as one
pub(crate) mod value; // exact numbers on the wire
pub(crate) mod warnings; // what a reader should know beside the numbers

pub(crate) use aggregate::MAX_SUMS;
pub(crate) use context::{ReportContext, SnapshotLookups, prepare};
pub(crate) use render::{MODEL, Report, canonical, render};
pub(crate) use row::ReportBody;
pub(crate) use totals::MAX_SUBTOTALS;
