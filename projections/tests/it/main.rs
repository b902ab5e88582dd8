//! Projections against a real database: rows given events, and what happens when things go wrong.
#![expect(clippy::unwrap_used, reason = "the lint spares tests, but not the functions that they share")]

mod activity; // who did what to a campaign
mod arrivals; // when observations of sources were last recorded
mod building; // epochs that are built in the background
mod cuts; // rows do not depend on batches or on the order between streams
mod dimensions; // totals by one dimension, and which values are kept
mod event_versions; // logs that older or newer code wrote
mod failures; // crashes, holes, rivals
mod filling; // how a new epoch is filled
mod follow; // catch_up, run, status
mod keeping; // how long epochs are kept
mod leaderboard; // campaigns, ranked anew each time
mod leases; // several projectors on one database
mod months; // partitions by month: hours and days, months on demand, retention
mod parked; // events that cannot be applied, and what waits behind them
mod parked_many; // very many of them
mod plan_changes; // the changes of a campaign's budget and state
mod replays; // rebuilding beside the live rows
mod retention; // what is kept of months, and what a rebuild makes of it
mod rollbacks; // going back
mod some_workspaces; // rebuilding some of them
mod statements; // stated totals, and what is taken back
mod support; // logs, rows and what else tests share
mod switching; // what a workspace does not switch to unasked
mod upgrade; // databases that earlier migrations made
mod verify; // comparing the live rows with a rebuild
mod verify_inputs; // where epochs keep different values
mod verify_parked; // and what is parked with what a rebuild parks
mod views; // given events, then rows
