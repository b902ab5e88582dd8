//! The read API over tables that the real projector filled.
#![expect(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that they share")]

mod activity; // changes of a campaign
mod again; // canonical queries, repeated
mod breakdown_histories; // random totals and breakdowns of them
mod breakdowns; // what pull sources state by dimension
mod caching; // cached results, none of them too old
mod campaigns; // one campaign and lists
mod consistency; // waiting, bounds, tokens
mod corrections; // corrections and their changes
mod dashboards; // many reports at one position
mod dimensions; // numbers by dimensions of observations
mod documents; // the OpenAPI document
mod export_limits; // limits of concurrent and slow exports
mod exports; // rows as CSV, and unsupported formats
mod finality; // horizons, reads, expected sources
mod finality_histories; // random runs, ends and returns
mod freshness; // states, sources, what was final
mod freshness_table; // every state of a source
mod hostile; // hostile requests
mod isolation; // nothing crosses workspaces
mod leaderboard; // campaigns, ranked
mod numbers; // sums, roles, currencies, quotients
mod pacing; // budgets and days
mod pacing_list; // the pacing of all campaigns
mod paging; // cursors
mod parked; // parked events
mod plans; // every statement uses an index
mod ranges; // days named by where they lie from today, and comparisons
mod ratios; // what quotients divide, and what they leave out
mod refusals; // every bad input, by name
mod reports; // filters, comparisons, gaps, totals
mod retention; // dropped months
mod series_histories; // random changes of zones and currencies
mod source_changes; // settings of sources by date
mod source_histories; // random changes of sources
mod source_series; // sources in other zones and currencies from a date on
mod statements; // the number of statements of a test
mod support; // a workspace, its log and its readers, and events
mod version_histories;
mod versions; // when an ETag moves, and when it does not
mod zones; // days and hours of any zone
