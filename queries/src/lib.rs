//! Queries: the use cases that read, without HTTP.
//!
//! The read tables are the contract with the projections: nothing here writes. [`ReadModel`] is what every query works
//! with. An edge (REST, a stream, GraphQL) turns what it was sent into a [`Query`], calls [`ReadModel::read`], and
//! encodes the typed [`QueryResult`] of the [`Answer`]. The steps of a read:
//!
//! 1. **Head.** How far the workspace's rows are is loaded ([`database::model_head`]), by one statement for all
//!    requests that came meanwhile ([`database::batch_loader`]). If the caller requires more than that
//!    ([`consistency`]), the read goes on at step 5.
//! 2. **Resolve.** The query becomes canonical at the workspace's time zone and the present instant, with what was left
//!    out ([`Query::resolve`]). This happens once. Its hash begins with the caller's [`Access`].
//! 3. **Cache.** A kept result that was read at this head, and before the next instant at which the clock changes it,
//!    is the answer (`read::cache`).
//! 4. **Single flight.** Of all who want the same, one computes; the others take what it kept.
//! 5. **Snapshot.** One database transaction, as fresh as the caller requires ([`database::snapshot`]). The result, its
//!    position and its epoch come from it.
//! 6. **Probe.** From the marks of the scopes that the query touches follows the result's version ([`version`]), and
//!    how long it holds ([`query::probe`]). If the caller has the result of this version, or the cache does, nothing is
//!    computed.
//! 7. **Load.** The typed result ([`query::load`]). It is kept with its encodings. Each encoding is made by the caller
//!    at its first use and weighed.
//!
//! [`ReadModel::read_pages`] reads a list of any length from one snapshot, page after page; nothing of that is kept.
//!
//! `docs/adding-an-endpoint.md` says how to add a query. The compiler names the matches that lack a new variant of
//! [`Query`], [`CanonicalQuery`] or [`Data`].

pub mod access; // whose rows, and what of them
pub mod consistency; // how fresh a caller requires a result
mod database; // connections, model heads and snapshots
mod error; // why a query has no result
pub mod fields; // validation of requests
mod json_object; // objects that are written as objects
mod last_change; // what last touched the campaigns of a query
mod paging; // pages, and the cursors where they end
pub mod parked; // what waits because it cannot be applied, and which results lack it
mod probe; // what is known before a result is computed
mod query; // queries as requested and in canonical form, with their steps and data by kind
mod read; // from a query to its answer
mod resolved; // a canonical query with its page and its hash
mod result; // typed results
pub mod sources; // sources and how fresh they are
mod status; // where a read's rows are
mod version; // what a result depends on, and the version that follows
mod warning; // what a reader should know beside the data

pub mod activity; // who did what to one campaign
pub mod campaign; // one campaign
pub mod campaigns; // many of them
pub mod corrections; // what corrections did to one campaign
pub mod dashboard; // many reports at one position
pub mod freshness; // projections and sources, as they are now
pub mod leaderboard; // campaigns, ranked
pub mod pacing; // whether one campaign spends its budget as its days pass
pub mod report; // numbers over ranges of days

pub use access::Access;
pub use database::progress::Progress;
pub use error::ReadError;
pub use query::{CanonicalQuery, Data, Query, QueryResult, ResolvedQuery};
pub use read::{Answer, CacheStatus, PageReader, ReadModel, ReadRequest, ReadTrace};
pub use resolved::{Resolved, ResultId};
pub use result::{ResultMeta, TypedResult};
pub use status::ReadStatus;
pub use version::Version;
pub use warning::Warning;

/// The projection that everything here is read from.
pub(crate) const MODEL: &str = "campaign_model";
