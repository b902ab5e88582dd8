//! Queries: the use cases that read, without HTTP.
//!
//! The read tables are the contract with the projections: nothing here writes. An edge (REST, a stream, GraphQL) turns
//! a request into a [`Query`], calls [`ReadModel::read`], and encodes the typed [`QueryResult`] of the [`Answer`]. The
//! steps of a read ([`mod@read`]):
//!
//! 1. **Head.** One statement loads the model heads of all concurrent requests ([`database::model_head`],
//!    [`database::batch_loader`]). If a head does not meet the caller's requirement ([`consistency`]), the read goes on
//!    at step 5.
//! 2. **Resolve.** The query becomes canonical, once, at the workspace's time zone and the present instant
//!    ([`Query::resolve`]). Its hash begins with the caller's [`Access`] ([`resolved`]).
//! 3. **Cache.** A cached result is the answer if it was read at this head, and if no clock boundary has passed since
//!    (`read::cache`).
//! 4. **Single flight.** Of all concurrent requests for the same result, one computes, and the others take its result.
//! 5. **Snapshot.** One database transaction, as fresh as the caller requires ([`database::snapshot`]). The result, its
//!    position and its epoch come from it.
//! 6. **Probe.** The scope marks give the result's [`version`] and how long it holds ([`mod@probe`]). Nothing is
//!    computed if the caller or the cache has the result of this version.
//! 7. **Load.** The typed result ([`result`]) is computed and cached. The caller makes each encoding at its first use.
//!
//! [`ReadModel::read_pages`] reads a list of any length from one snapshot, page after page. None of its pages are
//! cached.
//!
//! Modules import from those above them in the list below, and each query is a module. `docs/adding-an-endpoint.md`
//! says how to add one. The compiler names the matches that lack a new variant of [`Query`], [`CanonicalQuery`] or
//! [`Data`].

pub mod access; // what a caller may read
mod error; // why a query has no result
pub mod fields; // validation of requests
mod paging; // pages, and the cursors where they end
mod status; // the log position of a read, and how fresh its rows are
mod version; // what a result depends on
mod warning; // warnings about data

pub mod parked; // parked parts of the log, and which results lack them

mod database; // connections, model heads and snapshots

pub mod consistency; // how fresh a caller requires a result
mod last_change; // what last touched the campaigns of a query
pub mod sources; // sources and how fresh they are

mod probe; // the version of a result, before it is computed
mod resolved; // a canonical query with its page and its hash
mod result; // typed results

pub mod report; // numbers over ranges of days

pub mod activity; // who did what to one campaign
pub mod campaign; // one campaign
pub mod campaigns; // many campaigns
pub mod corrections; // the corrections of one campaign's numbers
pub mod dashboard; // many reports at one position
pub mod leaderboard; // campaigns, ranked
pub mod pacing; // budgets and spend of campaigns
pub mod workspace; // the defaults of the workspace

mod query; // all queries: their forms, steps and data

mod read; // from a query to its answer

pub mod freshness; // projections and sources at present

pub use access::Access;
pub use database::progress::Progress;
pub use error::ReadError;
pub use query::{CanonicalQuery, Data, Query, QueryResult, ResolvedQuery};
pub use read::{Answer, CacheStatus, PageReader, ReadModel, ReadRequest, ReadTrace};
pub use resolved::{Resolved, ResultId};
pub use result::{ResultMeta, TypedResult};
pub use status::ReadStatus;
pub use version::{RecordedEvent, Version};
pub use warning::Warning;

/// The name of the projection that everything here is read from.
pub(crate) const CAMPAIGN_MODEL: &str = "campaign_model";
