//! The read API over tables that the real projector filled.
#![expect(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that they share")]

mod activity; // who did what to a campaign
mod again; // what is told of a query, asked again
mod caching; // results that are kept, and that none is told too late
mod campaigns; // one and many
mod consistency; // waiting, bounds, tokens
mod corrections; // what corrections did
mod dashboards; // many reports at one position
mod dimensions; // numbers by what observations name
mod documents; // the OpenAPI document
mod export_limits; // how many files are read at a time, and how slowly
mod exports; // rows as CSV, and forms that are not there
mod freshness; // states, sources, what was final
mod freshness_table; // each way in which a source can stand
mod given; // what happened
mod hostile; // what nobody asks in good faith
mod isolation; // nothing crosses workspaces
mod leaderboard; // campaigns, ranked
mod numbers; // sums, roles, currencies, quotients
mod pacing; // budgets and days
mod paging; // cursors
mod parked; // what waits because it cannot be applied
mod plans; // every statement goes by an index
mod refusals; // every bad input, by name
mod reports; // filters, comparisons, gaps, totals
mod retention; // months that are not kept
mod statements; // how many a test sends to its database
mod support; // a workspace, its log and its readers
mod versions; // when an ETag moves, and when it does not
mod zones; // days and hours of any zone
