//! Reports: numbers of campaigns over a range of local days.
//!
//! A request becomes a canonical [`query::ReportQuery`] (pure), that becomes a [`plan::Plan`] with its calendar (pure); one
//! statement gathers sums per cell, source and measure (`gather`); `combine` turns them into rows (pure), `order` sorts
//! and pages them (pure), `row` writes them. Derived measures are computed last, and only primary numbers are added.

pub(crate) mod combine; // sums to rows
pub(crate) mod dimension; // sums by one dimension, and the rest
mod gather; // the sums, from the tables
pub(crate) mod lookups; // what else is looked up
pub(crate) mod order; // sorting, and where a page ends
pub(crate) mod plan; // a query's calendar and what it reads
pub(crate) mod query; // what was asked, in its canonical form
pub(crate) mod reading; // which table of sums, and what it keeps
pub(crate) mod request; // what was asked, as it was sent
mod row; // rows on the wire
mod run; // one report, from request to rows
#[cfg(test)]
mod tests;
pub(crate) mod value; // exact numbers on the wire
pub(crate) mod warnings; // what a reader should know beside the numbers

pub(crate) use gather::MAX_SUMS;
pub(crate) use row::ReportRow;
pub(crate) use run::{Ground, Report, survey};
