//! The read API: queries over HTTP.
//!
//! A route parses its parameters into a query of the crate `queries` and calls [`answer`]. That negotiates the format
//! ([`mod@format`]), reads the required freshness, runs the query, and writes headers ([`response`]), ETag, links and
//! body. Bodies are encoded from typed results: as JSON ([`json`]), or as CSV ([`csv`]), a page at a time ([`export`]).
//! Errors become problems in one place ([`error`]).
//!
//! `docs/adding-an-endpoint.md` describes how to add a resource.

mod answer; // the answer to a query
mod context; // the caller and its requirements
mod csv; // typed results as CSV
mod error; // errors as problems
mod export; // rows of any length as CSV
mod format; // JSON or CSV
mod json; // typed results as JSON
mod openapi; // the OpenAPI document
mod params; // common parameters of reads
mod problems; // the problem types of reads
mod response; // headers and ETags
mod routes; // one file per resource
mod state; // the state of the handlers

use axum::Router;
use http_edge::docs::ApiDocs;

pub use state::ApiState;

/// Every route of the read API, with its OpenAPI description. The server wraps it in the edge.
pub fn router(state: ApiState) -> Router {
    let (router, description) = openapi::described(routes::all());
    router.merge(description.router()).with_state(state)
}

/// The content of `/openapi.json` and `/docs`.
pub fn description() -> ApiDocs {
    openapi::described(routes::all()).1
}
