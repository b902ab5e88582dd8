//! The read API: queries over HTTP.
//!
//! A route reads its parameters into a query of the crate `queries`, and hands it to the [`answer`]. That negotiates
//! the form ([`mod@format`]), reads what the caller requires of freshness, has the query answered, and writes headers ([`response`]),
//! ETag, links and body. Bodies are encoded from typed results: as JSON ([`json`]), or as CSV ([`csv`]), a page at a time
//! ([`export`]). Errors become problems in one place ([`error`]).
//!
//! `docs/adding-an-endpoint.md` says how to add a resource.

mod answer; // the answer to a query
mod context; // who asks, and what is required
mod csv; // typed results as CSV
mod error; // errors as problems
mod export; // rows of any length as CSV
mod format; // JSON or CSV
mod json; // typed results as JSON
mod openapi; // the document beside the operations, with examples
mod params; // the parameters that reads have in common
mod problems; // the kinds of problems that only reads have
mod response; // headers and ETags
mod routes; // one file per resource
mod state; // what handlers work with

use axum::Router;
use http_edge::docs::ApiDocs;

pub use state::ApiState;

/// Every route of the read API, with its OpenAPI description. The edge is put around it by whoever serves it.
pub fn router(state: ApiState) -> Router {
    let (router, description) = openapi::described(routes::all());
    router.merge(description.router()).with_state(state)
}

/// What `/openapi.json` and `/docs` say.
pub fn description() -> ApiDocs {
    openapi::described(routes::all()).1
}
