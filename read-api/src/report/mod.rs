//! Reports: numbers of campaigns over a range of local days.
//!
//! A request becomes a canonical [`query::ReportQuery`] (pure), that becomes a [`plan::Plan`] with its calendar, and another of
//! what it is compared with (pure). [`ground`] finds out what its filter lets in and what its version follows from; one
//! statement for each part of that gathers sums per cell, source and measure (`gather`). `combine` tallies them by rows,
//! `fill`, `totals` and `compare` add what was asked for, `measured` tells values, `order` sorts and pages (all pure), `row`
//! writes. Derived measures are computed last, and only primary numbers are added.

pub(crate) mod combine; // sums to rows
mod compare; // rows beside those of another range
pub(crate) mod dimension; // sums by one dimension, and the rest
mod fill; // cells in which nothing was said
pub(crate) mod filter; // which numbers count
mod gather; // the sums, from the tables
mod ground; // what is known before anything is added up
pub(crate) mod lookups; // what else is looked up
mod measured; // what sources say in one row, and its values
pub(crate) mod order; // sorting, and where a page ends
pub(crate) mod plan; // a query's calendar and what it reads
pub(crate) mod query; // what was asked, in its canonical form
pub(crate) mod reading; // which table of sums, and what it keeps
pub(crate) mod request; // what was asked, as it was sent
mod row; // rows on the wire
mod run; // one report, from request to rows
mod table; // rows as CSV
#[cfg(test)]
mod tests;
mod totals; // all rows as one
pub(crate) mod value; // exact numbers on the wire
pub(crate) mod warnings; // what a reader should know beside the numbers

pub(crate) use gather::MAX_SUMS;
pub(crate) use ground::{Ground, Shared, survey};
pub(crate) use row::ReportBody;
pub(crate) use run::{MODEL, Report, canonical, written};
pub(crate) use totals::MAX_SUBTOTALS;
